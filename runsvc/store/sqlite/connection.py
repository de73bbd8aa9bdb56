"""Connections to the file, and what their failures mean."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreBusy, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Locked by another process: worth another try as it is.
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_WRITER_PRAGMAS: Final = (
    # Readers go on while the writer writes.
    "PRAGMA journal_mode = WAL",
    # A commit is answered only when the disk has it, also through a loss of power.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # A log that grew under a long read shrinks again.
    "PRAGMA journal_size_limit = 67108864",
)
_READER_PRAGMAS: Final = (
    "PRAGMA query_only = ON",
    # The writer alone checkpoints. Two that do can corrupt the file in SQLite before 3.51.3
    # (https://sqlite.org/wal.html#walresetbug).
    "PRAGMA wal_autocheckpoint = 0",
)


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """A bare connection. Opened on one thread, used on another, never on two at a time."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )


def make_writer(connection: sqlite3.Connection) -> None:
    """Have a connection write, durably. Changes the file's journal mode, so the file must be known to be ours."""
    for pragma in _WRITER_PRAGMAS:
        connection.execute(pragma).fetchall()
    # Where it cannot be had, on a network's file system for instance, SQLite stays with the old mode.
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        raise StoreUnavailable("its file system does not support write-ahead logging")


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that reads. It never waits: in WAL mode the writer does not lock it out."""
    connection = connect(path)
    for pragma in _READER_PRAGMAS:
        connection.execute(pragma).fetchall()
    return connection


@contextmanager
def translated() -> Iterator[None]:
    """Turns what sqlite3 raises into StoreUnavailable or StoreBusy."""
    try:
        yield
    except sqlite3.IntegrityError:
        # A fault of ours, or a damaged row: to try again would not help.
        raise
    except sqlite3.Error as error:
        raise translation(error) from error


def translation(error: sqlite3.Error) -> StoreUnavailable:
    """The failure as ours. Extended codes carry their primary one in the low byte."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _BUSY:
        return StoreBusy(str(error))
    return StoreUnavailable(str(error))
