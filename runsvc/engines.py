"""The engines: the one that holds a store, and the work on stores that needs no server.

No other module names an engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.core.errors import StoreRefused
from runsvc.database_url import DatabaseUrl
from runsvc.store.sqlite import SqliteStore, copies
from runsvc.store.sqlite.contents import locked_contents
from runsvc.wire.codec import RunCodec

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from runsvc.settings import Settings
    from runsvc.store.base import Store
    from runsvc.store.contents import Copied, Progress
    from runsvc.timekeeper import Timekeeper


def open_store(settings: Settings, timekeeper: Timekeeper) -> Store:
    """The engine that the settings name, not yet open. StoreRefused if it is not installed, or its URL is not valid."""
    if isinstance(settings.db, DatabaseUrl):
        engine, may_migrate = _postgres(settings.db), not settings.no_migrate
        store: Store = engine.PostgresStore(
            settings.db.url, RunCodec(), timekeeper, migrate=may_migrate
        )
        return store
    return SqliteStore(settings.db, RunCodec(), timekeeper)


def back_up(db: Path | DatabaseUrl, target: Path) -> None:
    """Write a consistent copy of the store to a new file. A server may serve the store. StoreRefused."""
    copies.backup(_file(db, "pg_dump"), target)


def restore(backup: Path, db: Path | DatabaseUrl) -> None:
    """Replace a store, which no server may use, by a copy of a backup. StoreRefused."""
    copies.restore(backup, _file(db, "pg_restore"))


def migrate(db: Path | DatabaseUrl) -> int:
    """Create or migrate the tables of a database, and return the version of its schema. StoreRefused."""
    if not isinstance(db, DatabaseUrl):
        raise StoreRefused(
            str(db), "it is a file, which `runsvc serve` migrates at its start: name a database"
        )
    version: int = _postgres(db).migrate(db.url)
    return version


def copy(source: Path | DatabaseUrl, target: Path | DatabaseUrl, progress: Progress) -> Copied:
    """Copy a file, which no server may use, into an empty database. StoreRefused, StoreUnavailable."""
    if isinstance(source, DatabaseUrl):
        raise StoreRefused(
            str(source), "it is a database, and --from names a file: use pg_dump and pg_restore"
        )
    if not isinstance(target, DatabaseUrl):
        raise StoreRefused(
            str(target),
            "it is a file, and --to names a database: use `runsvc admin backup` to copy a file",
        )
    engine = _postgres(target)
    with locked_contents(source) as contents:
        copied: Copied = engine.copy_into(target.url, contents, progress)
        return copied


def _postgres(db: DatabaseUrl) -> ModuleType:
    """The engine, imported here only: an installation for SQLite lacks its driver."""
    try:
        from runsvc.store import postgres
    except ImportError as missing:
        raise StoreRefused(
            str(db),
            f"its driver is not installed ({missing}): pip install '/path/to/runsvc[server,postgres]'",
        ) from missing
    return postgres


def _file(db: Path | DatabaseUrl, tool: str) -> Path:
    if isinstance(db, DatabaseUrl):
        raise StoreRefused(
            str(db), f"it is a database, and this command copies files: use {tool} of PostgreSQL"
        )
    return db
