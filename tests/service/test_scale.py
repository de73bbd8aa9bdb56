"""The cost of finished runs: none per call, and no memory. Calls are measured in steps of SQLite, not in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.store.sqlite import reading, writing
from tests.support.calls import (
    INTERRUPT,
    SNAPSHOT_END,
    SUCCESS,
    Refused,
    call,
    created,
    watching,
)
from tests.support.filling import BIG_THREAD, fill
from tests.support.memory import needs_proc, resident
from tests.support.server import Process, client_of, in_process
from tests.support.waiting import until
from tests.support.watchers import SharedConnection, Watcher, following

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

FINISHED = 50_000


#: Steps of SQLite that one call may take: a page of 200 runs takes some 6,000, a walk over the big thread 50,000.
STEPS = 20_000


class Steps:
    """Counts the steps of the server's connections, in thousands."""

    def __init__(self) -> None:
        self.thousands = 0

    def watch(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(self._count, 1_000)

    def _count(self) -> int:
        self.thousands += 1
        return 0


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """The steps of a server that this test starts."""
    steps = Steps()
    connect_reader, make_writer = reading.connect_reader, writing.make_writer  # type: ignore[attr-defined]

    def counted_reader(path: Path) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect_reader(path)
        steps.watch(connection)
        return connection

    def counted_writer(connection: sqlite3.Connection) -> None:
        make_writer(connection)
        steps.watch(connection)

    monkeypatch.setattr(reading, "connect_reader", counted_reader)
    monkeypatch.setattr(writing, "make_writer", counted_writer)
    return steps


async def test_fifty_thousand_finished_runs_add_no_cost_per_call(
    tmp_path: Path, steps: Steps
) -> None:
    db = tmp_path / "runs.db"
    await asyncio.to_thread(fill, db, FINISHED)
    async with in_process(db) as client:

        async def cheap(method: str, **fields: Any) -> Any:
            steps.thousands = 0
            try:
                return await call(client, method, **fields)
            finally:
                assert steps.thousands * 1_000 <= STEPS, method

        thread = {"thread_id": BIG_THREAD}
        page = await cheap("ListByThread", page_size=200, **thread)
        assert len(page.runs) == 200
        assert (await cheap("ListByThread", page_token=page.next_page_token, **thread)).runs
        run = (await cheap("Create", spec=thread)).run
        await cheap("Get", run_id=run.run_id)
        assert (await cheap("HasInflight", **thread)).has_inflight
        active = await cheap("ListByThread", statuses=[1, 2], **thread)
        assert [each.run_id for each in active.runs] == [run.run_id]
        with pytest.raises(Refused, match="THREAD_BUSY"):
            await cheap("CreateOrReject", spec=thread)
        for _ in range(2):
            await cheap("Create", request_id="r", spec=thread)
        await cheap("SetStatus", run_id=run.run_id, status=SUCCESS)
        await cheap("CreateOrReject", spec={"multitask_strategy": INTERRUPT, **thread})
        await cheap("ReconcileOrphans")
        assert (await cheap("GetServerInfo")).active_runs == 0
        await cheap("Delete", run_id=run.run_id)
        steps.thousands = 0
        async with watching(client, **thread, after_revision=FINISHED) as stream:
            assert (await stream.read()).run.run_id == run.run_id
        async with watching(client, **thread) as stream:
            assert (await stream.read()).event == SNAPSHOT_END
        assert steps.thousands * 1_000 <= STEPS


async def test_watchers_behind_the_recent_log_are_served_by_an_index(
    tmp_path: Path, steps: Steps
) -> None:
    db = tmp_path / "runs.db"
    await asyncio.to_thread(fill, db, 30_000)
    async with in_process(db) as client:
        lines = [SharedConnection(client.address) for _ in range(3)]
        # Each tenth run is on another thread.
        runs = [number for number in range(1, 300) if number % 10]
        watchers = [Watcher(lines[number % 3], thread_id=f"t{number}") for number in runs]
        steps.thousands = 0
        async with following(watchers):
            await until(lambda: all(watcher.seen for watcher in watchers))
        assert [watcher.seen for watcher in watchers] == [[number] for number in runs]
        # Some hundred each; to go through the log takes many thousand.
        assert steps.thousands <= len(runs)
        for line in lines:
            line.drop()
        steps.thousands = 0
        async with watching(client, all={}, after_revision=0) as stream:
            assert [(await stream.read()).revision for _ in range(500)] == list(range(1, 501))
        # Whatever was sent ahead; to sort the log for each stretch takes ten times that.
        assert steps.thousands <= 1_000


@needs_proc
@pytest.mark.parametrize(
    ("rounds", "bound"),
    [
        pytest.param(2, 36 << 20, id="short"),
        pytest.param(40, 36 << 20, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1_800)]),
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
        # The ring of the newest changes may fill up to its 16 MiB, and the cache fills with it. Measured are 25 MiB in
        # the short form, and 31 MiB in the long one, whose runs together take 80 MiB.
        assert resident(process.pid) - before < bound
