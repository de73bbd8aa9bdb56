"""A reader of the file on a thread of its own, for reads that may return many rows."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from runsvc.core.errors import StoreUnavailable
from runsvc.store.sqlite.connection import connect_reader, translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    Parameters: TypeAlias = Mapping[str, object] | Sequence[object]

Rows = list[tuple[Any, ...]]


class _Read(NamedTuple):
    statement: str
    parameters: Parameters
    max_bytes: int | None
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Rows]


class ReadThread:
    """Runs one statement at a time, from its first row to its last: its rows are as of one moment.

    A statement that has begun runs to its end, even if its caller gives up. So it never leaves a read transaction open,
    in which the next statement would read an old state.

    It is not an executor of concurrent.futures, whose futures take longer than a short statement.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._closed = False
        self._inbox: queue.SimpleQueue[_Read | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="runsvc-reader", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path) -> ReadThread:
        """Connect to a file."""
        return cls(connect_reader(path))

    async def close(self) -> None:
        """Disconnect, after the statements that wait."""
        if not self._closed:
            self._closed = True
            self._inbox.put(None)
            await asyncio.to_thread(self._thread.join)

    async def fetch(
        self, statement: str, parameters: Parameters = (), *, max_bytes: int | None = None
    ) -> Rows:
        """Return the rows.

        With `max_bytes`, the last two columns are bytes, and the rows end with the one that takes their sum over it.
        """
        if self._closed:
            raise StoreUnavailable("it is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Rows] = loop.create_future()
        self._inbox.put(_Read(statement, parameters, max_bytes, loop, answer))
        with translated():
            return await answer

    def _work(self) -> None:
        while (read := self._inbox.get()) is not None:
            self._answer(read)
        self._connection.close()

    def _answer(self, read: _Read) -> None:
        try:
            rows = _fetch(self._connection, *read[:3])
        except Exception as failure:  # noqa: BLE001 - every failure is the caller's.
            read.loop.call_soon_threadsafe(_settle, read.answer, failure)
        else:
            read.loop.call_soon_threadsafe(_settle, read.answer, rows)


def _settle(answer: asyncio.Future[Rows], result: Rows | Exception) -> None:
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)


def _fetch(
    connection: sqlite3.Connection, statement: str, parameters: Parameters, max_bytes: int | None
) -> Rows:
    cursor = connection.execute(statement, parameters)
    if max_bytes is None:
        return cursor.fetchall()
    try:
        found: Rows = []
        size = 0
        for row in cursor:
            found.append(row)
            size += len(row[-1]) + len(row[-2])
            if size > max_bytes:
                break
        return found
    finally:
        # Ends the read transaction if rows are left.
        cursor.close()
