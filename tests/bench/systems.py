"""What is measured: systems that take the same work. A peer joins by an adapter of its own.

An adapter is a System: it starts, and gives a Caller, whose coroutines are the operations of the work. runsvc, the
limit and the port of the seed's design speak gRPC and share one Caller; a system over HTTP, or in this process, writes
its own and joins PEERS.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final, Protocol

from runsvc.v1 import run_pb2, run_service_pb2
from tests.bench import http2, limit_server
from tests.bench.machine import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Connections of a load; its calls take turns on them.
CONNECTIONS: Final = 4

SERVICE: Final = "/runsvc.v1.RunService/"

#: Statuses by their wire numbers.
RUNNING, SUCCESS = 2, 3


class Refused(Exception):
    """A call that did not end with OK: its gRPC status, or the like."""


class Caller(Protocol):
    """The operations of the work. Each raises Refused when its answer is not a success."""

    async def create(self, thread_id: str) -> str:
        """A run beside any other; its id."""
        ...

    async def create_or_reject(self, thread_id: str) -> str:
        """A run on a thread that has none that is active; its id."""
        ...

    async def take_over(self, thread_id: str) -> str:
        """A run on a thread, whose active one is interrupted; its id."""
        ...

    async def get(self, run_id: str) -> None:
        """Read a run."""
        ...

    async def list_by_thread(self, thread_id: str) -> None:
        """Read the 20 newest runs of a thread."""
        ...

    async def start(self, run_id: str) -> None:
        """Report that a run is RUNNING."""
        ...

    async def progress(self, run_id: str, tokens: int) -> None:
        """Report usage."""
        ...

    async def complete(self, run_id: str) -> None:
        """Report the end, with the usage."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class System(Protocol):
    """Something with a run API."""

    name: str
    server: Server

    async def start(self) -> None:
        """Bring it up, on its own core."""
        ...

    async def connect(self) -> Caller:
        """A caller for one load."""
        ...

    async def stop(self) -> None:
        """Take it down."""
        ...


class GrpcCaller:
    """The work as calls of runsvc.v1.RunService, over raw HTTP/2."""

    def __init__(self, connections: list[http2.Connection]) -> None:
        self.connections = connections
        self._turn = itertools.cycle(connections)
        #: The newest answer of each method; the limit is taught with it.
        self.answers: dict[str, bytes] = {}

    async def create(self, thread_id: str) -> str:
        request = run_service_pb2.CreateRequest(spec=spec_of(thread_id))
        answer = await self.call("Create", request.SerializeToString())
        return run_service_pb2.CreateResponse.FromString(answer).run.run_id

    async def create_or_reject(self, thread_id: str) -> str:
        return await self._create_or_reject(spec_of(thread_id))

    async def take_over(self, thread_id: str) -> str:
        spec = spec_of(thread_id)
        spec.multitask_strategy = run_pb2.MultitaskStrategy.MULTITASK_STRATEGY_INTERRUPT
        return await self._create_or_reject(spec)

    async def get(self, run_id: str) -> None:
        await self.call("Get", run_service_pb2.GetRequest(run_id=run_id).SerializeToString())

    async def list_by_thread(self, thread_id: str) -> None:
        request = run_service_pb2.ListByThreadRequest(thread_id=thread_id, page_size=20)
        await self.call("ListByThread", request.SerializeToString())

    async def start(self, run_id: str) -> None:
        request = run_service_pb2.SetStatusRequest(
            run_id=run_id, status=run_pb2.RunStatus.RUN_STATUS_RUNNING
        )
        await self.call("SetStatus", request.SerializeToString())

    async def progress(self, run_id: str, tokens: int) -> None:
        request = run_service_pb2.UpdateProgressRequest(run_id=run_id, progress=_progress(tokens))
        await self.call("UpdateProgress", request.SerializeToString())

    async def complete(self, run_id: str) -> None:
        request = run_service_pb2.CompleteRequest(
            run_id=run_id,
            status=run_pb2.RunStatus.RUN_STATUS_SUCCESS,
            progress=_progress(4_096),
        )
        await self.call("Complete", request.SerializeToString())

    async def cancel(self, run_id: str) -> None:
        await self.call("Cancel", run_service_pb2.CancelRequest(run_id=run_id).SerializeToString())

    async def _create_or_reject(self, spec: run_pb2.RunSpec) -> str:
        request = run_service_pb2.CreateOrRejectRequest(spec=spec)
        answer = await self.call("CreateOrReject", request.SerializeToString())
        return run_service_pb2.CreateOrRejectResponse.FromString(answer).run.run_id

    async def call(self, method: str, request: bytes) -> bytes:
        """The answer of a call; Refused when its status is not OK."""
        status, answer = await next(self._turn).unary(SERVICE + method, request)
        if status:
            raise Refused(f"{method}: gRPC status {status}")
        self.answers[method] = answer
        return answer

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


class Runsvc:
    """runsvc as it ships: its own command line, defaults throughout, durable at FULL."""

    def __init__(self, db: Path, name: str = "runsvc") -> None:
        self.name = name
        arguments = ("serve", "--listen", "127.0.0.1:0", "--db", str(db))
        self.server = Server(("-m", "runsvc.cli", *arguments))
        #: Where it serves, once it does.
        self.address = ""

    async def start(self) -> None:
        self.address = await self.server.start()

    async def connect(self) -> GrpcCaller:
        return GrpcCaller(await connected(self.address))

    async def stop(self) -> None:
        await self.server.stop()


class SeedDesign(Runsvc):
    """The seed's design behind the same transport: the peer that needs nothing beyond what is here."""

    def __init__(self, db: Path, name: str = "seed's design", *, present: int = 0) -> None:
        super().__init__(db, name)
        self.server = Server(("-m", "tests.bench.seed_server", str(db), str(present)))


class Limit(Runsvc):
    """The bare transport. Answers as a system did that it was taught by."""

    def __init__(self) -> None:
        self.name = "limit"
        self.server = Server(("-m", "tests.bench.limit_server"))
        self.address = ""

    async def learn(self, answers: dict[str, bytes]) -> None:
        """Give these answers from now on, by method of RunService."""
        caller = await self.connect()
        for method, answer in answers.items():
            await self.teach(caller, SERVICE + method, answer)
        caller.close()

    async def teach(self, caller: GrpcCaller, path: str, answer: bytes) -> None:
        """Give this answer to a method from now on."""
        request = path.encode() + b"\0" + answer
        status, _ = await caller.connections[0].unary(limit_server.TEACH, request)
        assert status == 0


#: What joins the tables of `--peer`: each makes a System from the path of a file that it may use.
PEERS: Final[tuple[Callable[[Path], System], ...]] = (SeedDesign,)


async def connected(address: str, count: int = CONNECTIONS) -> list[http2.Connection]:
    """Connections to a server."""
    return list(await asyncio.gather(*(http2.Connection.open(address) for _ in range(count))))


def spec_of(thread_id: str) -> run_pb2.RunSpec:
    """What a caller asks for."""
    return run_pb2.RunSpec(
        thread_id=thread_id,
        assistant_id="assistant",
        metadata={"user": "somebody", "attempt": 1},
        kwargs={"input": "What is the answer?"},
    )


def _progress(tokens: int) -> run_pb2.Progress:
    return run_pb2.Progress(
        total_input_tokens=tokens, total_output_tokens=tokens, total_tokens=2 * tokens
    )


#: Bytes of what a caller gives a run to carry.
PAYLOAD: Final = spec_of("").ByteSize()
