"""The connections of a client's watches. A server limits the calls of one connection; more would wait."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar
from weakref import WeakSet

from runsvc.v1.run_service_pb2_grpc import RunServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runsvc.client.bearer import SentToken
    from runsvc.client.owner import Metadata
    from runsvc.v1.run_service_pb2 import StreamStatusRequest

_Channel = TypeVar("_Channel")

#: Watches on the connection of the other calls, which need room for themselves.
SHARED: Final = 50
#: Watches on each further connection.
OWN: Final = 90


class _Line(NamedTuple):
    channel: Any
    stub: Any
    limit: int
    #: The streams in use. One that its watch has dropped disappears.
    streams: WeakSet[Any]


class Streams(Generic[_Channel]):
    """Opens the streams of watches on the client's connection, and on further ones when that is full."""

    def __init__(self, channel: _Channel, connect: Callable[[], _Channel]) -> None:
        self._connect = connect
        self._lines = [_line(channel, SHARED)]
        # Threads open watches at the same time.
        self._lock = threading.Lock()

    def open(
        self, request: StreamStatusRequest, metadata: Metadata = (), sent: SentToken | None = None
    ) -> Any:
        """Open a stream. `sent` records its token."""
        with self._lock:
            line = self._line_with_room()
            method = line.stub.StreamStatus
            if sent is None:
                stream = method(request, metadata=metadata)
            else:
                stream = sent.send(method, request, metadata=metadata)
            line.streams.add(stream)
            return stream

    def further_channels(self) -> Sequence[_Channel]:
        """Return the channels that were opened for watches alone."""
        with self._lock:
            return [line.channel for line in self._lines[1:]]

    def _line_with_room(self) -> _Line:
        for line in self._lines:
            if len(line.streams) < line.limit:
                return line
        self._lines.append(_line(self._connect(), OWN))
        return self._lines[-1]


def _line(channel: Any, limit: int) -> _Line:
    return _Line(channel, RunServiceStub(channel), limit, WeakSet())
