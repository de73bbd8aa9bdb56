"""What runs cost beside time: memory of the server, and its start on a file that holds many."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, Spread
from tests.bench.sections import named
from tests.bench.systems import PAYLOAD, Runsvc
from tests.bench.work import fresh_thread, repeat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.bench.session import Session
    from tests.bench.systems import Caller

#: Time for what is done in the background to end.
_SETTLING: Final = 0.2


async def memory(session: Session) -> list[Figure]:
    """Bytes per finished and per active run, once the ring of newest changes is full."""
    plan, step = session.plan, session.watcher.step
    async with session.contest(Runsvc(session.file())) as contest:
        server, caller = contest.reference.system.server, contest.reference.caller
        step(f"{plan.warm_runs:,} runs that fill the ring")
        await _settled(lambda: _life(caller), plan.warm_runs)
        step(f"memory of {plan.weighed_runs:,} finished runs")
        before = server.memory()
        await _settled(lambda: _life(caller), plan.weighed_runs)
        between = server.memory()
        step(f"memory of {plan.weighed_runs:,} active runs")
        await _settled(lambda: caller.create(fresh_thread()), plan.weighed_runs)
        after = server.memory()
    finished, active = (between - before) / plan.weighed_runs, (after - between) / plan.weighed_runs
    return [
        _figure(session, "a finished run", "runsvc", "bytes", [finished]),
        _figure(session, "an active run", "runsvc", "bytes beyond payload", [active - PAYLOAD]),
    ]


async def start(session: Session) -> list[Figure]:
    """From the command to the ready line, on an empty file and on files with finished runs."""
    files = {named(count): await session.filled(count) for count in session.plan.finished}
    # Made before, like the others.
    files = {"runsvc, empty": await session.filled(0)} | files
    times: dict[str, list[float]] = {name: [] for name in files}
    for _ in range(session.plan.rounds):
        for name, db in files.items():
            session.watcher.step(f"start: {name}")
            times[name].append(await _start(db))
    empty = times["runsvc, empty"]
    figures = []
    for name, mine in times.items():
        added = [one - other for one, other in zip(mine, empty, strict=True)]
        values = {"seconds": Spread.of(mine), "seconds added": Spread.of(added)}
        figures.append(Figure(session.section, "start", name, values=values))
    return figures


async def _start(db: Path) -> float:
    system = Runsvc(db)
    begin = time.perf_counter()
    try:
        await system.start()
        return time.perf_counter() - begin
    finally:
        await system.stop()


async def _life(caller: Caller) -> None:
    await caller.complete(await caller.create(fresh_thread()))


async def _settled(one: Callable[[], Awaitable[object]], times: int) -> None:
    await repeat(one, times)
    await asyncio.sleep(_SETTLING)


def _figure(session: Session, work: str, system: str, value: str, values: list[float]) -> Figure:
    return Figure(session.section, work, system, values={value: Spread.of(values)})
