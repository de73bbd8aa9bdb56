"""Watches: from the call that changes a run to its first and its last watcher, alone and beside other calls."""

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
from tests.bench.stages import Bare, Threads
from tests.bench.systems import GrpcCaller, Limit, Runsvc
from tests.bench.unary import MANY, failures_of
from tests.bench.work import GET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.bench.plan import Plan
    from tests.bench.session import Session
    from tests.bench.stages import Stage
    from tests.bench.unary import Contender, Contest

#: Changes that a watcher which resumes has missed.
_MISSED: Final = 10
#: The broadcast beside calls is slow: it gets so many times the time.
_LONGER: Final = 2
#: Seconds for each stream that was left to be gone.
_LEAVING: Final = 3e-4


def steps(plan: Plan) -> int:
    """How often `watch` says what it measures."""
    return plan.rounds * (4 * len(plan.watchers) + 3 + 1) + 2


@dataclass
class Deliveries(Sample):
    """What came of changes: the latencies are those of every delivery, from the call on."""

    #: Seconds to the first and to the last watcher, of each change.
    firsts: list[float] = field(default_factory=list)
    lasts: list[float] = field(default_factory=list)


async def watch(session: Session) -> list[Figure]:
    """Watchers of one thread and of as many threads, against the limit's streams of the same bytes."""
    figures = []
    async with session.contest(Limit(), Runsvc(session.file())) as contest:
        figures += await _memory(contest, max(session.plan.watchers))
        for count in session.plan.watchers:
            figures += await _spread(contest, count, shared=True)
            figures += await _spread(contest, count, shared=False)
        figures += await _beside_calls(contest, max(session.plan.watchers))
        figures += await _resumed(contest, session.plan.resumed)
    return figures


async def _spread(contest: Contest, count: int, *, shared: bool) -> list[Figure]:
    work = "one thread" if shared else "a thread each"
    measure = together if shared else apart
    async with _audiences(contest, count, shared=shared) as audiences:
        samples = await contest.take_turns(
            f"{count:,} watchers of {work}",
            lambda contender: measure(audiences[contender], contest.seconds),
        )
    every = cast("list[list[Deliveries]]", samples)
    figures = contest.figures(work, count, every)
    if shared:
        figures += [_reach(figure, mine) for figure, mine in zip(figures, every, strict=True)]
    return figures


def _reach(figure: Figure, samples: Sequence[Deliveries]) -> Figure:
    """How long it takes, from the call on that makes a change, until the first and until the last watcher has it."""
    values = {
        "ms to the first": Spread.of(1e3 * median(one.firsts) for one in samples),
        "ms to the last": Spread.of(1e3 * median(one.lasts) for one in samples),
    }
    return replace(figure, work=f"a change to {figure.in_flight:,} at once", values=values)


async def _beside_calls(contest: Contest, count: int) -> list[Figure]:
    """The broadcast of one thread with 64 Get beside it; the reference is the limit with nothing beside."""
    limit, ours = contest.everyone
    alone: list[Sample] = []
    quiet: list[Sample] = []
    calls: list[Sample] = []
    deliveries: list[Sample] = []
    await contest.teach(GET)
    async with _audiences(contest, count, shared=True) as audiences:
        get = await GET.prepare(ours.stock, contest.ready)
        for _ in range(contest.rounds):
            contest.step(f"{count:,} watchers, beside nothing: limit")
            quiet.append(await together(audiences[limit], contest.seconds))
            contest.step("64 Get, beside nothing: runsvc")
            alone.append(await closed_loop(ours.system.server, get, MANY, contest.seconds))
            contest.step(f"{count:,} watchers, beside 64 Get: runsvc")
            both = asyncio.gather(
                closed_loop(ours.system.server, get, MANY, _LONGER * contest.seconds),
                together(audiences[ours], _LONGER * contest.seconds),
            )
            for kept, sample in zip((calls, deliveries), await both, strict=True):
                kept.append(sample)
    figures = (
        _figure(contest, "one thread, beside nothing", "limit", count, quiet, quiet),
        _figure(contest, "one thread, beside 64 Get", "runsvc", count, deliveries, quiet),
        _figure(contest, "64 Get, beside nothing", "runsvc", MANY, alone, alone),
        _figure(contest, "64 Get, beside one thread", "runsvc", MANY, calls, alone),
    )
    return [each.without_cpu() for each in figures]


async def together(audience: Audience, seconds: float) -> Deliveries:
    """One change after the other, each of which everyone gets."""
    sample, readers = Deliveries(), audience.readers
    end = time.perf_counter() + seconds
    with Usage(sample, audience.stage.system.server):
        while not sample.firsts or time.perf_counter() < end:
            begin = time.perf_counter()
            everyone = readers.reach(readers.count + len(readers.times))
            await asyncio.gather(audience.stage.change(0), everyone)
            sample.latencies += [at - begin for at in readers.times]
            sample.firsts.append(min(readers.times) - begin)
            sample.lasts.append(max(readers.times) - begin)
    return sample


