"""Watches: latency from a change to its first and last watcher, with and without other calls."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Final, cast

from runsvc.v1.run_service_pb2 import StreamStatusResponse
from tests.bench.figures import Figure, Spread, of_samples
from tests.bench.limit_server import WATCH
from tests.bench.load import Sample, Usage, closed_loop
from tests.bench.readers import Readers
from tests.bench.systems import GrpcCaller, Limit, Runsvc
from tests.bench.targets import BareStreams, WatchedThreads
from tests.bench.unary import MANY, failures_of
from tests.bench.work import GET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.bench.plan import Plan
    from tests.bench.session import Session
    from tests.bench.targets import Target
    from tests.bench.unary import Comparison, Participant

#: Changes that a resuming watcher has missed.
_MISSED: Final = 10
#: Factor on the length of the measurement of watches beside calls, which are slow.
_LONGER: Final = 2
#: Seconds per closed stream to wait for its end on the server.
_CLOSING: Final = 3e-4


def steps(plan: Plan) -> int:
    """The number of progress steps of `watch`."""
    return plan.rounds * (4 * len(plan.watchers) + 3 + 1) + 2


@dataclass
class Deliveries(Sample):
    """A sample of deliveries: latencies run from the call that makes the change to each delivery."""

    #: Seconds to the first and to the last watcher, of each change.
    firsts: list[float] = field(default_factory=list)
    lasts: list[float] = field(default_factory=list)


async def watch(session: Session) -> list[Figure]:
    """Watchers of one thread and of a thread each, against the limit's streams of the same bytes."""
    figures = []
    async with session.comparison(Limit(), Runsvc(session.file())) as comparison:
        figures += await _memory(comparison, max(session.plan.watchers))
        for count in session.plan.watchers:
            figures += await _spread(comparison, count, shared=True)
            figures += await _spread(comparison, count, shared=False)
        figures += await _beside_calls(comparison, max(session.plan.watchers))
        figures += await _resumed(comparison, session.plan.resuming_watchers)
    return figures


async def _spread(comparison: Comparison, count: int, *, shared: bool) -> list[Figure]:
    work = "one thread" if shared else "a thread each"
    measure = together if shared else apart
    async with _audiences(comparison, count, shared=shared) as audiences:
        samples = await comparison.take_turns(
            f"{count:,} watchers of {work}",
            lambda participant: measure(audiences[participant], comparison.seconds),
        )
    every = cast("list[list[Deliveries]]", samples)
    figures = comparison.figures(work, count, every)
    if shared:
        figures += [_reach(figure, mine) for figure, mine in zip(figures, every, strict=True)]
    return figures


def _reach(figure: Figure, samples: Sequence[Deliveries]) -> Figure:
    """Time from the call that makes a change to its delivery to the first and to the last watcher."""
    values = {
        "ms to the first": Spread.of(1e3 * median(one.firsts) for one in samples),
        "ms to the last": Spread.of(1e3 * median(one.lasts) for one in samples),
    }
    return replace(figure, work=f"a change to {figure.in_flight:,} at once", values=values)


async def _beside_calls(comparison: Comparison, count: int) -> list[Figure]:
    """Watchers of one thread beside 64 callers of Get; the reference is the limit without other calls."""
    limit, ours = comparison.participants
    alone: list[Sample] = []
    quiet: list[Sample] = []
    calls: list[Sample] = []
    deliveries: list[Sample] = []
    await comparison.copy_answers(GET)
    async with _audiences(comparison, count, shared=True) as audiences:
        get = await GET.prepare(ours.runs, comparison.prepared_calls)
        for _ in range(comparison.rounds):
            comparison.step(f"{count:,} watchers, beside nothing: limit")
            quiet.append(await together(audiences[limit], comparison.seconds))
            comparison.step("64 Get, beside nothing: runsvc")
            alone.append(await closed_loop(ours.system.server, get, MANY, comparison.seconds))
            comparison.step(f"{count:,} watchers, beside 64 Get: runsvc")
            both = asyncio.gather(
                closed_loop(ours.system.server, get, MANY, _LONGER * comparison.seconds),
                together(audiences[ours], _LONGER * comparison.seconds),
            )
            for kept, sample in zip((calls, deliveries), await both, strict=True):
                kept.append(sample)
    figures = (
        _figure(comparison, "one thread, beside nothing", "limit", count, quiet, quiet),
        _figure(comparison, "one thread, beside 64 Get", "runsvc", count, deliveries, quiet),
        _figure(comparison, "64 Get, beside nothing", "runsvc", MANY, alone, alone),
        _figure(comparison, "64 Get, beside one thread", "runsvc", MANY, calls, alone),
    )
    return [each.without_cpu() for each in figures]


