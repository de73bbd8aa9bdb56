"""The embedded store: one SQLite file with one server that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.store.sqlite.cache import RunCache
from runsvc.store.sqlite.disk_watch import LARGE, RESERVE, DiskWatch
from runsvc.store.sqlite.file_guard import FileGuard
from runsvc.store.sqlite.lock import ServerLock
from runsvc.store.sqlite.reading import SqliteReading
from runsvc.store.sqlite.schema import check_header, check_usable, resolved
from runsvc.store.sqlite.writing import SqliteWriting
from runsvc.timekeeper import Timekeeper

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.store.base import Codec
    from runsvc.store.shared import SharedLog


class SqliteStore:
    """Implements Store on a file, which it creates if there is none."""

    kind = "sqlite"
    shared: SharedLog | None = None

    def __init__(
        self,
        path: Path,
        codec: Codec,
        timekeeper: Timekeeper | None = None,
        *,
        large_wal: int = LARGE,
        reserve: int = RESERVE,
    ) -> None:
        self._path = path = resolved(path)
        self._lock = ServerLock(path)
        self._cache = RunCache()
        self.reading = SqliteReading(path, codec, self._cache)
        disk = DiskWatch(path, large=large_wal, reserve=reserve)
        self._guard = FileGuard(path, self._lock, disk)
        self.writing = SqliteWriting(
            path, codec, self._guard, timekeeper or Timekeeper(), self._cache
        )

    def log_bytes(self) -> int:
        """Size of the write-ahead log in bytes."""
        return self._guard.wal_size()

    async def open(self) -> None:
        check_usable(self._path)
        # Before the lock is taken, because that creates a file.
        check_header(self._path)
        self._lock.take()
        try:
            self.writing.open()
            await self.reading.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self.reading.close()
        self._cache.clear()
        # Last, because the last connection to close moves the write-ahead log into the file.
        self.writing.close()
        self._lock.release()
