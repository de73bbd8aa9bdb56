"""Checks of the file before it is used, and its migration to the current schema."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from runsvc.core.errors import StoreRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runsvc.store.base import Codec

#: "RUNS", in the header of every store.
APPLICATION_ID: Final = 0x52554E53
_USE_ANOTHER: Final = "name another file with --db, or move this one away"
_RESTORE: Final = "restore a backup, or name another file with --db"
#: The codes of SQLite for invalid pages, and for missing tables or rows.
_DAMAGE: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, None}
)


def resolved(path: Path) -> Path:
    """The path without symbolic links. StoreRefused if they form a loop."""
    try:
        found = path.resolve()
        # From Python 3.13 on, resolve() returns a loop as it is.
        looping = found.is_symlink()
    except (RuntimeError, OSError):
        looping = True
    if looping:
        raise StoreRefused(
            str(path),
            "its symbolic links form a loop: correct them, or name another file with --db",
        )
    return found


def check_usable(path: Path) -> None:
    """StoreRefused if no store can be opened or created at this path."""
    if path.exists() and not path.is_file():
        raise StoreRefused(str(path), "it is a folder or a device: name a file with --db")
    if path.exists() and path.stat().st_nlink > 1:
        raise StoreRefused(
            str(path),
            "it has a second name (a hard link), under which a second server could open it: remove that name",
        )
    if not path.parent.is_dir():
        raise StoreRefused(str(path), f"the folder {path.parent} does not exist: create it first")
    if not (os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))):
        raise StoreRefused(
            str(path),
            "this user may not write it or its folder: grant write access, or name another file with --db",
        )


def check_header(path: Path) -> None:
    """StoreRefused if the header names another program. SQLite is not used, because it might write to the file."""
    # SQLite first has to roll back a journal that a crash left behind.
    if not path.exists() or path.with_name(f"{path.name}-journal").exists():
        return
    with path.open("rb") as file:
        header = file.read(100)
    if header and not header.startswith(b"SQLite format 3\0"):
        raise StoreRefused(str(path), f"it is not a database: {_USE_ANOTHER}")
    if header and header[68:72] != APPLICATION_ID.to_bytes(4, "big"):
        raise StoreRefused(str(path), f"it is another program's database: {_USE_ANOTHER}")


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """StoreRefused if the file belongs to another program or a newer release. The file is not changed."""
    version, known = _version(connection, path), len(_migrations())
    if version > known:
        raise StoreRefused(
            str(path),
            f"it was written by a newer runsvc (schema {version}, this one knows {known}): update runsvc",
        )


def check_current(connection: sqlite3.Connection, path: Path) -> None:
    """StoreRefused unless the file has the current schema. The file is not changed."""
    check_version(connection, path)
    version, known = _version(connection, path), len(_migrations())
    if version < known:
        raise StoreRefused(
            str(path),
            f"an older runsvc wrote it (schema {version}, this one needs {known}): "
            "start `runsvc serve` of this release on it once, which migrates it, and stop that server",
        )


def migrate(
    connection: sqlite3.Connection, path: Path, codec: Codec, *, is_copy: bool = False
) -> None:
    """Create the tables, or migrate them to the current version, in one transaction. A copy gets another store id."""
    scripts, version = _migrations(), _version(connection, path)
    if version == len(scripts) and not is_copy:
        return
    _add_functions(connection, codec)
    connection.execute("BEGIN IMMEDIATE")
    for script in scripts[version:]:
        for statement in _statements(script):
            connection.execute(statement)
    if version == 0:
        connection.execute("INSERT INTO clock VALUES (1, ?, 0, 0, 0)", (str(uuid4()),))
    elif is_copy:
        connection.execute("UPDATE clock SET store_id = ?", (str(uuid4()),))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(scripts)}")
    connection.execute("COMMIT")


@contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged file into StoreRefused."""
    try:
        yield
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        raise StoreRefused(str(path), f"it is damaged ({error}): {_RESTORE}") from error


def is_damage(error: sqlite3.Error) -> bool:
    """True if an error means a damaged file, and not one that is locked or out of reach."""
    return getattr(error, "sqlite_errorcode", None) in _DAMAGE


def _version(connection: sqlite3.Connection, path: Path) -> int:
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_NOTADB:
            raise
        raise StoreRefused(str(path), f"it is not a database: {_USE_ANOTHER}") from error
    if application_id != APPLICATION_ID and (tables or application_id or version):
        raise StoreRefused(str(path), f"it is another program's database: {_USE_ANOTHER}")
    return int(version)


def _migrations() -> list[str]:
    folder = resources.files("runsvc.store") / "migrations" / "sqlite"
    scripts = [script for script in folder.iterdir() if script.name.endswith(".sql")]
    return [script.read_text("utf-8") for script in sorted(scripts, key=lambda found: found.name)]


def _add_functions(connection: sqlite3.Connection, codec: Codec) -> None:
    """Add the SQL functions that the scripts call."""
    connection.create_function("run_body", 1, lambda encoded: codec.split(encoded).body)
    connection.create_function("run_activity", 1, lambda encoded: codec.split(encoded).activity)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script. executescript() of sqlite3 would commit in between."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
