"""Leases that run out just when something else is done with their runs, in whatever number a test asks for."""

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

    #: Does something with a run; the run as the answer tells it.
    Act = Callable[[Client, str], Awaitable[Run]]

#: The leases' length, in seconds, and by how much before and after its end something is done.
TTL = 1.0
EARLY, LATE = 0.1, 0.6


async def renewed(client: Client, run_id: str) -> Run:
    """The run after a sign of life."""
    request = HeartbeatRequest(run_id=run_id, worker_id=WORKER)
    return (await client.runs.Heartbeat(request)).run


async def completed(client: Client, run_id: str) -> Run:
    """The run after the report of its end."""
    request = CompleteRequest(run_id=run_id, status=SUCCESS, worker_id=WORKER)  # type: ignore[arg-type]
    return (await client.runs.Complete(request)).run


async def race_expiry(client: Client, act: Act, runs: int, chance: Random) -> list[Run]:
    """Do something with each of so many runs at about the end of its lease; the runs as they are in the end.

    Checks that whatever was answered is true, that everyone tells the same, and that each run ended once.
    """

    async def one(number: int) -> Run:
        run = await leased(client, f"lease-{number}", TTL)
        watch = asyncio.create_task(_watched(client, run.run_id))
        await asyncio.sleep(TTL - EARLY + chance.random() * (EARLY + LATE))
        answer = await _answer(client, act, run.run_id)
        end = await watch
        final = await found(client, run.run_id)
        assert await listed(client, run.thread_id) == [final]
        assert end == final
        if answer.status == RUNNING:
            assert final.status == ERROR
            assert final.ended_at.ToMicroseconds() >= answer.lease.expires_at.ToMicroseconds()
        else:
            assert final == answer
        return final

    before = await changes_since(client, 0)
    ended = await asyncio.gather(*(one(number) for number in range(runs)))
    changes = await changes_since(client, len(before))
    ends = [(run_id, status) for _, run_id, status in changes if status > RUNNING]
    assert sorted(ends) == sorted((run.run_id, int(run.status)) for run in ended)
    return ended


async def _answer(client: Client, act: Act, run_id: str) -> Run:
    try:
        return await act(client, run_id)
    except grpc.aio.AioRpcError as error:
        reason = error_of(error).reason
    lost = await found(client, run_id)
    assert (reason, lost.status) == ("INVALID_TRANSITION", ERROR)
    return lost


async def race_cancel(client: Client, runs: int) -> list[Run]:
    """Cancel and complete each of so many runs at once; the runs as they are in the end."""

    async def one(number: int) -> Run:
        run = await leased(client, f"cancel-{number}", 60)
        calls = (cancelled(client, run.run_id), completed(client, run.run_id))
        answers = await asyncio.gather(*calls[:: 1 if number % 2 else -1], return_exceptions=True)
        final = await found(client, run.run_id)
        # Who came first is told what it did; the other one leaves it at that, or is refused.
        for answer in answers:
            if isinstance(answer, grpc.aio.AioRpcError):
                assert error_of(answer).reason == "INVALID_TRANSITION"
            else:
                assert answer == final
        return final

    return await asyncio.gather(*(one(number) for number in range(runs)))


async def _watched(client: Client, run_id: str) -> Run:
    """The run as its watch, which ends by itself, told it last."""
    run = None
    async for event in client.runs.StreamStatus(StreamStatusRequest(run_id=run_id)):
        if event.HasField("run"):
            run = event.run
    assert run is not None
    return run
