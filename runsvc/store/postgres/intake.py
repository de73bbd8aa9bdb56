"""The content of another store, copied into an empty database in one transaction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import psycopg

from runsvc.core.errors import StoreRefused
from runsvc.store.contents import TABLES, Copied, Digest, check_same
from runsvc.store.postgres import schema
from runsvc.store.postgres.connection import connect_writer
from runsvc.store.postgres.failures import refusing
from runsvc.store.postgres.place import place
from runsvc.store.postgres.sql import BEGIN, LOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runsvc.store.contents import Clock, Contents, Progress, Table
    from runsvc.store.postgres.connection import Connection
    from runsvc.store.postgres.place import Place
    from runsvc.store.rows import Row

#: Microseconds after which a server that did not register again has ended.
_DEAD: Final = 60_000_000
#: Rows of one FETCH.
_FETCHED: Final = 500
#: A large copy takes longer than any limit of the writer.
_NO_LIMITS: Final = """
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL lock_timeout = '10s'; SET LOCAL enable_seqscan = on
"""
_IS_EMPTY: Final = f"""
    SELECT (SELECT max(revision) FROM commits) = 0
      AND NOT ({" OR ".join(f"EXISTS (SELECT 1 FROM {table.name})" for table in TABLES)})
"""
_SERVER: Final = "SELECT server FROM servers WHERE seen_at > %s LIMIT 1"
_ADVANCE: Final = """
    INSERT INTO commits SELECT max(number) + 1, %s, %s, %s, %s::text::uuid FROM commits
"""


def copy_into(url: str, source: Contents, progress: Progress) -> Copied:
    """Copy a store into a database whose tables are empty or missing, check the copy, and give it a new id.

    Nothing is changed unless all of it succeeds, except that missing tables may have been created. Raise StoreRefused,
    StoreUnavailable.
    """
    at = place(url)
    with refusing(at.name), connect_writer(at) as connection:
        schema.prepare(connection, at, migrate=True)
        # A failure closes the connection, and so rolls back.
        connection.execute(BEGIN.encode())
        connection.execute(_NO_LIMITS.encode(), prepare=False)
        _check_empty(connection, at)
        counts = [_copy(connection, at, source, table, progress) for table in TABLES]
        clock = source.clock()
        _advance(connection, clock)
        connection.execute(b"ANALYZE runs, activity, log")
        connection.execute(b"COMMIT")
    by_name = {table.name: count for table, count in zip(TABLES, counts, strict=True)}
    return Copied(by_name["runs"], by_name["log"], clock.revision)


def _check_empty(connection: Connection, at: Place) -> None:
    """Lock the clock against servers. StoreRefused if a server is alive, or if the store has content."""
    connection.execute(LOCK.encode())
    alive_since = time.time_ns() // 1000 - _DEAD
    if connection.execute(_SERVER.encode(), (alive_since,)).fetchall():
        raise StoreRefused(
            at.name,
            "a server uses it: stop all its servers, and wait a minute for one that crashed",
        )
    ((is_empty,),) = connection.execute(_IS_EMPTY.encode()).fetchall()
    if not is_empty:
        raise StoreRefused(
            at.name,
            "it holds a store already, and a copy needs an empty one: name a new schema with ?schema=",
        )


def _copy(
    connection: Connection, at: Place, source: Contents, table: Table, progress: Progress
) -> int:
    """Copy a table, read it back and compare."""
    total, sent, stored = source.count(table), Digest(), Digest()
    _send(connection, table, _reporting(sent.reading(source.rows(table)), table, total, progress))
    stored.read(_stored(connection, table))
    check_same(at.name, table, sent, stored)
    progress(table.name, sent.count, total)
    return sent.count


def _send(connection: Connection, table: Table, found: Iterable[Row]) -> None:
    statement = f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in found:
            copy.write_row(row)


def _stored(connection: Connection, table: Table) -> Iterator[Row]:
    # Unlike a query, a cursor of the database sends the rows in parts.
    with psycopg.ServerCursor(connection, "stored") as cursor:
        cursor.itersize = _FETCHED
        statement = (
            f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {table.columns[0]}"
        )
        cursor.execute(statement.encode())
        yield from cursor


def _reporting(found: Iterable[Row], table: Table, total: int, progress: Progress) -> Iterator[Row]:
    for number, row in enumerate(found):
        progress(table.name, number, total)
        yield row


def _advance(connection: Connection, clock: Clock) -> None:
    """Set the clock. A server that has the store open does not take the copy for it."""
    connection.execute(b"DELETE FROM servers")
    connection.execute(b"UPDATE clock SET store_id = %s", (str(uuid4()),))
    connection.execute(_ADVANCE.encode(), (*clock, str(uuid4())))
