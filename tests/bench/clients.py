"""What the Python client costs beyond the generated stubs: per call and per event of a watch, for both twins.

One caller at a time against the limit, whose answers cost next to nothing. The cost is the processor time of this
process with all of its threads; what stubs and client share is in both.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runsvc.client import AsyncRunClient, RunClient
from runsvc.v1.run_pb2 import AllRuns, Run, RunStatus, StatusEvent
from runsvc.v1.run_service_pb2 import (
    GetRequest,
    GetResponse,
    StreamStatusRequest,
    StreamStatusResponse,
)
from tests.bench.figures import Figure, Spread
from tests.bench.limit_server import FLOOD
from tests.bench.systems import SERVICE, Limit, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.plan import Plan
    from tests.bench.session import Session

#: Once in a while the clock is looked at; each look costs something too.
_AT_ONCE: Final = 16
#: The deadline that a careful caller of the stub gives.
_TIMEOUT: Final = 10.0
_RUN_ID: Final = "0198c0de-0000-7000-8000-000000000001"


class Cost(NamedTuple):
    """What so many steps took."""

    steps: int
    seconds: float
    cpu: float


class Way(NamedTuple):
    """One way of doing the work."""

    name: str
    #: Make ready for a stretch: what does it once (of asyncio's ways an awaitable), and what ends the stretch.
    begin: Callable[[], tuple[Callable[[], Any], Callable[[], object]]]
    is_async: bool

    async def cost(self, seconds: float) -> Cost:
        """What it costs to do it for that long."""
        step, end = self.begin()
        try:
            if self.is_async:
                return await _in_loop(step, seconds)
            return await asyncio.to_thread(_in_thread, step, seconds)
        finally:
            end()


def steps(plan: Plan) -> int:
    """How often `clients` says what it measures."""
    return plan.rounds * 8


async def clients(session: Session) -> list[Figure]:
    """Get, and the events of a flood, by the stubs and by the clients."""
    async with AsyncExitStack() as stack:
        address = await _limit(stack)
        twin = await stack.enter_async_context(AsyncRunClient(address, token=None, tls_ca=None))
        other = stack.enter_context(RunClient(address, token=None, tls_ca=None))
        figures = await _compared(session, "Get", _calls(twin, other))
        return figures + await _compared(session, "an event of a watch", _events(twin, other))


async def _limit(stack: AsyncExitStack) -> str:
    """A server that answers at once; its address."""
    limit = Limit()
    stack.push_async_callback(limit.stop)
    await limit.start()
    caller = await limit.connect()
    run = Run(run_id=_RUN_ID, thread_id="thread", status=RunStatus.RUN_STATUS_RUNNING, revision=7)
    run.metadata.CopyFrom(spec_of("thread").metadata)
    changed = StatusEvent.STATUS_EVENT_CHANGED
    event = StreamStatusResponse(event=changed, revision=7, run=run)
    await limit.teach(caller, SERVICE + "Get", GetResponse(run=run).SerializeToString())
    await limit.teach(caller, FLOOD, event.SerializeToString())
    caller.close()
    return limit.address


def _calls(twin: AsyncRunClient, other: RunClient) -> list[Way]:
    request = GetRequest(run_id=_RUN_ID)

    def call(step: Callable[[], Any]) -> Any:
        return lambda: (step, _nothing)

    return [
        Way("stub, asyncio", call(lambda: twin.stub.Get(request, timeout=_TIMEOUT)), True),
        Way("AsyncRunClient", call(lambda: twin.get(_RUN_ID)), True),
        Way("stub, threads", call(lambda: other.stub.Get(request, timeout=_TIMEOUT)), False),
        Way("RunClient", call(lambda: other.get(_RUN_ID)), False),
    ]


def _events(twin: AsyncRunClient, other: RunClient) -> list[Way]:
    request = StreamStatusRequest(all=AllRuns())

    def stub() -> Any:
        stream: Any = twin.stub.StreamStatus(request)
        responses = aiter(stream)
        return lambda: anext(responses), stream.cancel

    def watch() -> Any:
        watched = twin.watch(all_runs=True)
        return lambda: anext(watched), _nothing

    def other_stub() -> Any:
        stream: Any = other.stub.StreamStatus(request)
        return lambda: next(stream), stream.cancel

    def other_watch() -> Any:
        watched = other.watch(all_runs=True)
        return lambda: next(watched), watched.close

    return [
        Way("stub, asyncio", stub, True),
        Way("AsyncRunClient", watch, True),
        Way("stub, threads", other_stub, False),
        Way("RunClient", other_watch, False),
    ]


def _nothing() -> None:
    """Calls leave nothing, and a watch that nobody holds ends by itself."""


async def _compared(session: Session, work: str, ways: list[Way]) -> list[Figure]:
    """The figures of each way; those of a client against its stub in the same round."""
    plan, costs = session.plan, [list[Cost]() for _ in ways]
    for number in range(plan.rounds):
        everyone = list(zip(ways, costs, strict=True))
        # Whoever comes first in one round comes last in the next.
        for way, mine in reversed(everyone) if number % 2 else everyone:
            session.watcher.step(f"{work}: {way.name}")
            mine.append(await way.cost(plan.seconds))
    return [
        Figure(session.section, work, way.name, values=_values(mine, costs[index - index % 2]))
        for index, (way, mine) in enumerate(zip(ways, costs, strict=True))
    ]


def _values(costs: list[Cost], stub: list[Cost]) -> dict[str, Spread]:
    values = {
        "per s": Spread.of(each.steps / each.seconds for each in costs),
        "client's CPU us": Spread.of(map(_microseconds, costs)),
    }
    if costs is not stub:
        pairs = list(zip(map(_microseconds, costs), map(_microseconds, stub), strict=True))
        values["us beyond the stub"] = Spread.of(mine - other for mine, other in pairs)
        values["cpu ratio"] = Spread.of(mine / other for mine, other in pairs)
    return values


def _microseconds(cost: Cost) -> float:
    return 1e6 * cost.cpu / cost.steps


async def _in_loop(step: Callable[[], Any], seconds: float) -> Cost:
    # The first one connects.
    await step()
    clock = _Clock(seconds)
    while clock.goes_on():
        for _ in range(_AT_ONCE):
            await step()
    return clock.cost()


def _in_thread(step: Callable[[], Any], seconds: float) -> Cost:
    step()
    clock = _Clock(seconds)
    while clock.goes_on():
        for _ in range(_AT_ONCE):
            step()
    return clock.cost()


class _Clock:
    def __init__(self, seconds: float) -> None:
        self._begin, self._cpu = time.perf_counter(), time.process_time()
        self._end = self._begin + seconds
        self._batches = -1

    def goes_on(self) -> bool:
        self._batches += 1
        return not self._batches or time.perf_counter() < self._end

    def cost(self) -> Cost:
        seconds, cpu = time.perf_counter() - self._begin, time.process_time() - self._cpu
        return Cost(self._batches * _AT_ONCE, seconds, cpu)
