"""The store of several servers: a PostgreSQL database, which all of them read and write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runsvc.store.postgres import schema
from runsvc.store.postgres.connection import connect_writer
from runsvc.store.postgres.failures import refusing
from runsvc.store.postgres.intake import copy_into
from runsvc.store.postgres.place import place
from runsvc.store.postgres.pool import Pool
from runsvc.store.postgres.reading import PostgresReading
from runsvc.store.postgres.shared import PostgresSharedLog
from runsvc.store.postgres.writing import PostgresWriting
from runsvc.timekeeper import Timekeeper

if TYPE_CHECKING:
    from runsvc.store.base import Codec
    from runsvc.store.shared import SharedLog


__all__ = ["PostgresStore", "copy_into", "migrate"]


class PostgresStore:
    """Implements Store on a database, in which it creates its tables if there are none."""

    kind = "postgresql"

    def __init__(
        self, url: str, codec: Codec, timekeeper: Timekeeper | None = None, *, migrate: bool = True
    ) -> None:
        self._place = place(url)
        self._migrate = migrate
        self._pool = Pool(self._place)
        self.reading = PostgresReading(self._pool, codec)
        self.shared: SharedLog | None = PostgresSharedLog(self._place, self._pool)
        self.writing = PostgresWriting(self._place, timekeeper or Timekeeper())

    def log_bytes(self) -> int:
        return 0

    async def open(self) -> None:
        await asyncio.to_thread(self._open_writing)
        await self._pool.open()

    async def close(self) -> None:
        if self.shared is not None:
            await self.shared.close()
        await self._pool.close()
        self.writing.close()

    def _open_writing(self) -> None:
        with refusing(self._place.name):
            connection = connect_writer(self._place)
            try:
                store_id = schema.prepare(connection, self._place, migrate=self._migrate)
            except BaseException:
                connection.close()
                raise
        self.writing.open(connection, store_id)


def migrate(url: str) -> int:
    """Create or migrate the tables of a store, and return the version of its schema. StoreRefused, StoreUnavailable."""
    at = place(url)
    with refusing(at.name), connect_writer(at) as connection:
        schema.prepare(connection, at, migrate=True)
        return schema.current_version(connection)
