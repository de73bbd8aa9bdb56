"""The floor of the store: plain sqlite3 that durably writes the same rows, with no other work."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

from runsvc.store.sqlite import saving
from tests.bench.figures import Figure, of_samples
from tests.bench.load import Sample, closed_loop
from tests.bench.machine import on_servers_core
from tests.bench.systems import Runsvc
from tests.bench.unary import MANY, failures_of
from tests.bench.work import CREATE_OR_REJECT
from tests.support import filling

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.session import Session

#: Runs per commit.
_BATCHES: Final = (1, 64)
#: More rows than one measurement can write.
_ROWS: Final = 200_000


async def floor(session: Session) -> list[Figure]:
    """Measure CreateOrReject against plain writes of a run and its log entry, 1 and 64 runs per commit."""
    plan = session.plan
    samples: dict[int, list[Sample]] = {batch: [] for batch in _BATCHES}
    ours = []
    async with session.comparison(Runsvc(session.file())) as comparison:
        reference = comparison.reference
        for _ in range(plan.rounds):
            for batch in _BATCHES:
                session.observer.step(f"sqlite3, {batch} per commit")
                db = await session.filled(0)
                # This blocks the loop on purpose: no other work is to run.
                samples[batch].append(_write_rows(db, batch, plan.seconds))
            session.observer.step("CreateOrReject, against the floor")
            call = await CREATE_OR_REJECT.prepare(reference.runs, 1)
            ours.append(await closed_loop(reference.system.server, call, MANY, plan.seconds))
    figures = [
        Figure(
            session.section,
            "the rows of a new run",
            f"sqlite3, {batch} per commit",
            batch,
            of_samples(mine, mine),
        )
        for batch, mine in samples.items()
    ]
    values = of_samples(ours, samples[_BATCHES[-1]])
    return [
        *figures,
        Figure(session.section, "CreateOrReject", "runsvc", MANY, values, failures_of(ours)),
    ]


def _write_rows(db: Path, batch: int, seconds: float) -> Sample:
    sample = Sample()
    rows = filling.new_rows(_ROWS)
    with on_servers_core(), closing(sqlite3.connect(db, isolation_level=None)) as file:
        file.execute("PRAGMA synchronous = FULL")
        cpu, begin = time.process_time(), time.perf_counter()
        now = begin
        while now < begin + seconds:
            file.execute("BEGIN IMMEDIATE")
            for _ in range(batch):
                run, activity, entry = next(rows)
                file.execute(saving.INSERT, run)
                file.execute(saving.INSERT_ACTIVITY, activity)
                file.execute(saving.APPEND, entry)
            file.execute("COMMIT")
            before, now = now, time.perf_counter()
            sample.latencies += [now - before] * batch
        sample.seconds, sample.server_cpu = now - begin, time.process_time() - cpu
    sample.latencies.sort()
    return sample
