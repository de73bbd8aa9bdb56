"""The overhead of both Python clients over the generated stubs, per call and per event of a watch.

One caller at a time calls the limit, which does no work of its own. The cost is the processor time of this process with
all of its threads, and includes the share of gRPC in both.
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

#: Steps between two reads of the clock, which have a cost too.
_STEPS_PER_READ: Final = 16
#: The deadline of the stubs' calls.
_TIMEOUT: Final = 10.0
_RUN_ID: Final = "0198c0de-0000-7000-8000-000000000001"


class Cost(NamedTuple):
    """The time and processor time of a number of steps."""

    steps: int
    seconds: float
    cpu: float


class Variant(NamedTuple):
    """One client or stub to measure."""

    name: str
    #: Start a measurement: a function that makes one step (it returns an awaitable if is_async), and one that ends it.
    begin: Callable[[], tuple[Callable[[], Any], Callable[[], object]]]
    is_async: bool

    async def cost(self, seconds: float) -> Cost:
        """Repeat the step for this many seconds and return the cost."""
        step, end = self.begin()
        try:
            if self.is_async:
                return await _in_loop(step, seconds)
            return await asyncio.to_thread(_in_thread, step, seconds)
        finally:
            end()


def steps(plan: Plan) -> int:
    """The number of progress steps of `clients`."""
    return plan.rounds * 8


async def clients(session: Session) -> list[Figure]:
    """Measure Get, and the events of an endless stream, through the stubs and through the clients."""
    async with AsyncExitStack() as stack:
        address = await _limit(stack)
        asynchronous = await stack.enter_async_context(
            AsyncRunClient(address, token=None, tls_ca=None)
        )
        synchronous = stack.enter_context(RunClient(address, token=None, tls_ca=None))
        figures = await _compared(session, "Get", _calls(asynchronous, synchronous))
        return figures + await _compared(
            session, "an event of a watch", _events(asynchronous, synchronous)
        )


async def _limit(stack: AsyncExitStack) -> str:
    """Start a server that answers at once, and return its address."""
    limit = Limit()
    stack.push_async_callback(limit.stop)
    await limit.start()
    caller = await limit.connect()
    run = Run(run_id=_RUN_ID, thread_id="thread", status=RunStatus.RUN_STATUS_RUNNING, revision=7)
    run.metadata.CopyFrom(spec_of("thread").metadata)
    changed = StatusEvent.STATUS_EVENT_CHANGED
    event = StreamStatusResponse(event=changed, revision=7, run=run)
    await limit.set_answer(caller, SERVICE + "Get", GetResponse(run=run).SerializeToString())
    await limit.set_answer(caller, FLOOD, event.SerializeToString())
    caller.close()
    return limit.address


def _calls(asynchronous: AsyncRunClient, synchronous: RunClient) -> list[Variant]:
    request = GetRequest(run_id=_RUN_ID)

    def call(step: Callable[[], Any]) -> Any:
        return lambda: (step, _nothing)

    return [
        Variant(
            "stub, asyncio", call(lambda: asynchronous.stub.Get(request, timeout=_TIMEOUT)), True
        ),
        Variant("AsyncRunClient", call(lambda: asynchronous.get(_RUN_ID)), True),
        Variant(
            "stub, threads", call(lambda: synchronous.stub.Get(request, timeout=_TIMEOUT)), False
        ),
        Variant("RunClient", call(lambda: synchronous.get(_RUN_ID)), False),
    ]


def _events(asynchronous: AsyncRunClient, synchronous: RunClient) -> list[Variant]:
    request = StreamStatusRequest(all=AllRuns())

    def stub() -> Any:
        stream: Any = asynchronous.stub.StreamStatus(request)
        responses = aiter(stream)
        return lambda: anext(responses), stream.cancel

    def watch() -> Any:
        watched = asynchronous.watch(all_runs=True)
        return lambda: anext(watched), _nothing

    def synchronous_stub() -> Any:
        stream: Any = synchronous.stub.StreamStatus(request)
        return lambda: next(stream), stream.cancel

    def synchronous_watch() -> Any:
        watched = synchronous.watch(all_runs=True)
        return lambda: next(watched), watched.close

    return [
        Variant("stub, asyncio", stub, True),
        Variant("AsyncRunClient", watch, True),
        Variant("stub, threads", synchronous_stub, False),
        Variant("RunClient", synchronous_watch, False),
    ]


def _nothing() -> None:
    """Do nothing: a call needs no clean-up, and a watch without references ends by itself."""


async def _compared(session: Session, work: str, variants: list[Variant]) -> list[Figure]:
    """The figures of each variant, those of a client relative to its stub in the same round."""
    plan, costs = session.plan, [list[Cost]() for _ in variants]
    for number in range(plan.rounds):
        pairs = list(zip(variants, costs, strict=True))
        # The order is reversed in every other round.
        for variant, mine in reversed(pairs) if number % 2 else pairs:
            session.observer.step(f"{work}: {variant.name}")
            mine.append(await variant.cost(plan.seconds))
    return [
        Figure(session.section, work, variant.name, values=_values(mine, costs[index - index % 2]))
        for index, (variant, mine) in enumerate(zip(variants, costs, strict=True))
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
    # The first call connects.
    await step()
    clock = _Clock(seconds)
    while clock.is_running():
        for _ in range(_STEPS_PER_READ):
            await step()
    return clock.cost()


def _in_thread(step: Callable[[], Any], seconds: float) -> Cost:
    step()
    clock = _Clock(seconds)
    while clock.is_running():
        for _ in range(_STEPS_PER_READ):
            step()
    return clock.cost()


class _Clock:
    def __init__(self, seconds: float) -> None:
        self._begin, self._cpu = time.perf_counter(), time.process_time()
        self._end = self._begin + seconds
        self._batches = -1

    def is_running(self) -> bool:
        self._batches += 1
        return not self._batches or time.perf_counter() < self._end

    def cost(self) -> Cost:
        seconds, cpu = time.perf_counter() - self._begin, time.process_time() - self._cpu
        return Cost(self._batches * _STEPS_PER_READ, seconds, cpu)
