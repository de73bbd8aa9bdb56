"""Several servers over one shared store, in this process."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runsvc.rpc.server import OPTIONS
from runsvc.service import running
from runsvc.settings import Settings
from tests.support.server import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from runsvc.store.base import Store
    from tests.support.server import Client


class Servers:
    """Servers that a test starts and stops, each with a client."""

    def __init__(self, make_store: Callable[[], Store], settings: dict[str, object]) -> None:
        self._make_store = make_store
        self._settings = settings
        self._stacks: dict[Client, AsyncExitStack] = {}
        #: Calls of a client may be under way when its server stops, so it is closed last.
        self._clients = AsyncExitStack()

    async def start(self, **settings: object) -> Client:
        """Start one more server."""
        fields = {"listen": "127.0.0.1:0", "db": Path("unused"), "grace": 2.0}
        everything = Settings(**fields | self._settings | settings)  # type: ignore[arg-type]
        stack = AsyncExitStack()
        served = running(everything, options=OPTIONS, store=self._make_store())
        addresses = await stack.enter_async_context(served)
        client = await self._clients.enter_async_context(client_of(addresses))
        self._stacks[client] = stack
        return client

    async def stop(self, client: Client) -> None:
        """Stop a server."""
        await self._stacks.pop(client).aclose()

    async def stop_all(self) -> None:
        """Stop every server that still runs."""
        for client in list(self._stacks):
            await self.stop(client)
        await self._clients.aclose()


@asynccontextmanager
async def servers(make_store: Callable[[], Store], **settings: object) -> AsyncIterator[Servers]:
    """Servers over one store during the block."""
    every = Servers(make_store, settings)
    try:
        yield every
    finally:
        await every.stop_all()
