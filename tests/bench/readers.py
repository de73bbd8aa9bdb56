"""Readers of many streams over a few connections, with the time of each stream's last message."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.bench import http2
from tests.bench.systems import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Streams per connection: the most that runsvc allows.
_STREAMS: Final = 100
#: Streams that are opened at once, and the pause after them in seconds. A server sheds a larger burst.
_BURST, _PAUSE = 100, 0.05


class Readers:
    """Open streams of one method."""

    def __init__(self, connections: list[http2.Connection]) -> None:
        self._connections = connections
        self._open: list[tuple[http2.Connection, int]] = []
        #: Messages received on all streams.
        self.count = 0
        #: The newest message of any stream.
        self.newest = b""
        #: Time of each stream's newest message, by perf_counter().
        self.times: list[float] = []
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None
        #: The error of the first stream that ended.
        self._failure: Exception | None = None

    @classmethod
    async def open(cls, address: str, method: str, requests: list[bytes]) -> Readers:
        """Open a stream for each request."""
        count = 1 + (len(requests) - 1) // _STREAMS
        connections = await asyncio.gather(*(http2.Connection.open(address) for _ in range(count)))
        readers = cls(connections)
        for begin in range(0, len(requests), _BURST):
            readers.start(method, requests[begin : begin + _BURST])
            await asyncio.sleep(_PAUSE)
        return readers

    def start(self, method: str, requests: Iterable[bytes]) -> None:
        """Open a stream for each request, distributed over the connections."""
        for number, request in enumerate(requests, start=len(self._open)):
            connection = self._connections[number % len(self._connections)]
            self.times.append(0.0)
            on_message: Callable[[bytes], None] = partial(self._on_message, number)
            stream, ended = connection.stream(method, request, on_message)
            ended.add_done_callback(self._on_end)
            self._open.append((connection, stream))

    async def reach(self, count: int) -> None:
        """Wait until all streams together have received this many messages.

        Raise Refused or ConnectionLost if a stream ends first.
        """
        if self.count < count:
            if self._failure is not None:
                raise self._failure
            self._wanted, self._reached = count, asyncio.get_running_loop().create_future()
            await self._reached

    def close(self) -> None:
        """Cancel the streams and close the connections."""
        for connection, stream in self._open:
            connection.cancel(stream)
        for connection in self._connections:
            connection.close()

    def _on_message(self, number: int, message: bytes) -> None:
        self.times[number] = time.perf_counter()
        self.newest = message
        self.count += 1
        if self.count == self._wanted and self._reached is not None and not self._reached.done():
            self._reached.set_result(None)

    def _on_end(self, ended: asyncio.Future[http2.Reply]) -> None:
        if ended.cancelled():
            return
        if ended.exception() is not None:
            failure: Exception = http2.ConnectionLost()
        else:
            failure = Refused(f"a stream ended: gRPC status {ended.result().status}")
        self._failure = self._failure or failure
        if self._reached is not None and not self._reached.done():
            self._reached.set_exception(failure)
