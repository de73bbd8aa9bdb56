"""Memory per run, and the time and memory of a start on a file with many runs."""

from __future__ import annotations

import time
from statistics import linear_regression
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.bench.figures import Figure, Spread
from tests.bench.sections import name_with_runs
from tests.bench.systems import PAYLOAD, Runsvc
from tests.bench.work import new_thread, repeat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.bench.session import Session

#: Memory samples per measurement: the process varies by megabytes between garbage collections.
_SAMPLES: Final = 20


async def memory(session: Session) -> list[Figure]:
    """Bytes per finished and per active run: the slope of the growth once the recent log is full."""
    plan = session.plan
    async with session.comparison(Runsvc(session.file())) as comparison:
        caller = comparison.reference.caller

        async def create_and_complete() -> None:
            await caller.complete(await caller.create(new_thread()))

        async def growth(kind: str, one: Callable[[], Awaitable[object]]) -> float:
            session.observer.step(f"memory of {plan.measured_runs:,} {kind} runs")
            step = plan.measured_runs // _SAMPLES
            runs, memory = range(0, plan.measured_runs, step), []
            for _ in runs:
                memory.append(comparison.reference.system.server.memory())
                await repeat(one, step)
            return linear_regression(runs, memory).slope

        session.observer.step(f"{plan.warmup_runs:,} finished runs to fill the recent log")
        await repeat(create_and_complete, plan.warmup_runs)
        finished = await growth("finished", create_and_complete)
        # Entries of different runs take more memory in the recent log than two entries of each run.
        session.observer.step(f"{plan.warmup_runs:,} active runs to fill the recent log")
        await repeat(lambda: caller.create(new_thread()), plan.warmup_runs)
        active = await growth("active", lambda: caller.create(new_thread()))
    values = {"bytes beyond payload": Spread.of([active - PAYLOAD])}
    return [
        Figure(
            session.section, "a finished run", "runsvc", values={"bytes": Spread.of([finished])}
        ),
        Figure(session.section, "an active run", "runsvc", values=values),
    ]


async def start(session: Session) -> list[Figure]:
    """Time from the command to the ready line, and memory then, on an empty file and on files of finished runs."""
    counts = (0, *session.plan.finished)
    # Create all files first, including the empty one.
    files = {count: await session.filled(count) for count in counts}
    samples: dict[int, list[_Start]] = {count: [] for count in counts}
    for _ in range(session.plan.rounds):
        for count, db in files.items():
            session.observer.step(f"start on {count:,} finished runs")
            samples[count].append(await _start(db))
    return [
        Figure(
            session.section,
            "start",
            name_with_runs(count) if count else "runsvc, empty",
            values=_values(count, mine, samples[0]),
        )
        for count, mine in samples.items()
    ]


class _Start(NamedTuple):
    seconds: float
    memory: int


def _values(count: int, mine: list[_Start], empty: list[_Start]) -> dict[str, Spread]:
    pairs = list(zip(mine, empty, strict=True))
    values = {
        "seconds": Spread.of(one.seconds for one in mine),
        "seconds added": Spread.of(one.seconds - other.seconds for one, other in pairs),
    }
    if count:
        grown = ((one.memory - other.memory) / count for one, other in pairs)
        values["bytes per run"] = Spread.of(grown)
    return values


async def _start(db: Path) -> _Start:
    system = Runsvc(db)
    begin = time.perf_counter()
    try:
        await system.start()
        return _Start(time.perf_counter() - begin, system.server.memory())
    finally:
        await system.stop()
