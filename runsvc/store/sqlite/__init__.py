"""The embedded store: one SQLite file, written by one server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.store.sqlite.cache import RunCache
from runsvc.store.sqlite.lock import ServerLock
from runsvc.store.sqlite.reading import Reading
from runsvc.store.sqlite.schema import check_header, check_usable
from runsvc.store.sqlite.writing import Writing
from runsvc.timekeeper import Timekeeper

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.store.base import Codec


class SqliteStore(Writing, Reading):
    """Implements Store on a file, which it creates when there is none."""

    kind = "sqlite"

    def __init__(self, path: Path, codec: Codec, timekeeper: Timekeeper | None = None) -> None:
        path = path.resolve()
        self._lock = ServerLock(path)
        cache = RunCache()
        Writing.__init__(self, path, codec, self._lock.check, timekeeper or Timekeeper(), cache)
        Reading.__init__(self, path, cache)

    async def open(self) -> None:
        check_usable(self._path)
        # Before the lock, which makes a file of its own.
        check_header(self._path)
        self._lock.take()
        try:
            self.open_writing()
            await self.open_reading()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self.close_reading()
        self._cache.clear()
        # Last, so that it is the writer who folds the write-ahead log in.
        self.close_writing()
        self._lock.release()
