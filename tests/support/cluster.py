"""Server processes over one PostgreSQL database, which a test kills, stops and pauses."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import psycopg

from runsvc.store.postgres.place import place
from tests.history.recording import Write
from tests.support.server import Client, Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

#: Seconds of a pause.
A_WHILE = 1.0


class Cluster:
    """Servers of one database, each with a client."""

    def __init__(self, url: str, servers: list[Process], clients: list[Client]) -> None:
        self.url = url
        self.servers = servers
        self.clients = clients

    async def kill(self, number: int) -> None:
        """Kill a server and start it again at its address."""
        await self.servers[number].kill()
        await self.servers[number].start_again()

    async def stop(self, number: int) -> None:
        """Stop a server and start it again at its address."""
        assert await self.servers[number].stop() == 0
        await self.servers[number].start_again()

    async def pause(self, number: int) -> None:
        """Stop the process of a server for a while."""
        self.servers[number].signal(signal.SIGSTOP)
        await asyncio.sleep(A_WHILE)
        self.servers[number].signal(signal.SIGCONT)

    def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement within the schema of the store."""
        with psycopg.connect(**place(self.url).parameters, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def writes(self) -> list[Write]:
        """The log of the store."""
        columns = ", ".join(Write._fields)
        return [Write(*row) for row in self.fetch(f"SELECT {columns} FROM log ORDER BY revision")]


@asynccontextmanager
async def cluster(url: str, *arguments: str, count: int = 3) -> AsyncIterator[Cluster]:
    """Run this many servers during the block."""
    async with AsyncExitStack() as stack:
        servers, clients = [], []
        for number in range(count):
            # The name of its connections in pg_stat_activity.
            env = {"PGAPPNAME": f"server-{number}"}
            process = Process(cast("Path", url), *arguments, env=env)
            servers.append(await stack.enter_async_context(process))
            client = Client(process.address)
            stack.push_async_callback(client.close)
            clients.append(client)
        yield Cluster(url, servers, clients)
