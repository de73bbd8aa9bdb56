"""Connections to the file, and the translation of their errors."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreBusy, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Locked by another process: a retry may succeed.
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_WRITER_PRAGMAS: Final = (
    # Readers do not wait for the writer.
    "PRAGMA journal_mode = WAL",
    # A commit is answered once it is on the disk, so that it survives a loss of power.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Shrinks a log that grew during a long read.
    "PRAGMA journal_size_limit = 67108864",
)
_READER_PRAGMAS: Final = (
    "PRAGMA query_only = ON",
    # The writer alone checkpoints. Two checkpointing connections can corrupt the file in SQLite before 3.51.3
    # (https://sqlite.org/wal.html#walresetbug).
    "PRAGMA wal_autocheckpoint = 0",
)


def connect(path: Path, *, mode: str = "rw") -> sqlite3.Connection:
    """Open a bare connection. It may move from one thread to another, but two may never use it at the same time.

    `mode` is a mode of SQLite's URIs: ro, rw or rwc, which creates the file.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )
    # SQLite writes large sorts to a temporary file otherwise, and fails where the system has no folder for it.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def make_writer(connection: sqlite3.Connection) -> None:
    """Prepare a connection for durable writes. This changes the journal mode, so the file must be a runsvc store."""
    for pragma in _WRITER_PRAGMAS:
        connection.execute(pragma).fetchall()
    # SQLite keeps the old mode if the file system, such as a network's, does not support write-ahead logging.
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        raise StoreUnavailable(
            "its file system does not support write-ahead logging: name a file on a local disk with --db"
        )


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection for reads. It never waits: in WAL mode the writer does not lock readers out."""
    connection = connect(path)
    for pragma in _READER_PRAGMAS:
        connection.execute(pragma).fetchall()
    return connection


@contextmanager
def translated() -> Iterator[None]:
    """Turn errors of sqlite3 into StoreUnavailable or StoreBusy."""
    try:
        yield
    except sqlite3.IntegrityError:
        # A bug or a damaged row: a retry would not help.
        raise
    except sqlite3.Error as error:
        raise translation(error) from error


def translation(error: sqlite3.Error) -> StoreUnavailable:
    """The StoreUnavailable or StoreBusy for an error. An extended code has its primary code in the low byte."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _BUSY:
        return StoreBusy(str(error))
    return StoreUnavailable(str(error))
