"""Watches over the `-wal` file while the store is in use: one that is removed, replaced or cut is noticed."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

_SAVED: Final = (
    "its -wal was removed or replaced while it was in use; "
    "its changes were saved into the file: restart the server"
)
_NOT_SAVED: Final = (
    "its -wal was removed or replaced while it was in use, and its changes could not be saved ({error}): "
    "copy the runs that are still readable, then restart the server"
)
_CUT: Final = (
    "its -wal was cut by another program, and changes may be lost: "
    "stop the server, remove the -wal and -shm files, and restore a backup"
)
#: The header of a -wal file and of each frame in it, in bytes (https://sqlite.org/fileformat.html#walformat).
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
#: Parts of the -shm file (https://sqlite.org/walformat.html#the_wal_index_file_format).
_PAGE_SIZE: Final = slice(14, 16)
_FRAMES: Final = slice(16, 20)
_BACKFILLED: Final = slice(96, 100)
_SHM_HEADER: Final = 136


class WalGuard:
    """Used by the writer, with a connection that has read from the store."""

    def __init__(self, path: Path) -> None:
        self._wal = f"{path}-wal"
        self._shm_file = f"{path}-shm"
        self._inode: int | None = None
        #: Size in bytes at the last check.
        self.size = 0
        #: Why the store cannot be written until it is opened again.
        self._fault: str | None = None
        #: Open until SQLite has closed the file: a close of any descriptor of it would drop SQLite's locks.
        self._shm: int | None = None

    def begin(self) -> None:
        """Guard the file of an open connection."""
        found = os.stat(self._wal)  # noqa: PTH116
        self._inode, self.size = found.st_ino, found.st_size
        if self._shm is None:
            self._shm = os.open(self._shm_file, os.O_RDONLY)

    def end(self) -> None:
        """Stop, after all connections were closed."""
        self._inode = self._fault = None
        if self._shm is not None:
            os.close(self._shm)
            self._shm = None

    def current_size(self) -> int:
        """Bytes of the file now; 0 if there is none."""
        try:
            return os.stat(self._wal).st_size  # noqa: PTH116
        except OSError:
            return 0

    def check(self, connection: sqlite3.Connection | None) -> None:
        """StoreUnavailable if the file is gone, another one, or shorter than its content.

        The changes of a file that is gone are saved at once: the connection still has it open. Once this raised, it
        raises until the store is opened again, because other connections have the former file open.
        """
        if self._fault is None and connection is not None and self._inode is not None:
            self._fault = self._found_fault(connection)
            if self._fault is not None:
                _log.error("The store cannot be written: %s", self._fault)
        if self._fault is not None:
            raise StoreUnavailable(self._fault)

    def _found_fault(self, connection: sqlite3.Connection) -> str | None:
        try:
            found = os.stat(self._wal)  # noqa: PTH116 - a Path takes four times as long.
        except OSError:
            return _save(connection)
        if found.st_ino != self._inode:
            return _save(connection)
        if found.st_size < self.size and self._is_cut(found.st_size):
            return _CUT
        self.size = found.st_size
        return None

    def _is_cut(self, size: int) -> bool:
        """True if changes are missing. A checkpoint of another program may cut the file after it saved them."""
        assert self._shm is not None
        shm = os.pread(self._shm, _SHM_HEADER, 0)
        page_size = _number(shm[_PAGE_SIZE])
        frames = _number(shm[_FRAMES])
        if page_size == 1:
            page_size = 1 << 16
        needed = _WAL_HEADER + frames * (_FRAME_HEADER + page_size) if frames else 0
        return size < needed and _number(shm[_BACKFILLED]) < frames


def _number(encoded: bytes) -> int:
    return int.from_bytes(encoded, sys.byteorder)


def _save(connection: sqlite3.Connection) -> str:
    """Move the changes of the -wal that the connection has open into the file. Return the fault for callers."""
    error = "readers are in the way"
    try:
        busy, frames, saved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error as failure:
        return _NOT_SAVED.format(error=failure)
    return _NOT_SAVED.format(error=error) if busy or frames != saved else _SAVED
