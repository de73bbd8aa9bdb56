"""The embedded store: one SQLite file, written by one server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from runsvc.errors import StoreRefused
from runsvc.store.sqlite.reading import Reading
from runsvc.store.sqlite.schema import check_header, check_usable
from runsvc.store.sqlite.writing import Writing

if TYPE_CHECKING:
    from pathlib import Path


class SqliteStore(Writing, Reading):
    """Implements Store on a file, which it creates when there is none."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        path = path.resolve()
        Writing.__init__(self, path)
        Reading.__init__(self, path)
        self._lock = FileLock(f"{path}.lock", timeout=0)

    async def open(self) -> None:
        check_usable(self._path)
        # Before the lock, which makes a file of its own.
        check_header(self._path)
        try:
            self._lock.acquire()
        except Timeout:
            raise StoreRefused(
                str(self._path), "another server uses it: stop that one, or name another file"
            ) from None
        except OSError as error:
            raise StoreRefused(str(self._path), f"its lock cannot be taken ({error})") from error
        try:
            self.open_writing()
            await self.open_reading()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self.close_reading()
        # Last, so that it is the writer who folds the write-ahead log in.
        self.close_writing()
        self._lock.release()
