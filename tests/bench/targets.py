"""Targets of watches: threads of runsvc, and streams of the limit that send the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from google.protobuf.duration_pb2 import Duration

from runsvc.v1.run_service_pb2 import StreamStatusRequest
from tests.bench import limit_server
from tests.bench.systems import SERVICE, GrpcCaller, Refused
from tests.bench.work import new_thread

if TYPE_CHECKING:
    from tests.bench.systems import Limit, Runsvc

#: The longest heartbeat interval that the server accepts, so that only changes are counted.
_SILENCE: Final = Duration(seconds=300)


class Target(Protocol):
    """One or more streams to watch, and a way to cause messages on them."""

    #: The system that is watched. A property, so that implementations may narrow its type.
    @property
    def system(self) -> Runsvc: ...

    #: Path of the streaming method.
    method: str

    def requests(self, count: int) -> list[bytes]:
        """The requests of this many watchers: of one thread together, or of a thread each."""
        ...

    async def change(self, number: int) -> None:
        """Cause one message: for all watchers of a shared target, otherwise for this one."""
        ...


class WatchedThreads:
    """Threads of runsvc, with one watcher each or one thread for all. A change creates a run or ends it."""

    method = SERVICE + "StreamStatus"

    def __init__(self, system: Runsvc, caller: GrpcCaller, *, shared: bool) -> None:
        self.system = system
        self._caller = caller
        self._shared = shared
        self.names: list[str] = []
        self._active: dict[int, str] = {}

    def requests(self, count: int) -> list[bytes]:
        self.names = (
            [new_thread()] * count if self._shared else [new_thread() for _ in range(count)]
        )
        return [self.request(name) for name in self.names]

    def request(self, thread_id: str, after: int | None = None) -> bytes:
        """The request to watch a thread, with or without a revision to resume after."""
        request = StreamStatusRequest(thread_id=thread_id, heartbeat_interval=_SILENCE)
        if after is not None:
            request.after_revision = after
        return request.SerializeToString()

    async def change(self, number: int) -> None:
        if run_id := self._active.pop(number, None):
            await self._caller.complete(run_id)
        else:
            self._active[number] = await self._caller.create(self.names[number])


class BareStreams:
    """Streams of the limit."""

    method = limit_server.WATCH

    def __init__(self, system: Limit, caller: GrpcCaller, *, shared: bool) -> None:
        self.system = system
        self._caller = caller
        self._shared = shared

    def requests(self, count: int) -> list[bytes]:
        return [str(number).encode() for number in range(count)]

    async def change(self, number: int) -> None:
        method = limit_server.NOTIFY_ALL if self._shared else limit_server.NOTIFY
        status, _ = await self._caller.connections[0].unary(method, str(number).encode())
        if status:
            raise Refused(f"{method}: gRPC status {status}")
