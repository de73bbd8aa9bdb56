"""Administration: reconciling orphans, deleting runs and describing the server."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runsvc import __version__
from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.errors import CorruptRow, RunActive, RunNotFound
from runsvc.core.model import RunStatus, StatusReason
from runsvc.maintenance.attachments import Attachments
from runsvc.maintenance.expiry import INTERVAL
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.store.memory import MemoryStore
from runsvc.store.queries import ById
from runsvc.usecases.admin import Admin, Reconciled, Selection
from runsvc.watch.hub import StatusHub
from tests.conformance.driver import ALL, CODEC, ERROR, RUNNING, SUCCESS, Driver, a_request
from tests.support.machine import LiveMachine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.core.model import Run


class Server:
    """The parts of a server that administration uses, with a store in memory."""

    def __init__(self) -> None:
        timekeeper = LiveMachine().timekeeper()
        self.store = MemoryStore(timekeeper)
        self.driver = Driver(self.store)
        self.hub = StatusHub(self.store.reading)
        self.writer = Writer(GroupCommit(self.store.writing, CODEC), self.hub.publish)
        self.lease_clock = LeaseClock(timekeeper, INTERVAL)
        attachments = Attachments(self.writer, self.lease_clock, timekeeper)
        self.admin = Admin(self.writer, self.store, self.hub, CODEC, self.lease_clock, attachments)

    def beat(self) -> None:
        self.lease_clock.record_beat(self.lease_clock.read(self.store.writing.begin().time))

    def corrupt(self, run: Run) -> None:
        row = self.store.data.rows[run.run_id]
        self.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))

    async def status(self, run: Run) -> RunStatus:
        record = await self.store.reading.get(run.run_id, None)
        assert record is not None
        return record.status


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.store.open()
    yield server
    async with asyncio.timeout(30):
        await server.writer.close()
    await server.store.close()


# Reconciling.


async def test_reconciling_ends_active_runs_oldest_first(server: Server) -> None:
    old, ended, new = (server.driver.create(owner=owner) for owner in "abc")
    server.driver.report(old, RUNNING)
    server.driver.report(ended, SUCCESS)
    answer = await server.admin.reconcile_orphans(Selection(), error="gone", limit=9)
    assert [run.run_id for run in answer.runs] == [old.run_id, new.run_id]
    assert not answer.more
    for run in answer.runs:
        assert (run.status, run.status_reason) == (ERROR, StatusReason.ORPHANED)
        assert run.error == "gone"
    assert await server.status(ended) is SUCCESS


async def test_reconciling_is_complete_when_there_are_no_more_orphans(server: Server) -> None:
    for _ in range(5):
        server.driver.create()
    counts = []
    more = True
    while more:
        runs, more = await server.admin.reconcile_orphans(Selection(), error="gone", limit=2)
        counts.append(len(runs))
    assert counts == [2, 2, 1]
    again = await server.admin.reconcile_orphans(Selection(), error="gone", limit=2)
    assert again == Reconciled([], more=False)


async def test_reconciling_does_not_end_younger_runs(server: Server) -> None:
    old, new = server.driver.create(), server.driver.create()
    await server.admin.reconcile_orphans(Selection(old.created_at), error="gone", limit=9)
    assert await server.status(old) is ERROR
    assert await server.status(new) is not ERROR


async def test_a_dry_run_ends_nothing(server: Server) -> None:
    runs = [server.driver.create() for _ in range(3)]
    clock = (await server.admin.server_info()).clock
    dry = await server.admin.reconcile_orphans(Selection(), error="gone", limit=2, dry_run=True)
    assert (list(dry.runs), dry.more) == (runs[:2], True)
    assert (await server.admin.server_info()).clock == clock
    ended = await server.admin.reconcile_orphans(Selection(), error="gone", limit=2)
    assert [run.run_id for run in ended.runs] == [run.run_id for run in dry.runs]


async def test_reconciling_ends_selected_runs_only(server: Server) -> None:
    mine, other = (server.driver.create(assistant_id=name) for name in ("mine", "other"))
    started = server.driver.report(server.driver.create(assistant_id="mine"), RUNNING)
    selection = Selection(statuses=frozenset({RUNNING}), assistant_id="mine")
    answer = await server.admin.reconcile_orphans(selection, error="gone", limit=9)
    assert [run.run_id for run in answer.runs] == [started.run_id]
    for run in (mine, other):
        assert await server.status(run) is RunStatus.PENDING


async def test_reconciling_ends_a_run_whose_lease_is_over(server: Server) -> None:
    lapsed = server.driver.create(worker_id="w", lease_ttl=timedelta(microseconds=1))
    held = server.driver.create(worker_id="w", lease_ttl=timedelta(hours=1))

    async def reconciled() -> list[str]:
        answer = await server.admin.reconcile_orphans(Selection(), error="gone", limit=9)
        return [run.run_id for run in answer.runs]

    # The time for which renewals have been accepted is unknown before the first beat.
    assert await reconciled() == []
    server.beat()
    server.lease_clock.begin_outage()
    assert await reconciled() == []
    server.beat()
    assert await reconciled() == [lapsed.run_id]
    assert await server.status(held) is RunStatus.PENDING


async def test_an_outage_that_begins_after_the_submission_protects_leases(server: Server) -> None:
    lapsed = server.driver.create(worker_id="w", lease_ttl=timedelta(microseconds=1))
    orphan = server.driver.create()
    server.beat()
    reconciling = asyncio.create_task(
        server.admin.reconcile_orphans(Selection(), error="gone", limit=9)
    )
    server.writer._busy = True
    # The command is in the queue with a query for lapsed leases.
    await asyncio.sleep(0)
    server.lease_clock.begin_outage()
    server.writer._start_next(1)
    answer = await reconciling
    assert [run.run_id for run in answer.runs] == [orphan.run_id]
    assert await server.status(lapsed) is RunStatus.PENDING


async def test_reconcile_all_works_in_several_transactions(server: Server) -> None:
    for _ in range(5):
        server.driver.create()
    assert await server.admin.reconcile_all("gone", limit=2) == 5
    assert await server.store.reading.count_active() == 0
    assert await server.admin.reconcile_all("gone", limit=2) == 0


async def test_a_corrupt_row_stops_reconcile_all_and_is_logged(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.driver.create()
    server.driver.create()
    corrupt = server.driver.create()
    server.corrupt(corrupt)
    caplog.set_level(logging.INFO, "runsvc")
    assert await server.admin.reconcile_all("gone", limit=1) == 1
    ended, record = caplog.records
    assert ended.message.endswith("ended: ERROR (ORPHANED)")
    assert record.levelno == logging.ERROR
    assert f"Stored run {corrupt.run_id} is corrupt and cannot be read" in record.message
    assert "runsvc admin reconcile" in record.message
    with pytest.raises(CorruptRow):
        await server.admin.reconcile_orphans(Selection(), error="gone", limit=9)
    await server.admin.delete(corrupt.run_id)
    assert await server.admin.reconcile_all("gone", limit=1) == 1


# Deleting.


async def test_an_ended_run_can_be_deleted(server: Server) -> None:
    run = server.driver.create(request=a_request("id"))
    with pytest.raises(RunActive):
        await server.admin.delete(run.run_id)
    server.driver.report(run, SUCCESS)
    await server.admin.delete(run.run_id)
    assert await server.store.reading.get(run.run_id, None) is None
    # A late report does not restore it.
    with pytest.raises(RunNotFound):
        server.driver.progress(run, 1)
    with pytest.raises(RunNotFound):
        await server.admin.delete(run.run_id)


async def test_a_corrupt_active_run_can_be_deleted(server: Server) -> None:
    run = server.driver.create()
    server.corrupt(run)
    await server.admin.delete(run.run_id)
    assert server.driver.load(ById(run.run_id, None)) == []
    assert (await server.store.reading.log_tail(1, 1 << 20))[0].deleted


# Describing.


async def test_server_info_describes_the_server_and_its_store(server: Server) -> None:
    server.driver.create()
    cursors = [server.hub.open(ALL) for _ in range(2)]
    info = await server.admin.server_info()
    for cursor in cursors:
        server.hub.close(cursor)
    assert info == (__version__, "memory", await server.store.reading.clock(), 1, 2, 0, 0, 0)
