"""The care of a store: orphans, removals, and a log that does not grow for ever."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

from runsvc import __version__
from runsvc.admin import Admin, Reconciled
from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.errors import CorruptRow, RunActive, RunNotFound, StoreUnavailable
from runsvc.core.model import Run, RunStatus, StatusReason
from runsvc.maintenance import expiry
from runsvc.maintenance import sweeper as sweeper_module
from runsvc.maintenance.attachments import Attachments
from runsvc.maintenance.expiry import Expiry
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.maintenance.sweeper import Sweeper
from runsvc.store.memory import MemoryStore
from runsvc.store.queries import ById
from runsvc.watch.hub import StatusHub
from tests.conformance.driver import ALL, CODEC, ERROR, RUNNING, SUCCESS, Driver, a_request
from tests.support.machine import LiveMachine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class House(NamedTuple):
    """A whole core over a store in memory."""

    store: MemoryStore
    driver: Driver
    hub: StatusHub
    writer: Writer
    admin: Admin
    serving: LeaseClock
    attachments: Attachments
    machine: LiveMachine

    def beat(self) -> None:
        self.serving.beat(self.serving.moment(self.store.writing.begin().time))

    def sweeper(self, log_keep: int = 0, log_keep_age: timedelta | None = None) -> Sweeper:
        expiry = Expiry(self.writer, self.serving)
        return Sweeper(
            self.writer,
            self.store.reading,
            self.admin,
            self.serving,
            expiry,
            self.attachments,
            None,
            log_keep=log_keep,
            log_keep_age=log_keep_age,
        )

    def corrupt(self, run: Run) -> None:
        row = self.store.data.rows[run.run_id]
        self.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))

    async def status(self, run: Run) -> RunStatus:
        record = await self.store.reading.get(run.run_id)
        assert record is not None
        return record.status


@pytest.fixture
async def house() -> AsyncIterator[House]:
    machine = LiveMachine()
    timekeeper = machine.timekeeper()
    store = MemoryStore(timekeeper)
    await store.open()
    hub = StatusHub(store.reading)
    writer = Writer(GroupCommit(store.writing, CODEC), hub.publish)
    serving = LeaseClock(timekeeper, expiry.INTERVAL)
    attachments = Attachments(writer, serving, timekeeper)
    admin = Admin(writer, store, hub, CODEC, serving, attachments)
    yield House(store, Driver(store), hub, writer, admin, serving, attachments, machine)
    async with asyncio.timeout(30):
        await writer.close()
    await store.close()


# Reconciling.


async def test_reconciling_ends_active_runs_oldest_first(house: House) -> None:
    old, ended, new = (house.driver.create(owner=owner) for owner in "abc")
    house.driver.report(old, RUNNING)
    house.driver.report(ended, SUCCESS)
    answer = await house.admin.reconcile_orphans(error="gone", before=None, limit=9)
    assert [run.run_id for run in answer.runs] == [old.run_id, new.run_id]
    assert not answer.more
    for run in answer.runs:
        assert (run.status, run.status_reason) == (ERROR, StatusReason.ORPHANED)
        assert run.error == "gone"
    assert await house.status(ended) is SUCCESS


async def test_reconciling_is_repeated_until_more_is_false_and_then_finds_nothing(
    house: House,
) -> None:
    for _ in range(5):
        house.driver.create()
    counts = []
    more = True
    while more:
        runs, more = await house.admin.reconcile_orphans(error="gone", before=None, limit=2)
        counts.append(len(runs))
    assert counts == [2, 2, 1]
    again = await house.admin.reconcile_orphans(error="gone", before=None, limit=2)
    assert again == Reconciled([], more=False)


async def test_reconciling_leaves_younger_runs_alone(house: House) -> None:
    old, new = house.driver.create(), house.driver.create()
    await house.admin.reconcile_orphans(error="gone", before=old.created_at, limit=9)
    assert await house.status(old) is ERROR
    assert await house.status(new) is not ERROR


async def test_reconciling_ends_whose_lease_is_over(house: House) -> None:
    lapsed = house.driver.create(worker_id="w", lease_ttl=timedelta(microseconds=1))
    held = house.driver.create(worker_id="w", lease_ttl=timedelta(hours=1))

    async def reconciled() -> list[str]:
        answer = await house.admin.reconcile_orphans(error="gone", before=None, limit=9)
        return [run.run_id for run in answer.runs]

    # Nobody knows yet for how long renewals have been taken.
    assert await reconciled() == []
    house.beat()
    house.serving.interrupt()
    assert await reconciled() == []
    house.beat()
    assert await reconciled() == [lapsed.run_id]
    assert await house.status(held) is RunStatus.PENDING


async def test_the_sweeper_reconciles_in_several_transactions(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper_module, "RECONCILE_LIMIT", 2)
    for _ in range(5):
        house.driver.create()
    assert await house.sweeper().reconcile("gone") == 5
    assert await house.store.reading.count_active() == 0
    assert await house.sweeper().reconcile("gone") == 0


async def test_a_corrupt_row_stops_reconciling_and_is_logged(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweeper_module, "RECONCILE_LIMIT", 1)
    house.driver.create()
    house.driver.create()
    corrupt = house.driver.create()
    house.corrupt(corrupt)
    assert await house.sweeper().reconcile("gone") == 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert f"Stored run {corrupt.run_id} cannot be read" in record.message
    assert "runsvc admin reconcile" in record.message
    with pytest.raises(CorruptRow):
        await house.admin.reconcile_orphans(error="gone", before=None, limit=9)
    await house.admin.delete(corrupt.run_id)
    assert await house.sweeper().reconcile("gone") == 1


# Removing.


async def test_a_run_that_ended_can_be_deleted(house: House) -> None:
    run = house.driver.create(request=a_request("id"))
    with pytest.raises(RunActive):
        await house.admin.delete(run.run_id)
    house.driver.report(run, SUCCESS)
    await house.admin.delete(run.run_id)
    assert await house.store.reading.get(run.run_id) is None
    # A late report does not bring it back.
    with pytest.raises(RunNotFound):
        house.driver.progress(run, 1)
    with pytest.raises(RunNotFound):
        await house.admin.delete(run.run_id)


async def test_an_active_run_that_cannot_be_read_can_be_deleted(house: House) -> None:
    run = house.driver.create()
    house.corrupt(run)
    await house.admin.delete(run.run_id)
    assert house.driver.load(ById(run.run_id)) == []
    assert (await house.store.reading.log_tail(1, 1 << 20))[0].deleted


async def test_server_info_tells_what_there_is(house: House) -> None:
    house.driver.create()
    cursors = [house.hub.open(ALL) for _ in range(2)]
    info = await house.admin.server_info()
    for cursor in cursors:
        house.hub.close(cursor)
    assert info == (__version__, "memory", await house.store.reading.clock(), 1, 2, 0)


# Compacting.


async def log(house: House) -> list[int]:
    return [entry.revision for entry in await house.store.reading.log_tail(999, 1 << 20)]


@pytest.mark.parametrize("keep", range(9))
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
async def test_compaction_keeps_the_newest_in_steps_of_a_chunk(
    house: House, monkeypatch: pytest.MonkeyPatch, keep: int, chunk: int
) -> None:
    monkeypatch.setattr(sweeper_module, "CHUNK", chunk)
    for _ in range(7):
        house.driver.create()
    gone: list[int] = []
    left = len(await log(house))
    house.writer._publish = lambda _: gone.append(left - len(house.store.data.log))
    await house.sweeper(keep).compact()
    assert await log(house) == list(range(max(7 - keep, 0) + 1, 8))
    steps = [now - before for before, now in zip([0, *gone], gone, strict=False)]
    assert all(0 < step <= chunk for step in steps)
    # A second look finds nothing to do.
    gone.clear()
    await house.sweeper(keep).compact()
    assert gone == []


async def test_compaction_drops_what_is_too_old_as_well(house: House) -> None:
    for _ in range(7):
        house.driver.create()
    for revision in (1, 2, 3):
        house.store.data.times[revision] -= timedelta(days=8)
    house.beat()
    await house.sweeper(99, timedelta(days=9)).compact()
    assert len(await log(house)) == 7
    await house.sweeper(99, timedelta(days=7)).compact()
    assert await log(house) == [4, 5, 6, 7]
    # Whichever leaves less.
    await house.sweeper(2, timedelta(days=7)).compact()
    assert await log(house) == [6, 7]


async def test_compaction_by_an_age_that_nothing_can_have_is_by_number(house: House) -> None:
    for _ in range(7):
        house.driver.create()
    house.beat()
    await house.sweeper(4, timedelta.max).compact()
    assert await log(house) == [4, 5, 6, 7]


async def test_a_clock_that_is_set_forward_makes_nothing_too_old(house: House) -> None:
    house.driver.create()
    house.beat()
    house.machine.set_clock(timedelta(days=40).total_seconds())
    house.driver.create()
    for _ in range(2):
        await house.sweeper(99, timedelta(days=7)).compact()
        assert await log(house) == [1, 2]
        house.beat()


async def test_compaction_goes_on_where_it_left_off(house: House) -> None:
    sweeper = house.sweeper(3)
    for count in (5, 4, 1):
        for _ in range(count):
            house.driver.create()
        await sweeper.compact()
        assert len(await log(house)) == 3
    clock = await house.store.reading.clock()
    assert (clock.oldest_revision, clock.revision) == (8, 10)


async def test_the_sweeper_goes_on_after_a_failure(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sweeper_module, "COMPACT_INTERVAL", 0)
    sweeper = house.sweeper()
    compacted = asyncio.Event()
    failures: list[Exception] = [
        StoreUnavailable("full"),
        StoreUnavailable("full"),
        ValueError("?"),
    ]

    async def compact() -> None:
        if failures:
            raise failures.pop(0)
        compacted.set()

    monkeypatch.setattr(sweeper, "compact", compact)
    running = asyncio.create_task(sweeper.run())
    async with asyncio.timeout(30):
        await compacted.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    expected, unforeseen, over = caplog.records
    assert expected.message == (
        "Compacting the log failed: The store is unavailable, nothing changed: full."
    )
    assert expected.exc_info is None
    assert unforeseen.exc_info is not None
    assert over.message == "Compacting the log works again."
