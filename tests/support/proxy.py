"""A proxy that stands between a client and a server, and can break what passes through it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Proxy:
    """Connections that are forwarded; answers can be kept back, and connections cut."""

    def __init__(self, server: str) -> None:
        self._host, _, self._port = server.rpartition(":")
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._swallows = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.address = ""

    def swallow(self) -> None:
        """Take everything from both sides, pass nothing on, and keep the connections: a cable that was cut."""
        self._swallows = True

    def mute(self) -> None:
        """Keep the server's answers back from now on."""
        self._speaks.clear()

    def cut(self) -> None:
        """Break every connection, with what was kept back on it; new ones are forwarded whole."""
        self._swallows = False
        for writer in self._writers:
            writer.transport.abort()
        self._speaks.set()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            there, back = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer, self._speaks))
        self._writers -= {writer, back}

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event | None = None,
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                if gate is not None:
                    await gate.wait()
                if not self._swallows:
                    writer.write(chunk)
                    await writer.drain()
        if not self._swallows:
            writer.close()


@asynccontextmanager
async def proxied(server: str) -> AsyncIterator[Proxy]:
    """A proxy of the server for as long as the block lasts."""
    proxy = Proxy(server)
    listening = await asyncio.start_server(proxy.forward, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    proxy.address = f"{host}:{port}"
    try:
        yield proxy
    finally:
        listening.close()
        proxy.cut()
