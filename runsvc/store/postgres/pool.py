"""Connections for reads."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from runsvc.core.errors import StoreUnavailable
from runsvc.store.postgres.back_off import BackOff
from runsvc.store.postgres.connection import connect_reader
from runsvc.store.postgres.failures import message, translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runsvc.store.postgres.connection import AsyncConnection, Row
    from runsvc.store.postgres.place import Place

#: Connections of a server besides the writer's.
SIZE: Final = 8
#: Seconds after which a read without an answer is given up. A silent network is noticed earlier.
_PATIENCE: Final = 30.0


class Pool:
    """Lends connections. One that fails takes the idle ones with it, because they lead to the same server."""

    def __init__(self, place: Place, size: int = SIZE) -> None:
        self._place = place
        self._idle: list[AsyncConnection] = []
        self._is_open = False
        self._free = asyncio.Semaphore(size)
        self._back_off = BackOff()

    async def open(self) -> None:
        """Begin to lend connections."""
        self._is_open = True

    async def close(self) -> None:
        """Disconnect. A lent connection is closed when it returns."""
        self._is_open = False
        await self._close_idle()

    async def fetch(self, text: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a statement. StoreUnavailable."""
        with translated():
            try:
                return await self._fetch(text, parameters)
            except psycopg.OperationalError as error:
                if error.sqlstate is not None and not error.sqlstate.startswith(("08", "57P")):
                    raise
            # The connection was idle when it was lost, for example in a restart of the database.
            return await self._fetch(text, parameters)

    async def _fetch(self, text: str, parameters: Sequence[Any]) -> list[Row]:
        async with self._lent() as connection:
            cursor = connection.cursor(binary=True)
            try:
                async with asyncio.timeout(_PATIENCE):
                    await cursor.execute(text.encode(), parameters)
            except TimeoutError as error:
                await connection.close()
                raise StoreUnavailable("a read took too long") from error
            return await cursor.fetchall()

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[AsyncConnection]:
        if not self._is_open:
            raise StoreUnavailable("it is closed")
        async with self._free:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                yield connection
            finally:
                await self._take_back(connection)

    async def _take_back(self, connection: AsyncConnection) -> None:
        if connection.info.transaction_status is TransactionStatus.IDLE and self._is_open:
            self._idle.append(connection)
            return
        if connection.broken:
            await self._close_idle()
        with suppress(psycopg.Error):
            await connection.close()

    async def _connect(self) -> AsyncConnection:
        self._back_off.check()
        try:
            connection = await connect_reader(self._place)
        except psycopg.Error as error:
            self._back_off.failed(message(error))
            raise
        self._back_off.succeeded()
        return connection

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(psycopg.Error):
                await connection.close()
