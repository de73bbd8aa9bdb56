"""Races between the expiry of leases and calls on their runs, for any number of runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc

from runsvc.client import error_of
from runsvc.v1.run_service_pb2 import CompleteRequest, HeartbeatRequest, StreamStatusRequest
from tests.support.calls import ERROR, RUNNING, SUCCESS
from tests.support.races import cancelled, changes_since, found, listed
from tests.support.worker import WORKER, leased

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from runsvc.v1.run_pb2 import Run
    from tests.support.server import Client

    #: Makes a call on a run and returns the run in the response.
    Act = Callable[[Client, str], Awaitable[Run]]

#: The length of the leases, and the longest times before and after their end for a call, in seconds.
TTL = 1.0
EARLY, LATE = 0.1, 0.6


async def renewed(client: Client, run_id: str) -> Run:
    """Renew the lease and return the run."""
    request = HeartbeatRequest(run_id=run_id, worker_id=WORKER)
    return (await client.runs.Heartbeat(request)).run


async def completed(client: Client, run_id: str) -> Run:
    """Report SUCCESS and return the run."""
    request = CompleteRequest(run_id=run_id, status=SUCCESS, worker_id=WORKER)  # type: ignore[arg-type]
    return (await client.runs.Complete(request)).run


async def race_expiry(client: Client, act: Act, runs: int, chance: Random) -> list[Run]:
    """Make a call on each of this many runs at about the end of its lease, and return the final runs.

    Check that every response is true, that all reads agree, and that each run ended once.
    """

    async def one(number: int) -> Run:
        run = await served(lambda: leased(client, f"lease-{number}", TTL))
        watch = asyncio.create_task(_watched(client, run.run_id))
        await asyncio.sleep(TTL - EARLY + chance.random() * (EARLY + LATE))
        answer = await _answer(client, act, run.run_id)
        end = await watch
        final = await found(client, run.run_id)
        (in_list,) = await listed(client, run.thread_id)
        # The server may have given up the executor of a cancelled run between two of the reads.
        assert as_ended(in_list) == as_ended(end) == as_ended(final)
        if answer.status == RUNNING:
            assert final.status == ERROR
            assert final.ended_at.ToMicroseconds() >= answer.lease.expires_at.ToMicroseconds()
        else:
            assert as_ended(final) == as_ended(answer)
        return final

    before = await changes_since(client, 0)
    ended = await asyncio.gather(*(one(number) for number in range(runs)))
    changes = await changes_since(client, len(before))
    ends = [(run_id, status) for _, run_id, status in changes if status > RUNNING]
    assert sorted(ends) == sorted((run.run_id, int(run.status)) for run in ended)
    return ended


def as_ended(run: Run) -> Run:
    """The run without the note that the server gave up waiting for its executor, which has no revision."""
    ended = type(run)()
    ended.CopyFrom(run)
    if run.HasField("cancellation"):
        ended.cancellation.ClearField("presumed_stopped_at")
        ended.ClearField("updated_at")
    return ended


async def _answer(client: Client, act: Act, run_id: str) -> Run:
    try:
        return await served(lambda: act(client, run_id))
    except grpc.aio.AioRpcError as error:
        reason = error_of(error).reason
    lost = await found(client, run_id)
    assert (reason, lost.status) == ("INVALID_TRANSITION", ERROR), (reason, lost)
    return lost


async def served(call: Callable[[], Awaitable[Run]]) -> Run:
    """Make a call, and repeat it while the server refuses it as OVERLOADED, as it does on a slow disk."""
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error_of(error).reason != "OVERLOADED":
                raise
        await asyncio.sleep(0.1)


async def race_cancel(client: Client, runs: int) -> list[Run]:
    """Cancel and complete each of this many runs at the same time, and return the final runs."""

    async def one(number: int) -> Run:
        run = await served(lambda: leased(client, f"cancel-{number}", 60))
        calls = (
            served(lambda: cancelled(client, run.run_id)),
            served(lambda: completed(client, run.run_id)),
        )
        answers = await asyncio.gather(*calls[:: 1 if number % 2 else -1], return_exceptions=True)
        final = await found(client, run.run_id)
        # The first call takes effect; the other changes nothing or fails.
        for answer in answers:
            if isinstance(answer, grpc.aio.AioRpcError):
                assert error_of(answer).reason == "INVALID_TRANSITION"
            else:
                assert answer == final
        return final

    return await asyncio.gather(*(one(number) for number in range(runs)))


async def _watched(client: Client, run_id: str) -> Run:
    """Watch the run to the end of the stream and return it as of the last event."""
    run = None
    async for event in client.runs.StreamStatus(StreamStatusRequest(run_id=run_id)):
        if event.HasField("run"):
            run = event.run
    assert run is not None
    return run
