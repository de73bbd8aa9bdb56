"""What finished runs cost: nothing per call, and no memory. Statements are judged by their plans, not by the clock."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runsvc.store.sqlite import reading, writing
from tests.support.calls import SUCCESS, call, created, refused
from tests.support.filling import BIG_THREAD, fill
from tests.support.server import Process, client_of, in_process

FINISHED = 100_000
STATM = Path("/proc/self/statm")


class Recorded:
    """Every statement that the server's connections run, with its plan."""

    def __init__(self) -> None:
        self.statements: set[str] = set()

    def scans(self, db: Path) -> list[str]:
        """Plans that read a whole table."""
        with closing(sqlite3.connect(db)) as file:
            return [
                f"{step[3]}: {statement}"
                for statement in sorted(self.statements)
                if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))
                for step in file.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                if step[3] in ("SCAN runs", "SCAN log", "USE TEMP B-TREE FOR ORDER BY")
            ]


async def test_a_hundred_thousand_finished_runs_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "runs.db"
    await asyncio.to_thread(fill, db, FINISHED)
    recorded = Recorded()
    connect_reader, make_writer = reading.connect_reader, writing.make_writer  # type: ignore[attr-defined]

    def traced_reader(path: Path) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect_reader(path)
        connection.set_trace_callback(recorded.statements.add)
        return connection

    def traced_writer(connection: sqlite3.Connection) -> None:
        make_writer(connection)
        connection.set_trace_callback(recorded.statements.add)

    monkeypatch.setattr(reading, "connect_reader", traced_reader)
    monkeypatch.setattr(writing, "make_writer", traced_writer)
    async with in_process(db) as client:
        # The start has read the end of the log, so many entries and no more.
        recorded.statements.clear()
        page = await call(client, "ListByThread", thread_id=BIG_THREAD, page_size=200)
        assert len(page.runs) == 200
        token = page.next_page_token
        assert (await call(client, "ListByThread", thread_id=BIG_THREAD, page_token=token)).runs
        run = await created(client, BIG_THREAD)
        await call(client, "Get", run_id=run.run_id)
        await call(client, "HasInflight", thread_id=BIG_THREAD)
        active = await call(client, "ListByThread", thread_id=BIG_THREAD, statuses=[1, 2])
        assert [each.run_id for each in active.runs] == [run.run_id]
        error = await refused(client, "CreateOrReject", spec={"thread_id": BIG_THREAD})
        assert error.reason == "THREAD_BUSY"
        await call(client, "Create", request_id="r", spec={"thread_id": BIG_THREAD})
        await call(client, "SetStatus", run_id=run.run_id, status=SUCCESS)
        await call(client, "ReconcileOrphans")
        await call(client, "GetServerInfo")
    assert len(recorded.statements) > 10
    assert recorded.scans(db) == []


def resident(pid: int) -> int:
    """Bytes of a process in memory."""
    fields = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    return int(fields[1]) * 4_096


@pytest.mark.skipif(not STATM.exists(), reason="no /proc to read a process's memory from")
@pytest.mark.parametrize(
    ("rounds", "bound"),
    [
        pytest.param(2, 24 << 20, id="short"),
        pytest.param(40, 24 << 20, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1_800)]),
    ],
)
async def test_finished_runs_stay_out_of_memory(tmp_path: Path, rounds: int, bound: int) -> None:
    async with Process(tmp_path / "runs.db") as process, client_of(process.address) as client:

        async def lives(lane: int, count: int) -> None:
            for _ in range(count):
                run = await created(client, f"t{lane}", metadata={"text": "x" * 2_000})
                await call(client, "SetStatus", run_id=run.run_id, status=SUCCESS)

        await asyncio.gather(*(lives(lane, 5) for lane in range(50)))
        before = resident(process.pid)
        for _ in range(rounds):
            await asyncio.gather(*(lives(lane, 20) for lane in range(50)))
        # The ring of the newest changes may fill up to its 16 MiB; all the runs together are larger in the long form.
        assert resident(process.pid) - before < bound
