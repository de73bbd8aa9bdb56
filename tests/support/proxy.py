"""A proxy between a client and a server that can delay, swallow and cut their traffic."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Proxy:
    """Forwards connections; on request it holds back the server's responses or cuts the connections."""

    def __init__(self, server: str) -> None:
        self._host, _, self._port = server.rpartition(":")
        self._forwards_responses = asyncio.Event()
        self._forwards_responses.set()
        self._is_swallowing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.address = ""

    def swallow(self) -> None:
        """Discard the bytes of both sides and keep the connections open, as an unplugged cable does."""
        self._is_swallowing = True

    def mute(self) -> None:
        """Hold back the server's responses from now on."""
        self._forwards_responses.clear()

    def cut(self) -> None:
        """Abort every connection and drop its held-back responses; forward new connections normally."""
        self._is_swallowing = False
        for writer in self._writers:
            writer.transport.abort()
        self._forwards_responses.set()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        try:
            server_reader, server_writer = await asyncio.open_connection(
                self._host, int(self._port)
            )
        except OSError:
            writer.close()
            return
        self._writers |= {writer, server_writer}
        await asyncio.gather(
            self._pass(reader, server_writer),
            self._pass(server_reader, writer, self._forwards_responses),
        )
        self._writers -= {writer, server_writer}

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
                if not self._is_swallowing:
                    writer.write(chunk)
                    await writer.drain()
        if not self._is_swallowing:
            writer.close()


@asynccontextmanager
async def proxied(server: str) -> AsyncIterator[Proxy]:
    """Run a proxy of the server during the block."""
    proxy = Proxy(server)
    listening = await asyncio.start_server(proxy.forward, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    proxy.address = f"{host}:{port}"
    try:
        yield proxy
    finally:
        listening.close()
        proxy.cut()
