"""Backup and restore of a store's file, on the host of the file.

Both write a complete file under another name, check it, flush it and rename it, so that a crash leaves the old state or
the new one. A copy gets another store id, because its revisions may be used again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from runsvc.core.errors import StoreRefused
from runsvc.store.sqlite.connection import connect, translated
from runsvc.store.sqlite.consistency import contradiction
from runsvc.store.sqlite.lock import ServerLock
from runsvc.store.sqlite.schema import (
    check_header,
    check_usable,
    check_version,
    refusing_damage,
    resolved,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: The files that belong to a former state of a store.
_BESIDE: Final = ("-wal", "-shm", "-journal")


def backup(db: Path, target: Path) -> None:
    """Write a consistent copy of a store, which a server may serve, to a new file. StoreRefused, StoreUnavailable."""
    db, target = existing(db), resolved(target)
    check_usable(target)
    if target.exists():
        raise StoreRefused(str(target), "it exists already: name a new file")
    with _copy_of(db, target) as copy:
        copy.rename(target)
        _flush(target.parent)


def restore(source: Path, db: Path) -> None:
    """Replace a store, which no server may use, by a copy of a backup. StoreRefused, StoreUnavailable."""
    source, db = existing(source), resolved(db)
    check_usable(db)
    check_header(db)
    if source == db:
        raise StoreRefused(str(db), "it is the backup itself: name the file to restore it to")
    existed = db.exists()
    lock = ServerLock(db)
    lock.take()
    try:
        with _copy_of(source, db) as copy:
            # The old file stays complete until it is replaced, and its -wal never lies beside the new one.
            with suppress(sqlite3.Error), closing(connect(db)) as old:
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            for suffix in _BESIDE:
                db.with_name(f"{db.name}{suffix}").unlink(missing_ok=True)
            copy.rename(db)
            _flush(db.parent)
        existed = True
    finally:
        if not existed:
            db.unlink(missing_ok=True)
        lock.release()


def existing(path: Path) -> Path:
    """The path of a store's file without symbolic links. StoreRefused if there is none."""
    path = resolved(path)
    if not path.is_file():
        raise StoreRefused(str(path), "it does not exist: name the file of a store")
    check_header(path)
    return path


@contextmanager
def _copy_of(source: Path, target: Path) -> Iterator[Path]:
    """A checked and flushed copy beside the target, for its owner only. It is removed unless it is renamed."""
    copy = target.with_name(f"{target.name}.partial")
    # A crash may have left one.
    copy.unlink(missing_ok=True)
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with translated(), refusing_damage(source):
            with closing(connect(source, mode="ro")) as connection:
                check_version(connection, source)
                connection.execute("VACUUM INTO ?", (str(copy),))
            with closing(connect(copy)) as connection:
                detail = contradiction(connection, full=True)
                connection.execute("UPDATE clock SET store_id = ?", (str(uuid4()),))
        if detail is not None:
            raise StoreRefused(str(source), f"it contradicts itself ({detail}): use another backup")
        _flush(copy)
        yield copy
    finally:
        for suffix in ("", *_BESIDE):
            copy.with_name(f"{copy.name}{suffix}").unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
