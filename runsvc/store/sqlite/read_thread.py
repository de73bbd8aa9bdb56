"""A reader of the file on a thread of its own, for reads that may return many rows."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.errors import StoreUnavailable
from runsvc.store.sqlite.connection import connect_reader, translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Rows = list[tuple[Any, ...]]

#: Rows that are fetched before their bytes are counted.
_CHUNK: Final = 32


class ReadThread:
    """Runs one statement at a time, from its first row to its last: its rows are as of one moment.

    A statement that has begun runs to its end, even if its caller gives up. So it never leaves a read transaction open,
    in which the next statement would read an old state.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="runsvc-reader")

    @classmethod
    def open(cls, path: Path) -> ReadThread:
        """Connect to a file."""
        return cls(connect_reader(path))

    async def close(self) -> None:
        """Disconnect, after the statements that wait."""
        connection, self._connection = self._connection, None
        if connection is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, connection.close)
            self._executor.shutdown(wait=False)

    async def fetch(
        self,
        statement: str,
        parameters: Mapping[str, object] | Sequence[object] = (),
        *,
        max_bytes: int | None = None,
    ) -> Rows:
        """Return the rows.

        With `max_bytes`, the last two columns are bytes, and the rows end soon after these exceed that sum.
        """
        if (connection := self._connection) is None:
            raise StoreUnavailable("it is closed")
        loop = asyncio.get_running_loop()
        with translated():
            return await loop.run_in_executor(
                self._executor, _fetch, connection, statement, parameters, max_bytes
            )


def _fetch(
    connection: sqlite3.Connection,
    statement: str,
    parameters: Mapping[str, object] | Sequence[object],
    max_bytes: int | None,
) -> Rows:
    cursor = connection.execute(statement, parameters)
    if max_bytes is None:
        return cursor.fetchall()
    try:
        found: Rows = []
        size = 0
        while size <= max_bytes and (chunk := cursor.fetchmany(_CHUNK)):
            found += chunk
            size += sum(len(row[-1]) + len(row[-2]) for row in chunk)
        return found
    finally:
        # Ends the read transaction if rows are left.
        cursor.close()
