"""Watches over the size of the `-wal` and the free space of its disk, which SQLite does not limit."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

#: Size in bytes of a -wal that is no longer normal: checkpoints keep it at about 4 MiB.
LARGE: Final = 64 << 20
#: Free bytes below which nothing is written. Reads, a checkpoint and a clean stop still find room.
RESERVE: Final = 16 << 20
#: Transactions, of at most about 4 MiB each, between two checks.
_UNCHECKED: Final = 3
_GROWS: Final = "The -wal file of %s has grown to %d MiB, because %s. It shrinks by itself once the cause is gone."


class DiskWatch:
    """Used by the writer, around each transaction."""

    def __init__(self, path: Path, *, large: int = LARGE, reserve: int = RESERVE) -> None:
        self._path = path
        self._folder = str(path.parent)
        self._large = large
        self._reserve = reserve
        self._warned = False
        #: Transactions until the next check. Together they write less than the reserve.
        self._unchecked = 0

    def check_space(self) -> None:
        """StoreUnavailable if the disk is nearly full."""
        if self._unchecked:
            self._unchecked -= 1
            return
        if not hasattr(os, "statvfs"):  # pragma: no cover - Windows.
            return
        with suppress(OSError):
            found = os.statvfs(self._folder)
            if found.f_bavail * found.f_frsize >= self._reserve:
                self._unchecked = _UNCHECKED
                return
            raise StoreUnavailable(
                f"its disk has less than {self._reserve >> 20} MiB left: free space; "
                "the server then goes on by itself"
            )

    def report_growth(self, size: int, connection: sqlite3.Connection | None) -> None:
        """Log once why the -wal does not shrink, after a commit that left it at this size."""
        if size < self._large:
            self._warned = False
        elif not self._warned and connection is not None:
            self._warned = True
            _log.warning(_GROWS, self._path, size >> 20, _cause(connection))


def _cause(connection: sqlite3.Connection) -> str:
    try:
        _, frames, saved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error as error:
        return f"it cannot be written back into the store ({error})"
    if saved < frames:
        return "a program holds a read transaction open, such as a backup or a shell: end it"
    return "a large change was written, or a read transaction has just ended"
