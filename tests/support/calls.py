"""Short forms of calls, and of calls that fail."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import error_of
from runsvc.commit.command import MAX_COMMANDS
from runsvc.v1 import admin_service_pb2, run_pb2, run_service_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from runsvc.client import RunError
    from tests.support.server import Client

PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED = range(1, 7)
REJECT, INTERRUPT, ROLLBACK, ENQUEUE = range(1, 5)
SNAPSHOT, SNAPSHOT_END, CHANGED, PROGRESS, HEARTBEAT, DELETED = range(1, 7)


class Refused(Exception):
    """A call that failed, with the client's error."""

    def __init__(self, error: RunError) -> None:
        super().__init__(error)
        self.error = error


async def call(client: Client, method: str, **fields: Any) -> Any:
    """Make a unary call by name. Raise Refused if it fails."""
    messages: Any = run_service_pb2
    stub: Any = client.runs
    if hasattr(admin_service_pb2, f"{method}Request"):
        messages, stub = admin_service_pb2, client.admin
    try:
        return await getattr(stub, method)(getattr(messages, f"{method}Request")(**fields))
    except grpc.aio.AioRpcError as error:
        raise Refused(error_of(error)) from error


async def refused(client: Client, method: str, **fields: Any) -> RunError:
    """Make a call that fails and return its error."""
    with pytest.raises(Refused) as refusal:
        await call(client, method, **fields)
    return refusal.value.error


async def created(client: Client, thread_id: str = "t", **spec: Any) -> run_pb2.Run:
    """Create a run, regardless of the thread's active runs, and return it."""
    answer = await call(client, "Create", spec=run_pb2.RunSpec(thread_id=thread_id, **spec))
    run: run_pb2.Run = answer.run
    return run


async def created_on(client: Client, thread_ids: Iterable[str], **spec: Any) -> None:
    """Create a run on each of many threads. Fewer calls at a time than a slow disk makes the server refuse."""
    remaining = iter(thread_ids)

    async def create() -> None:
        for thread_id in remaining:
            await created(client, thread_id, **spec)

    await asyncio.gather(*(create() for _ in range(MAX_COMMANDS // 2)))


async def in_status(client: Client, status: int) -> run_pb2.Run:
    """Create a run and report this status."""
    run = await created(client, f"s{status}")
    if status != PENDING:
        run = (await call(client, "SetStatus", run_id=run.run_id, status=status)).run
    return run


class Stream:
    """An open watch."""

    def __init__(self, responses: AsyncIterator[run_service_pb2.StreamStatusResponse]) -> None:
        self._responses = responses

    async def read(self) -> run_service_pb2.StreamStatusResponse:
        """Return the next event."""
        return await anext(self._responses)

    async def rest(self) -> list[run_service_pb2.StreamStatusResponse]:
        """Return all further events, up to the end of the stream by the server."""
        return [event async for event in self._responses]


@asynccontextmanager
async def watching(client: Client, **fields: Any) -> AsyncIterator[Stream]:
    """Open a watch and cancel it at the end of the block."""
    call = client.runs.StreamStatus(run_service_pb2.StreamStatusRequest(**fields))
    try:
        yield Stream(aiter(call))
    finally:
        call.cancel()


async def watched(client: Client, **fields: Any) -> list[tuple[int, int, int]]:
    """The event, revision and status of all events of a stream that the server ends. Raise Refused if it fails."""
    events: list[tuple[int, int, int]] = []
    try:
        async with watching(client, **fields) as stream:
            for event in await stream.rest():
                events.append((event.event, event.revision, event.run.status))
    except grpc.aio.AioRpcError as error:
        raise Refused(error_of(error)) from error
    return events
