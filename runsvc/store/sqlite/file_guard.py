"""Watches over the store's files while they are in use: a moved, replaced or copied file is noticed."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreUnavailable
from runsvc.store.sqlite.connection import connect, translated
from runsvc.store.sqlite.consistency import contradiction
from runsvc.store.sqlite.mark import Mark, copy_evidence
from runsvc.store.sqlite.wal_guard import WalGuard

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from runsvc.store.sqlite.disk_watch import DiskWatch
    from runsvc.store.sqlite.lock import ServerLock

_log = logging.getLogger(__name__)

#: Bytes of a file that is checked as a whole, in about a second, after another program wrote to it.
_CHECKED_WHOLE: Final = 256 << 20
HOLDS_ANOTHER: Final = "its file holds another store now: restore it, or restart the server"


class FileGuard:
    """Used by the writer. Its checks run before every transaction, so they take a few microseconds."""

    def __init__(self, path: Path, lock: ServerLock, disk: DiskWatch) -> None:
        self._path = path
        self._file = str(path)
        self._lock = lock
        self._wal = WalGuard(path)
        self._disk = disk
        self._store_id = ""
        #: Inode and device of the opened file; None while the store is closed. Another file is never written.
        self._identity: tuple[int, int] | None = None
        self._commits = 0
        #: When the file was last written, as of the last commit. SQLite writes to it in commits only.
        self._written = 0
        #: Begin of the file before SQLite opened it.
        self._header = b""

    def before_open(self) -> None:
        """Read the parts of the file that SQLite changes when it opens the file."""
        self._header = self._lock.header()

    def is_copy(self, connection: sqlite3.Connection) -> bool:
        """True if the file is not the one that was served last under its store id."""
        lock = self._lock
        evidence = copy_evidence(connection, self._header, lock.mark(), lock.inode())
        if evidence is not None:
            _log.warning(
                "%s is a copy, since %s. It gets a new store id, and watches begin with a snapshot.",
                self._path,
                evidence,
            )
        return evidence is not None

    def begin(self, store_id: str, commits: int) -> None:
        """Guard the file, which is open and migrated, from now on."""
        found = self._path.stat()
        self._identity = (found.st_ino, found.st_dev)
        self._store_id = store_id
        self._wal.begin()
        self.committed(commits)
        self._lock.flush_mark()

    def reopened(self) -> None:
        """Guard the -wal of a new connection."""
        self._wal.begin()

    def end(self) -> None:
        """Stop, after the file was closed."""
        if self._identity is not None:
            self._lock.flush_mark()
        self._identity = None
        self._wal.end()

    def wal_size(self) -> int:
        """Bytes of the -wal."""
        return self._wal.current_size()

    def committed(self, commits: int, connection: sqlite3.Connection | None = None) -> None:
        """Record a commit of this connection."""
        if self._identity is not None:
            self._commits = commits
            self._disk.report_growth(self._wal.size, connection)
            self._written = os.stat(self._file).st_mtime_ns  # noqa: PTH116
            self._lock.renew_mark(Mark(self._store_id, commits, self._identity[0]))

    def check(self, connection: sqlite3.Connection | None) -> None:
        """StoreUnavailable if the file was moved or replaced: data written to it would be lost at the next start."""
        if self._identity is None:
            raise StoreUnavailable("it is closed")
        try:
            found = os.stat(self._file)  # noqa: PTH116 - a Path takes four times as long.
        except OSError as error:
            raise StoreUnavailable(f"its file: {error.strerror}: restore it at its path") from error
        if (found.st_ino, found.st_dev) != self._identity:
            raise StoreUnavailable(
                "its file was replaced while it was in use: restore it, or restart the server"
            )
        self._lock.check()
        self._wal.check(connection)
        self._disk.check_space()
        if found.st_mtime_ns != self._written:
            self._check_content()
            self._written = found.st_mtime_ns

    def _check_content(self) -> None:
        """StoreUnavailable if another program put other content into the file. Its own checkpoint is harmless."""
        full = self._path.stat().st_size <= _CHECKED_WHOLE
        with translated(), closing(connect(self._path, mode="ro")) as connection:
            detail = contradiction(connection, full=full)
            if detail is None:
                found = connection.execute("SELECT store_id, commits FROM clock").fetchone()
                if found is None or found[0] != self._store_id:
                    raise StoreUnavailable(HOLDS_ANOTHER)
                if found[1] < self._commits:
                    detail = "it has an older state"
        if detail is not None:
            raise StoreUnavailable(
                f"another program wrote to its file ({detail}): stop the server, "
                "remove the -wal and -shm files, and restore a backup"
            )
