"""What servers of one database learn of each other: the log, progress by number, and hints by LISTEN and NOTIFY."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import psycopg

from runsvc.core.errors import StoreUnavailable
from runsvc.store import rows
from runsvc.store.postgres.connection import connect_reader
from runsvc.store.postgres.failures import translated
from runsvc.store.postgres.progress import KEPT, NEWEST
from runsvc.store.postgres.reading import CLOCK, LOG, STATE, to_clock
from runsvc.store.shared import Head, Progressed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from psycopg import Notify

    from runsvc.store.postgres.connection import AsyncConnection
    from runsvc.store.postgres.place import Place
    from runsvc.store.postgres.pool import Pool

#: Seconds that a hint to itself may take.
_SELF_TEST: Final = 2.0

_HEAD: Final = f"""
    {CLOCK}, ({NEWEST}), found.* FROM {STATE}
    LEFT JOIN (
      SELECT {LOG} FROM log WHERE log.revision > %s ORDER BY log.revision LIMIT %s
    ) AS found ON true
    ORDER BY found.revision
"""
_PROGRESSED: Final = f"""
    SELECT newest.number, found.* FROM ({NEWEST}) AS newest (number)
    LEFT JOIN (
      SELECT progressed.number, run_id, owner, thread_id, assistant_id
      FROM progressed JOIN runs USING (run_id)
      WHERE progressed.number > %s ORDER BY progressed.number LIMIT %s
    ) AS found ON true
    ORDER BY found.number
"""


class PostgresSharedLog:
    """Implements SharedLog."""

    def __init__(self, place: Place, pool: Pool) -> None:
        self._place = place
        self._pool = pool
        #: The name of the channel, which belongs to the store: a database may hold several.
        self._channel = ""
        self._connection: AsyncConnection | None = None
        #: Marks the hints of this server.
        self._sender = uuid4().hex

    async def head(self, revision: int, limit: int) -> Head:
        found = await self._pool.fetch(_HEAD, (revision, limit))
        if not found:
            raise StoreUnavailable("the database holds no store any more: restart the server")
        entries = [rows.to_entry(row[5:]) for row in found if row[5] is not None]
        return Head(to_clock(found[0]), found[0][4], entries)

    async def progressed(self, number: int, limit: int) -> Sequence[Progressed] | None:
        found = await self._pool.fetch(_PROGRESSED, (number, limit))
        if number < found[0][0] - KEPT:
            return None
        return [Progressed(*row[1:]) for row in found if row[1] is not None]

    async def listen(self) -> bool:
        await self.close()
        with translated():
            self._connection = await connect_reader(self._place)
            channel = await self._channel_name()
            await self._connection.execute(f"LISTEN {channel}".encode())
            return await self._hears_itself(self._connection)

    async def hinted(self) -> None:
        if self._connection is None:
            raise StoreUnavailable("the connection for hints is closed")
        is_other = False
        with translated():
            while not is_other:
                # To its end: it holds the connection until then.
                async for notify in self._connection.notifies(stop_after=1):
                    is_other |= notify.payload != self._sender

    async def hint(self) -> None:
        await self._notify(self._sender)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()

    async def _notify(self, payload: str) -> None:
        await self._pool.fetch("SELECT pg_notify(%s, %s)", (await self._channel_name(), payload))

    async def _channel_name(self) -> str:
        if not self._channel:
            ((store_id,),) = await self._pool.fetch("SELECT store_id FROM clock")
            self._channel = "runsvc_" + "".join(filter(str.isalnum, store_id)).lower()
        return self._channel

    async def _hears_itself(self, connection: AsyncConnection) -> bool:
        """Send a hint over another connection. A pooler in between may accept LISTEN, and deliver nothing."""
        token = uuid4().hex
        await self._notify(token)
        heard = await _hears(connection.notifies(timeout=_SELF_TEST), token)
        if not heard:
            await self.close()
        return heard


async def _hears(notifies: AsyncGenerator[Notify, None], token: str) -> bool:
    async for notify in notifies:
        if notify.payload == token:
            await notifies.aclose()
            return True
    return False