async def apart(audience: Audience, seconds: float) -> Deliveries:
    """Changes of everyone's own run, 64 at a time, in as many turns as there is time for."""
    sample, readers = Deliveries(), audience.readers
    count = len(readers.times)
    begins = [0.0] * count
    end = time.perf_counter() + seconds

    async def lane(numbers: Sequence[int]) -> None:
        for number in numbers:
            begins[number] = time.perf_counter()
            await audience.stage.change(number)

    lanes = [range(first, count, MANY) for first in range(min(MANY, count))]
    with Usage(sample, audience.stage.system.server):
        while not sample.latencies or time.perf_counter() < end:
            everyone = readers.reach(readers.count + count)
            await asyncio.gather(everyone, *map(lane, lanes))
            times = zip(begins, readers.times, strict=True)
            sample.latencies += [at - begin for begin, at in times]
    return sample


async def _memory(contest: Contest, count: int) -> list[Figure]:
    """Bytes of the server for each stream that is open and gets nothing."""
    each = []
    for contender in contest.everyone:
        contest.step(f"memory of {count:,} idle watchers: {contender.system.name}")
        # What the first streams need once is not theirs.
        async with _audience(contender, min(100, count), shared=True):
            pass
        before = contender.system.server.memory()
        async with _audience(contender, count, shared=True):
            each.append((contender.system.server.memory() - before) / count)
    limit, ours = each
    work = "memory of an idle watcher"
    values = {"bytes": Spread.of([ours]), "bytes beyond the limit's": Spread.of([ours - limit])}
    return [
        Figure(contest.section, work, "limit", count, {"bytes": Spread.of([limit])}),
        Figure(contest.section, work, "runsvc", count, values),
    ]


async def _resumed(contest: Contest, count: int) -> list[Figure]:
    """Watchers that come back all at once, each of which has missed some changes."""
    ours = contest.contenders[0]
    async with _audience(ours, 1, shared=True) as audience:
        stage = cast("Threads", audience.stage)
        after = StreamStatusResponse.FromString(audience.readers.newest).revision
        for _ in range(_MISSED):
            await stage.change(0)
        request = stage.request(stage.names[0], after)
        seconds = []
        for _ in range(contest.rounds):
            contest.step(f"{count:,} watchers resume: runsvc")
            begin = time.perf_counter()
            readers = await Readers.of(stage.system.address, stage.method, [request] * count)
            await readers.reach(_MISSED * count)
            seconds.append(time.perf_counter() - begin)
            readers.close()
            await asyncio.sleep(_LEAVING * count)
    values = {
        "seconds until all are up to date": Spread.of(seconds),
        "watchers per second": Spread.of(count / each for each in seconds),
    }
    work = f"resume at once, {_MISSED} changes missed"
    return [Figure(contest.section, work, "runsvc", count, values)]


@dataclass
class Audience:
    """A stage and those who watch it."""

    stage: Stage
    readers: Readers


@asynccontextmanager
async def _audiences(
    contest: Contest, count: int, *, shared: bool
) -> AsyncIterator[dict[Contender, Audience]]:
    limit, ours = contest.everyone
    async with _audience(ours, count, shared=shared) as watchers:
        # The limit sends what one of them got.
        await watchers.stage.change(0)
        await watchers.readers.reach(count + (count if shared else 1))
        await cast("Limit", limit.system).teach(
            cast("GrpcCaller", limit.caller), WATCH, watchers.readers.newest
        )
        async with _audience(limit, count, shared=shared) as bare:
            yield {limit: bare, ours: watchers}


@asynccontextmanager
async def _audience(contender: Contender, count: int, *, shared: bool) -> AsyncIterator[Audience]:
    caller = cast("GrpcCaller", contender.caller)
    stage: Stage
    if isinstance(contender.system, Limit):
        stage = Bare(contender.system, caller, shared=shared)
    else:
        stage = Threads(cast("Runsvc", contender.system), caller, shared=shared)
    requests = stage.requests(count)
    readers = await Readers.of(stage.system.address, stage.method, requests)
    try:
        # Each gets one message when it has begun.
        await readers.reach(count)
        yield Audience(stage, readers)
    finally:
        readers.close()
        await asyncio.sleep(_LEAVING * count)


def _figure(
    contest: Contest,
    work: str,
    system: str,
    in_flight: int,
    samples: Sequence[Sample],
    references: Sequence[Sample],
) -> Figure:
    values = of_samples(samples, references)
    return Figure(contest.section, work, system, in_flight, values, failures_of(samples))
