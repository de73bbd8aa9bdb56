"""What is watched: runs of runsvc that change, and the limit's streams, which are told to send the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from google.protobuf.duration_pb2 import Duration

from runsvc.v1.run_service_pb2 import StreamStatusRequest
from tests.bench import limit_server
from tests.bench.systems import SERVICE, GrpcCaller, Refused
from tests.bench.work import fresh_thread

if TYPE_CHECKING:
    from tests.bench.systems import Limit, Runsvc

#: The longest silence that can be asked for: nothing but changes is to be counted.
_SILENCE: Final = Duration(seconds=300)


class Stage(Protocol):
    """Something to watch."""

    #: Of what is watched; a property, so that each stage may know its own kind.
    @property
    def system(self) -> Runsvc: ...

    #: The method that streams.
    method: str

    def requests(self, count: int) -> list[bytes]:
        """What so many watchers ask for; all of one thing, or each of its own."""
        ...

    async def change(self, number: int) -> None:
        """See that this watcher, or everyone, gets one message."""
        ...


class Threads:
    """Threads of runsvc; each change starts a run or ends it. One watcher is on each, or all are on one."""

    method = SERVICE + "StreamStatus"

    def __init__(self, system: Runsvc, caller: GrpcCaller, *, shared: bool) -> None:
        self.system = system
        self._caller = caller
        self._shared = shared
        self.names: list[str] = []
        self._active: dict[int, str] = {}

    def requests(self, count: int) -> list[bytes]:
        self.names = (
            [fresh_thread()] * count if self._shared else [fresh_thread() for _ in range(count)]
        )
        return [self.request(name) for name in self.names]

    def request(self, thread_id: str, after: int | None = None) -> bytes:
        """What a watcher of a thread asks for, from a revision on or from now."""
        request = StreamStatusRequest(thread_id=thread_id, heartbeat_interval=_SILENCE)
        if after is not None:
            request.after_revision = after
        return request.SerializeToString()

    async def change(self, number: int) -> None:
        if run_id := self._active.pop(number, None):
            await self._caller.complete(run_id)
        else:
            self._active[number] = await self._caller.create(self.names[number])


class Bare:
    """The limit's streams."""

    method = limit_server.WATCH

    def __init__(self, system: Limit, caller: GrpcCaller, *, shared: bool) -> None:
        self.system = system
        self._caller = caller
        self._shared = shared

    def requests(self, count: int) -> list[bytes]:
        return [str(number).encode() for number in range(count)]

    async def change(self, number: int) -> None:
        method = limit_server.BROADCAST if self._shared else limit_server.TELL
        status, _ = await self._caller.connections[0].unary(method, str(number).encode())
        if status:
            raise Refused(f"{method}: gRPC status {status}")
