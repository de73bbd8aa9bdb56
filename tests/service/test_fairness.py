"""The guard on a real server: the calls of one owner wait for their turn, and those of others do not wait for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import grpc

from runsvc.client import error_of
from runsvc.rpc.fairness import Shares
from runsvc.rpc.holds import Holds
from runsvc.v1 import run_service_pb2 as pb
from tests.service.test_guard import guarded
from tests.support.waiting import until

SHARES = Shares(free=1, working=2, waiting=3)


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def outcome_of(service: Any, owner: str) -> str:
    """The end of a call for an owner."""
    metadata = (("runsvc-owner", owner),)
    try:
        await service.stub.Get(pb.GetRequest(run_id=owner), timeout=60, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error_of(error).reason
    return "OK"


async def test_an_owner_is_served_beside_the_flood_of_another() -> None:
    clock = Clock()
    async with guarded(shares=SHARES, holds=Holds(0.0), now=clock) as service:
        release, at_work = asyncio.Event(), Counter[str]()

        async def behave(request: Any, context: Any) -> Any:
            at_work[request.run_id] += 1
            if request.run_id == "wild":
                await release.wait()
            return pb.GetResponse()

        service.behave(behave)
        for owner in ("calm", "other"):
            assert await outcome_of(service, owner) == "OK"
        clock.now += 1
        # One starts at once, two have their turn, three wait for it: the others are refused.
        flood = [asyncio.create_task(outcome_of(service, "wild")) for _ in range(3)]
        await until(lambda: at_work["wild"] == 3)
        flood += [asyncio.create_task(outcome_of(service, "wild")) for _ in range(9)]
        await until(lambda: sum(call.done() for call in flood) == 6)
        assert await outcome_of(service, "other") == "OK"
        assert at_work["wild"] == 3
        release.set()
        ends = Counter(await asyncio.gather(*flood))
        assert ends == {"OK": 6, "OVERLOADED": 6}
        assert at_work == {"calm": 1, "other": 2, "wild": 6}
