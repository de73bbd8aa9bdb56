"""Claims: their rate and cost, the time from a creation to its start, the shares of owners, and delayed runs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from google.protobuf.duration_pb2 import Duration

from runsvc.v1 import run_service_pb2 as pb
from tests.bench import sqlite_queue
from tests.bench.figures import Figure, Spread, of_samples
from tests.bench.load import Exhausted, Sample, closed_loop
from tests.bench.sections import name_with_runs
from tests.bench.systems import GrpcCaller, Runsvc, connect, spec_of
from tests.bench.unary import failures_of
from tests.bench.work import new_thread, repeat
from tests.support.filling import fill_waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runsvc.v1.run_pb2 import Run
    from tests.bench.plan import Plan
    from tests.bench.session import Session
    from tests.bench.unary import Participant

#: Of ten owners, the first has nine of ten runs.
OWNERS: Final = ("much", *(f"owner-{number}" for number in range(9)))
_ASSISTANT: Final = spec_of("").assistant_id
_LEASE: Final = Duration(seconds=3_600)
#: Longer than any measurement.
_LONG_WAIT: Final = Duration(seconds=60)
#: Runs for which the shares of owners are counted; each owner has more.
_COUNTED: Final = 320
#: Seconds between two delayed runs, and before the first.
_GAP, _LEAD = 0.05, 1.0
#: Seconds after which a run that no worker has received is lost, and the section fails.
_LOST: Final = 30
#: Callers that create runs beside delayed ones.
_BESIDE: Final = 8


def steps(plan: Plan) -> int:
    """The number of progress steps of `claims`."""
    return 5 * len(plan.workers) * plan.rounds + 3


async def claims(session: Session) -> list[Figure]:
    """Measure runsvc with few and with many waiting runs, and a plain SQLite queue beside it."""
    count = session.plan.waiting_runs
    db = session.file()
    few, many = Runsvc(session.file()), Runsvc(db, name_of(count))
    session.observer.preparing(f"A store with {count:,} waiting runs", 0, 1)
    await asyncio.to_thread(fill_waiting, db, count, OWNERS, _ASSISTANT)
    session.observer.preparing("", 1, 1)
    async with session.comparison(few, many) as comparison:
        ours = [
            Claims(participant, waiting)
            for participant, waiting in zip(comparison.participants, (0, count), strict=True)
        ]
        # First, while the owners' runs are as they were filled.
        session.observer.step("shares of owners")
        shares = Figure(
            session.section, "shares of owners", many.name, values=await ours[1].shares()
        )
        return [
            *await _rates(session, ours),
            *await _starts(session, ours),
            shares,
            *await _lateness(session, ours[0]),
        ]


def name_of(count: int) -> str:
    """The name of runsvc with this many waiting runs."""
    return f"{name_with_runs(count)} waiting"


class Claims:
    """The calls of workers to one system."""

    def __init__(self, participant: Participant, waiting: int) -> None:
        """`waiting` runs are there already."""
        assert isinstance(participant.system, Runsvc)
        self.system = participant.system
        assert isinstance(participant.caller, GrpcCaller)
        self.caller = participant.caller
        #: Runs that wait.
        self._left = waiting

    async def claim(self, worker: str, wait: Duration | None = None, runs: int = 1) -> list[Run]:
        """Claim runs."""
        return await claimed(self.caller, worker, wait or Duration(), runs)

    async def take(self) -> None:
        """Claim one run; raise Exhausted if none waits."""
        if not await self.claim("worker"):
            raise Exhausted
        self._left -= 1

    async def prepare(self, count: int) -> None:
        """Create runs until this many wait."""

        async def one() -> None:
            await self.caller.create(new_thread())

        await repeat(one, count - self._left)
        self._left = max(self._left, count)

    async def shares(self) -> dict[str, Spread]:
        """How far the number of runs of an owner is from its share, among the first that are claimed."""
        counts = Counter(dict.fromkeys(OWNERS, 0))
        left = _COUNTED
        while left > 0 and (runs := await self.claim("worker", runs=min(left, 32))):
            left -= len(runs)
            self._left -= len(runs)
            counts.update(run.owner for run in runs)
        share = counts.total() / len(OWNERS)
        return {
            "runs of an owner": Spread.of(counts.values()),
            "furthest from its share": Spread.of(
                [max(abs(each - share) for each in counts.values())]
            ),
        }

    async def starts(self, workers: int, seconds: float, *, busy: bool) -> Sample:
        """The times from the answer of a creation to its start, while workers wait, or work through a queue."""
        received: dict[str, asyncio.Future[float]] = {}
        # A call that waits occupies no connection, but it must not share the one of the creations.
        callers = [
            GrpcCaller(await connect(self.system.address, 1)) for _ in range(min(workers, 8))
        ]
        tasks = [
            asyncio.create_task(self._work(callers[number % len(callers)], f"w{number}", received))
            for number in range(workers)
        ]
        sample = Sample()
        begin = time.perf_counter()
        loop = asyncio.get_running_loop()
        while time.perf_counter() < begin + seconds:
            run_id = await self.caller.create(new_thread())
            answered = time.perf_counter()
            started = received.setdefault(run_id, loop.create_future())
            async with asyncio.timeout(_LOST):
                sample.latencies.append(max(0.0, await started - answered))
            # Otherwise the worker that has just ended would never wait.
            if not busy:
                await asyncio.sleep(0.01)
        sample.seconds = time.perf_counter() - begin
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for caller in callers:
            caller.close()
        sample.latencies.sort()
        return sample

    async def _work(
        self, caller: GrpcCaller, worker: str, received: dict[str, asyncio.Future[float]]
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for run in await claimed(caller, worker, _LONG_WAIT, 1):
                future = received.setdefault(run.run_id, loop.create_future())
                future.set_result(time.perf_counter())
                request = pb.CompleteRequest(
                    run_id=run.run_id,
                    worker_id=worker,
                    status=3,  # type: ignore[arg-type]
                )
                await caller.call("Complete", request.SerializeToString())


async def claimed(caller: GrpcCaller, worker: str, wait: Duration, runs: int) -> list[Run]:
    """The runs of a claim."""
    request = pb.ClaimRequest(
        worker_id=worker, assistant_ids=[_ASSISTANT], max_runs=runs, lease_ttl=_LEASE, wait=wait
    )
    answer = await caller.call("Claim", request.SerializeToString())
    return list(pb.ClaimResponse.FromString(answer).runs)


async def _rates(session: Session, ours: Sequence[Claims]) -> list[Figure]:
    """Claims per second: each worker claims one run after another."""
    plan, figures, pairs = session.plan, [], list(enumerate(ours))
    for workers in plan.workers:
        samples: list[list[Sample]] = [[], [], []]
        for number in range(plan.rounds):
            for index, mine in pairs[:: -1 if number % 2 else 1]:
                session.observer.step(f"Claim, {workers} workers: {mine.system.name}")
                await mine.prepare(workers + int(3_000 * plan.seconds))
                server = mine.system.server
                samples[index].append(await closed_loop(server, mine.take, workers, plan.seconds))
            session.observer.step(f"Claim, {workers} workers: a SQLite queue")
            # This blocks the loop on purpose: no other work is to run.
            samples[2].append(sqlite_queue.claim(session.file(), workers, plan.seconds))
        names = [*(mine.system.name for mine in ours), sqlite_queue.NAME]
        figures += [
            Figure(
                session.section,
                "Claim",
                name,
                workers,
                of_samples(mine, samples[0]),
                failures_of(mine),
            )
            for name, mine in zip(names, samples, strict=True)
        ]
    return figures


async def _starts(session: Session, ours: Sequence[Claims]) -> list[Figure]:
    """The time from a creation to its start, with idle workers, and with workers that have many runs before it."""
    plan, figures = session.plan, []
    few, many = ours
    while await few.claim("worker", runs=32):
        pass
    for workers in plan.workers:
        for mine, busy in ((few, False), (many, True)):
            samples = []
            for _ in range(plan.rounds):
                session.observer.step(f"creation to start, {workers} workers: {mine.system.name}")
                samples.append(await mine.starts(workers, plan.seconds, busy=busy))
            values = _percentiles(samples)
            figures.append(
                Figure(session.section, "creation to start", mine.system.name, workers, values)
            )
    return figures


async def _lateness(session: Session, mine: Claims) -> list[Figure]:
    """How late runs with a not_before become PENDING, on an idle server and beside callers who create runs."""
    figures = []
    for callers in (0, _BESIDE):
        session.observer.step(f"delayed runs beside {callers} callers")
        creating = [asyncio.create_task(_create_for_ever(mine.caller)) for _ in range(callers)]
        sample = Sample(
            latencies=[late async for late in _late(mine.caller, session.plan.delayed_runs)]
        )
        for task in creating:
            task.cancel()
        await asyncio.gather(*creating, return_exceptions=True)
        sample.latencies.sort()
        values = _percentiles([sample]) | {"worst ms": Spread.of([1e3 * sample.percentile(1)])}
        figures.append(
            Figure(session.section, "lateness of delayed runs", mine.system.name, callers, values)
        )
    return figures


async def _late(caller: GrpcCaller, count: int) -> AsyncIterator[float]:
    first = datetime.now(UTC) + timedelta(seconds=_LEAD + 0.01 * count)
    due = {}
    for number in range(count):
        spec = spec_of(new_thread())
        at = first + timedelta(seconds=_GAP * number)
        spec.not_before.FromDatetime(at)
        answer = await caller.call("Create", pb.CreateRequest(spec=spec).SerializeToString())
        due[pb.CreateResponse.FromString(answer).run.run_id] = at
    await asyncio.sleep((max(due.values()) - datetime.now(UTC)).total_seconds() + 0.5)
    for run_id, at in due.items():
        answer = await caller.call("Get", pb.GetRequest(run_id=run_id).SerializeToString())
        run = pb.GetResponse.FromString(answer).run
        yield (run.pending_at.ToDatetime(UTC) - at).total_seconds()


async def _create_for_ever(caller: GrpcCaller) -> None:
    with suppress(asyncio.CancelledError):
        while True:
            await caller.create(new_thread())


def _percentiles(samples: Sequence[Sample]) -> dict[str, Spread]:
    return {
        "p50 ms": Spread.of(1e3 * each.percentile(0.5) for each in samples),
        "p99 ms": Spread.of(1e3 * each.percentile(0.99) for each in samples),
    }