async def together(audience: Audience, seconds: float) -> Deliveries:
    """Make one change at a time and wait until every watcher has it."""
    sample, readers = Deliveries(), audience.readers
    end = time.perf_counter() + seconds
    with Usage(sample, audience.target.system.server):
        while not sample.firsts or time.perf_counter() < end:
            begin = time.perf_counter()
            delivered = readers.reach(readers.count + len(readers.times))
            await asyncio.gather(audience.target.change(0), delivered)
            sample.latencies += [at - begin for at in readers.times]
            sample.firsts.append(min(readers.times) - begin)
            sample.lasts.append(max(readers.times) - begin)
    return sample


async def apart(audience: Audience, seconds: float) -> Deliveries:
    """Change the thread of each watcher, 64 at a time, round after round."""
    sample, readers = Deliveries(), audience.readers
    count = len(readers.times)
    begins = [0.0] * count
    end = time.perf_counter() + seconds

    async def caller(numbers: Sequence[int]) -> None:
        for number in numbers:
            begins[number] = time.perf_counter()
            await audience.target.change(number)

    callers = [range(first, count, MANY) for first in range(min(MANY, count))]
    with Usage(sample, audience.target.system.server):
        while not sample.latencies or time.perf_counter() < end:
            delivered = readers.reach(readers.count + count)
            await asyncio.gather(delivered, *map(caller, callers))
            times = zip(begins, readers.times, strict=True)
            sample.latencies += [at - begin for begin, at in times]
    return sample


async def _memory(comparison: Comparison, count: int) -> list[Figure]:
    """Memory of the server per open stream without messages."""
    each = []
    for participant in comparison.participants:
        comparison.step(f"memory of {count:,} idle watchers: {participant.system.name}")
        # Warm up, so that one-time allocations do not count.
        async with _audience(participant, min(100, count), shared=True):
            pass
        before = participant.system.server.memory()
        async with _audience(participant, count, shared=True):
            each.append((participant.system.server.memory() - before) / count)
    limit, ours = each
    work = "memory of an idle watcher"
    values = {"bytes": Spread.of([ours]), "bytes beyond the limit's": Spread.of([ours - limit])}
    return [
        Figure(comparison.section, work, "limit", count, {"bytes": Spread.of([limit])}),
        Figure(comparison.section, work, "runsvc", count, values),
    ]


async def _resumed(comparison: Comparison, count: int) -> list[Figure]:
    """Watchers that resume all at once, after each has missed some changes."""
    ours = comparison.candidates[0]
    async with _audience(ours, 1, shared=True) as audience:
        target = cast("WatchedThreads", audience.target)
        after = StreamStatusResponse.FromString(audience.readers.newest).revision
        for _ in range(_MISSED):
            await target.change(0)
        request = target.request(target.names[0], after)
        seconds = []
        for _ in range(comparison.rounds):
            comparison.step(f"{count:,} watchers resume: runsvc")
            begin = time.perf_counter()
            readers = await Readers.open(target.system.address, target.method, [request] * count)
            await readers.reach(_MISSED * count)
            seconds.append(time.perf_counter() - begin)
            readers.close()
            await asyncio.sleep(_CLOSING * count)
    values = {
        "seconds until all are up to date": Spread.of(seconds),
        "watchers per second": Spread.of(count / each for each in seconds),
    }
    work = f"resume at once, {_MISSED} changes missed"
    return [Figure(comparison.section, work, "runsvc", count, values)]


@dataclass
class Audience:
    """A target and its readers."""

    target: Target
    readers: Readers


@asynccontextmanager
async def _audiences(
    comparison: Comparison, count: int, *, shared: bool
) -> AsyncIterator[dict[Participant, Audience]]:
    limit, ours = comparison.participants
    async with _audience(ours, count, shared=shared) as watchers:
        # The limit sends a message that runsvc has sent.
        await watchers.target.change(0)
        await watchers.readers.reach(count + (count if shared else 1))
        await cast("Limit", limit.system).set_answer(
            cast("GrpcCaller", limit.caller), WATCH, watchers.readers.newest
        )
        async with _audience(limit, count, shared=shared) as bare:
            yield {limit: bare, ours: watchers}


@asynccontextmanager
async def _audience(
    participant: Participant, count: int, *, shared: bool
) -> AsyncIterator[Audience]:
    caller = cast("GrpcCaller", participant.caller)
    target: Target
    if isinstance(participant.system, Limit):
        target = BareStreams(participant.system, caller, shared=shared)
    else:
        target = WatchedThreads(cast("Runsvc", participant.system), caller, shared=shared)
    requests = target.requests(count)
    readers = await Readers.open(target.system.address, target.method, requests)
    try:
        # Each stream starts with one message.
        await readers.reach(count)
        yield Audience(target, readers)
    finally:
        readers.close()
        await asyncio.sleep(_CLOSING * count)


def _figure(
    comparison: Comparison,
    work: str,
    system: str,
    in_flight: int,
    samples: Sequence[Sample],
    references: Sequence[Sample],
) -> Figure:
    values = of_samples(samples, references)
    return Figure(comparison.section, work, system, in_flight, values, failures_of(samples))
