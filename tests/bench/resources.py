"""What runs cost beside time: memory of the server, and its start on a file that holds many."""

from __future__ import annotations

import time
from statistics import linear_regression
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.bench.figures import Figure, Spread
from tests.bench.sections import named
from tests.bench.systems import PAYLOAD, Runsvc
from tests.bench.work import fresh_thread, repeat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.bench.session import Session

#: So often the server is weighed while it takes runs: it grows and shrinks by megabytes between collections of garbage.
_WEIGHINGS: Final = 20


async def memory(session: Session) -> list[Figure]:
    """Bytes per finished and per active run, once the ring of newest changes is full: the slope of the growth."""
    plan = session.plan
    async with session.contest(Runsvc(session.file())) as contest:
        caller = contest.reference.caller

        async def life() -> None:
            await caller.complete(await caller.create(fresh_thread()))

        async def grown(what: str, one: Callable[[], Awaitable[object]]) -> float:
            session.watcher.step(f"memory of {plan.weighed_runs:,} {what} runs")
            stretch = plan.weighed_runs // _WEIGHINGS
            runs, memory = range(0, plan.weighed_runs, stretch), []
            for _ in runs:
                memory.append(contest.reference.system.server.memory())
                await repeat(one, stretch)
            return linear_regression(runs, memory).slope

        session.watcher.step(f"{plan.warm_runs:,} finished runs that fill the ring")
        await repeat(life, plan.warm_runs)
        finished = await grown("finished", life)
        # Changes of as many different runs take the ring more memory than two of each.
        session.watcher.step(f"{plan.warm_runs:,} active runs that fill the ring")
        await repeat(lambda: caller.create(fresh_thread()), plan.warm_runs)
        active = await grown("active", lambda: caller.create(fresh_thread()))
    values = {"bytes beyond payload": Spread.of([active - PAYLOAD])}
    return [
        Figure(
            session.section, "a finished run", "runsvc", values={"bytes": Spread.of([finished])}
        ),
        Figure(session.section, "an active run", "runsvc", values=values),
    ]


async def start(session: Session) -> list[Figure]:
    """From the command to the ready line, on an empty file and on files with finished runs, and the memory then."""
    counts = (0, *session.plan.finished)
    # All made before, also the empty one.
    files = {count: await session.filled(count) for count in counts}
    samples: dict[int, list[_Start]] = {count: [] for count in counts}
    for _ in range(session.plan.rounds):
        for count, db in files.items():
            session.watcher.step(f"start on {count:,} finished runs")
            samples[count].append(await _start(db))
    return [
        Figure(
            session.section,
            "start",
            named(count) if count else "runsvc, empty",
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
