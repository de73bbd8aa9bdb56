"""More calls at once than the server takes: those beyond its short queue end at once, without effect."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.bench.http2 import RESET, Connection
from tests.support.engines import StorePlace, opened
from tests.support.overload import HEALTH, Callers, Outcomes
from tests.support.server import Process

if TYPE_CHECKING:
    from pathlib import Path

OK, CANCELLED, RESOURCE_EXHAUSTED = 0, 1, 8
CALLS = 4_000


def runs_in(db: StorePlace) -> int:
    with opened(db) as run:
        ((count,),) = run("SELECT count(*) FROM runs")
    return int(count)


async def test_calls_beyond_a_short_queue_end_at_once_and_have_no_effect(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with Process(db) as process:
        callers = await Callers.open(process.address, connections=CALLS // 100, deadline=60.0)
        before, outcomes = runs_in(db), Outcomes()
        probe = await Connection.open(process.address)
        calls = asyncio.gather(*(callers.call(number, outcomes) for number in range(CALLS)))
        probes = 0
        while not calls.done():
            assert (await probe.unary(HEALTH, b"")).status == OK
            probes += 1
        assert probes > 1
        probe.close()
        assert outcomes.ends.keys() <= {OK, CANCELLED, RESOURCE_EXHAUSTED, RESET}
        assert outcomes.ends[CANCELLED] + outcomes.ends[RESET] > 0
        assert outcomes.answered > 0
        # No run exists that its creator does not know.
        assert runs_in(db) - before == outcomes.created
        afterwards = Outcomes()
        for number in range(100):
            await callers.call(number, afterwards)
        assert afterwards.ends == {OK: 100}
        assert (await callers.connections[0].unary(HEALTH, b"")).status == OK
        callers.close()
