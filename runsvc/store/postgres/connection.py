"""Connections to the database, with all their limits of time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psycopg

from runsvc.store.postgres.values import ADAPTERS

if TYPE_CHECKING:
    from runsvc.store.postgres.place import Place

Row: TypeAlias = tuple[Any, ...]
Connection: TypeAlias = psycopg.Connection[Row]
AsyncConnection: TypeAlias = psycopg.AsyncConnection[Row]

# psycopg warns of each pipeline and transaction whose connection is lost, besides the error that it raises.
logging.getLogger("psycopg").setLevel(logging.ERROR)

#: Of the writer. The wait for the clock ends with StoreBusy, and the caller tries again. A server that stops within a
#: transaction loses it, and with it the clock.
_WRITER: Final = {
    "lock_timeout": "1s",
    "statement_timeout": "20s",
    "idle_in_transaction_session_timeout": "5s",
    # Every search of the writer has an index. A plan that was made while the tables were small must not read them whole
    # after they have grown.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
_READER: Final = {"statement_timeout": "20s", "jit": "off"}
#: An answered commit must be on the disk, also if the database's own setting is weaker.
_DURABLE: Final = """
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'
"""


def connect_writer(place: Place) -> Connection:
    """Open the connection of the writer, which begins and ends transactions by statements."""
    connection = psycopg.connect(
        **place.parameters, autocommit=True, context=ADAPTERS, prepare_threshold=0
    )
    try:
        connection.execute(_settings(_WRITER), prepare=False)
        connection.execute(_DURABLE)
    except BaseException:
        connection.close()
        raise
    return connection


async def connect_reader(place: Place) -> AsyncConnection:
    """Open a connection for reads. Each statement is a transaction of its own."""
    connection = await psycopg.AsyncConnection.connect(
        **place.parameters, autocommit=True, context=ADAPTERS, prepare_threshold=2
    )
    try:
        await connection.execute(_settings(_READER), prepare=False)
    except BaseException:
        await connection.close()
        raise
    return connection


def _settings(values: dict[str, str]) -> bytes:
    return "; ".join(f"SET {name} = '{value}'" for name, value in values.items()).encode()
