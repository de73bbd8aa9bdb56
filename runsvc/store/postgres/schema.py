"""The tables of a store: their creation, and their migration to the current version."""

from __future__ import annotations

import time
from importlib import resources
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import psycopg

from runsvc.core.errors import StoreRefused
from runsvc.store.postgres.sql import BEGIN, LOCK

if TYPE_CHECKING:
    from runsvc.store.postgres.connection import Connection
    from runsvc.store.postgres.place import Place

#: The oldest version that the tests use.
_OLDEST: Final = 150_000
_VERSIONS: Final = "runsvc_schema"
_CREATE: Final = f"""
    CREATE TABLE IF NOT EXISTS {_VERSIONS} (
      version bigint PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()
    )
"""
#: Errors of two servers that create the same objects at the same time.
_RACES: Final = (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable)
_ATTEMPTS: Final = 5


def prepare(connection: Connection, place: Place, *, migrate: bool) -> str:
    """Create the tables, or migrate them, and return the id of the store.

    Raise StoreRefused if the database cannot be used, if its schema is newer than this program, and, unless `migrate`,
    if it is older.
    """
    _check_server(connection, place)
    version, known = current_version(connection), len(migrations())
    if version > known:
        raise StoreRefused(
            place.name,
            f"a newer runsvc wrote its schema (version {version}, this one knows {known}): update runsvc",
        )
    if version < known and not migrate:
        raise StoreRefused(
            place.name,
            f"its schema has version {version}, this runsvc needs {known}: run `runsvc admin migrate`, "
            "or serve without --no-migrate",
        )
    if version < known:
        _migrate(connection, place)
    ((store_id,),) = connection.execute("SELECT store_id FROM clock").fetchall()
    return str(store_id)


def current_version(connection: Connection) -> int:
    """The version of the schema; 0 without one."""
    (found,) = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (_VERSIONS,)).fetchall()
    if not found[0]:
        return 0
    ((version,),) = connection.execute(
        f"SELECT coalesce(max(version), 0) FROM {_VERSIONS}".encode()
    ).fetchall()
    return int(version)


def migrations() -> list[str]:
    """The scripts, each of which leads from the version before it to its own."""
    folder = resources.files("runsvc.store") / "migrations" / "postgres"
    scripts = [script for script in folder.iterdir() if script.name.endswith(".sql")]
    return [script.read_text("utf-8") for script in sorted(scripts, key=lambda found: found.name)]


def _check_server(connection: Connection, place: Place) -> None:
    if connection.info.server_version < _OLDEST:
        raise StoreRefused(place.name, "runsvc needs PostgreSQL 15 or newer: upgrade the database")
    ((encoding,),) = connection.execute("SHOW server_encoding").fetchall()
    if encoding != "UTF8":
        raise StoreRefused(
            place.name, f"its encoding is {encoding}: create the database with the encoding UTF8"
        )


def _migrate(connection: Connection, place: Place) -> None:
    """Migrate in one transaction, in which no other server writes. Several servers may start at the same time."""
    for attempt in range(_ATTEMPTS):
        try:
            _create(connection, place)
            break
        except _RACES:
            connection.execute("ROLLBACK")
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.1)
    try:
        _apply(connection)
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise


def _create(connection: Connection, place: Place) -> None:
    if place.schema is not None:
        # Not IF NOT EXISTS alone, which needs the right to create schemas even if this one exists.
        (found,) = connection.execute("SELECT to_regnamespace(%s)", (place.schema,)).fetchall()
        if found[0] is None:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {place.schema}".encode())
    connection.execute(_CREATE.encode())


def _apply(connection: Connection) -> None:
    connection.execute(BEGIN.encode())
    # A migration may take long, and waits for the reads that are under way.
    connection.execute("SET LOCAL statement_timeout = 0")
    connection.execute("SET LOCAL lock_timeout = '60s'")
    connection.execute(f"LOCK TABLE {_VERSIONS} IN EXCLUSIVE MODE".encode())
    version, scripts = current_version(connection), migrations()
    if version > 0:
        connection.execute(LOCK.encode())
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.execute(script.encode(), prepare=False)
        connection.execute(f"INSERT INTO {_VERSIONS} (version) VALUES (%s)".encode(), (number,))
    if version == 0:
        begin_store(connection)
    connection.execute("COMMIT")


def begin_store(connection: Connection) -> None:
    """Insert the clock of a new store into its empty tables."""
    connection.execute("INSERT INTO clock VALUES (1, %s)", (str(uuid4()),))
    connection.execute("INSERT INTO commits VALUES (0, 0, 0, 0, %s::text::uuid)", (str(uuid4()),))
