"""The systems under test, which perform the same operations.

A System starts a server and returns a Caller, which has a coroutine for each operation. runsvc, the limit and the port
of the seed's design speak gRPC and share one Caller. A peer over another protocol, or in this process, needs a Caller
of its own, and an entry in PEERS.
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

#: Connections of a load; its calls are distributed over them.
CONNECTIONS: Final = 4

SERVICE: Final = "/runsvc.v1.RunService/"

#: Run statuses by their wire numbers.
RUNNING, SUCCESS = 2, 3


class Refused(Exception):
    """A call that did not end with OK; the message names its gRPC status."""


class Caller(Protocol):
    """The operations. Each raises Refused if the call fails."""

    async def create(self, thread_id: str) -> str:
        """Create a run regardless of the thread's active runs, and return its id."""
        ...

    async def create_or_reject(self, thread_id: str) -> str:
        """Create a run on a thread without an active run, and return its id."""
        ...

    async def create_or_interrupt(self, thread_id: str) -> str:
        """Create a run, interrupt the thread's active one, and return the new id."""
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
        """Report SUCCESS with the usage."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class System(Protocol):
    """A server with a run API."""

    name: str
    server: Server

    async def start(self) -> None:
        """Start the server on the servers' core."""
        ...

    async def connect(self) -> Caller:
        """Return a caller for one load."""
        ...

    async def stop(self) -> None:
        """Stop the server."""
        ...


class GrpcCaller:
    """The operations as calls of runsvc.v1.RunService, over raw HTTP/2."""

    def __init__(self, connections: list[http2.Connection]) -> None:
        self.connections = connections
        self._turn = itertools.cycle(connections)
        #: The newest answer of each method, for the limit to return.
        self.answers: dict[str, bytes] = {}

    async def create(self, thread_id: str) -> str:
        request = run_service_pb2.CreateRequest(spec=spec_of(thread_id))
        answer = await self.call("Create", request.SerializeToString())
        return run_service_pb2.CreateResponse.FromString(answer).run.run_id

    async def create_or_reject(self, thread_id: str) -> str:
        return await self._create_or_reject(spec_of(thread_id))

    async def create_or_interrupt(self, thread_id: str) -> str:
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
        """Make a call and return its answer. Raise Refused if its status is not OK."""
        status, answer = await next(self._turn).unary(SERVICE + method, request)
        if status:
            raise Refused(f"{method}: gRPC status {status}")
        self.answers[method] = answer
        return answer

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


class Runsvc:
    """runsvc with its own command line and defaults, at synchronous FULL."""

    def __init__(self, db: Path, name: str = "runsvc", options: tuple[str, ...] = ()) -> None:
        self.name = name
        arguments = ("serve", "--listen", "127.0.0.1:0", "--db", str(db), *options)
        self.server = Server(("-m", "runsvc.cli", *arguments))
        #: The address, once the server has started.
        self.address = ""

    async def start(self) -> None:
        self.address = await self.server.start()

    async def connect(self) -> GrpcCaller:
        return GrpcCaller(await connect(self.address))

    async def stop(self) -> None:
        await self.server.stop()


class SeedDesign(Runsvc):
    """The seed's design behind the same transport, as a peer without further dependencies."""

    def __init__(self, db: Path, name: str = "seed's design", *, present: int = 0) -> None:
        super().__init__(db, name)
        self.server = Server(("-m", "tests.bench.seed_server", str(db), str(present)))


class Limit(Runsvc):
    """The bare transport, which returns the answers of another system."""

    def __init__(self) -> None:
        self.name = "limit"
        self.server = Server(("-m", "tests.bench.limit_server"))
        self.address = ""

    async def set_answers(self, answers: dict[str, bytes]) -> None:
        """Set the answers of methods of RunService."""
        caller = await self.connect()
        for method, answer in answers.items():
            await self.set_answer(caller, SERVICE + method, answer)
        caller.close()

    async def set_answer(self, caller: GrpcCaller, path: str, answer: bytes) -> None:
        """Set the answer of a method."""
        request = path.encode() + b"\0" + answer
        status, _ = await caller.connections[0].unary(limit_server.SET_ANSWER, request)
        assert status == 0


#: The systems that `--peer` adds: each callable makes one from the path of a file for its store.
PEERS: Final[tuple[Callable[[Path], System], ...]] = (SeedDesign,)


async def connect(address: str, count: int = CONNECTIONS) -> list[http2.Connection]:
    """Open connections to a server."""
    return list(await asyncio.gather(*(http2.Connection.open(address) for _ in range(count))))


def spec_of(thread_id: str) -> run_pb2.RunSpec:
    """The spec of the runs that the benchmark creates."""
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


#: Size of such a spec without a thread id, in bytes.
PAYLOAD: Final = spec_of("").ByteSize()
