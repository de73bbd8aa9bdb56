"""Attachments: when a run ends because its clients left, and when it does not."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.errors import StoreUnavailable
from runsvc.core.model import CancelAction, DisconnectMode, RunStatus, StatusReason
from runsvc.maintenance import attachments as attachments_module
from runsvc.maintenance import expiry
from runsvc.maintenance.attachments import COMEBACK, GRACE, Attachments
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.store import rows
from runsvc.store.memory import MemoryStore
from tests.conformance.driver import CODEC, OWNER, SUCCESS, Driver
from tests.support.machine import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.core.model import Run

SECONDS = GRACE.total_seconds()
MINUTE = COMEBACK.total_seconds()
STEP = expiry.INTERVAL.total_seconds()


class House:
    """A store, and the attachments of one server after the other."""

    def __init__(self, store: MemoryStore, machine: Machine) -> None:
        self.store = store
        self.machine = machine
        self.timekeeper = machine.timekeeper()
        store.writing._timekeeper = self.timekeeper
        self.driver = Driver(store)
        self.writer = Writer(GroupCommit(store.writing, CODEC, lambda _: None), lambda _: None)
        self.restart()

    def restart(self) -> None:
        """Another server takes over."""
        self.serving = LeaseClock(self.timekeeper, expiry.INTERVAL)
        self.attachments = Attachments(self.writer, self.serving, self.timekeeper)

    async def attach(self, run: Run) -> str:
        return await self.attachments.attach(run.owner, run.run_id)

    def beat(self) -> None:
        time = rows.from_microseconds(self.timekeeper.now())
        self.serving.beat(self.serving.moment(time))

    async def go_on(self, seconds: float) -> None:
        """Serve for so long."""
        self.beat()
        for _ in range(round(seconds / STEP)):
            await self.attachments.look()
            self.machine.go_on(STEP)
            self.beat()
        await self.attachments.look()

    async def now(self, run: Run) -> Run:
        record = await self.store.reading.get_without_kwargs(run.run_id)
        assert record is not None
        return CODEC.decode(record)

    async def is_active(self, run: Run) -> bool:
        return not (await self.now(run)).status.terminal


@pytest.fixture
async def house() -> AsyncIterator[House]:
    store = MemoryStore()
    await store.open()
    house = House(store, Machine())
    # Long enough for everything to count.
    await house.go_on(10)
    yield house
    await house.writer.close()
    await store.close()


async def test_a_run_ends_when_its_last_client_has_been_gone_for_the_grace(house: House) -> None:
    run = house.driver.create()
    client = await house.attach(run)
    assert house.attachments.held == 1
    await house.go_on(1_000)
    house.attachments.leave(client)
    assert house.attachments.held == 0
    await house.go_on(SECONDS - STEP)
    assert await house.is_active(run)
    await house.go_on(2 * STEP)
    ended = await house.now(run)
    assert (ended.status, ended.status_reason) == (
        RunStatus.INTERRUPTED,
        StatusReason.CLIENT_DISCONNECTED,
    )
    assert ended.cancellation is not None
    assert ended.cancellation.action is CancelAction.INTERRUPT


async def test_another_client_keeps_it_until_that_leaves_too(house: House) -> None:
    run = house.driver.create()
    one, other = await house.attach(run), await house.attach(run)
    house.attachments.leave(one)
    await house.go_on(1_000)
    assert await house.is_active(run)
    house.attachments.leave(other)
    await house.go_on(SECONDS + STEP)
    assert not await house.is_active(run)


async def test_whoever_comes_back_in_time_keeps_it(house: House) -> None:
    run = house.driver.create()
    for _ in range(5):
        house.attachments.leave(await house.attach(run))
        await house.go_on(SECONDS - STEP)
        assert await house.is_active(run)
    await house.attach(run)
    await house.go_on(1_000)
    assert await house.is_active(run)
    # Those that left long ago left nothing.
    assert len(house.store.data.attachments.all) == 1


async def test_a_stream_that_the_server_ended_leaves_a_minute(house: House) -> None:
    run = house.driver.create()
    house.attachments.leave(await house.attach(run), ended_here=True)
    await house.go_on(MINUTE - STEP)
    assert await house.is_active(run)
    await house.go_on(2 * STEP)
    assert not await house.is_active(run)


async def test_nobody_ends_what_goes_on_by_itself_or_is_over(house: House) -> None:
    lasting = house.driver.create(on_disconnect=DisconnectMode.CONTINUE)
    over = house.driver.create()
    clients = [await house.attach(run) for run in (lasting, over)]
    over = house.driver.report(over, SUCCESS)
    for client in (*clients, await house.attach(over)):
        house.attachments.leave(client)
    await house.go_on(SECONDS + STEP)
    assert await house.is_active(lasting)
    assert await house.now(over) == over
    assert not house.store.data.attachments.all


async def test_a_run_that_is_gone_or_anothers_needs_no_client(house: House) -> None:
    run = house.driver.create()
    await house.attachments.attach(OWNER, "nobody")
    await house.attachments.attach("another", run.run_id)
    assert not house.store.data.attachments.all


async def test_many_runs_end_some_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments_module, "LIMIT", 2)
    runs = [house.driver.create() for _ in range(5)]
    for run in runs:
        house.attachments.leave(await house.attach(run))
    await house.go_on(SECONDS - STEP)
    for _ in range(2):
        house.machine.go_on(STEP)
        house.beat()
    assert [await house.attachments.look() for _ in range(4)] == [True, True, False, False]
    assert not any([await house.is_active(run) for run in runs])


async def test_what_is_held_survives_a_store_that_was_away_for_longer(house: House) -> None:
    run = house.driver.create()
    await house.attach(run)
    await house.go_on(1)
    house.serving.interrupt()
    house.machine.go_on(10 * MINUTE)
    await house.go_on(10 * MINUTE)
    assert await house.is_active(run)


async def test_who_left_while_the_store_was_away_is_told_of_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = house.driver.create()
    client = await house.attach(run)

    def away() -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(house.store.writing, "commit", away)
        house.attachments.leave(client)
        with pytest.raises(StoreUnavailable):
            await house.attachments.look()
        with pytest.raises(StoreUnavailable):
            await house.attach(run)
    assert house.attachments.held == 0
    await house.go_on(SECONDS - STEP)
    assert await house.is_active(run)
    await house.go_on(2 * STEP)
    assert not await house.is_active(run)


async def test_a_break_gives_everyone_the_grace_anew(house: House) -> None:
    run = house.driver.create()
    house.attachments.leave(await house.attach(run))
    await house.go_on(1)
    # The process was stopped: nobody could come back.
    house.machine.go_on(100)
    await house.go_on(SECONDS - STEP)
    assert await house.is_active(run)
    await house.go_on(2 * STEP)
    assert not await house.is_active(run)


async def test_a_break_that_nobody_has_noticed_yet_ends_nothing(house: House) -> None:
    run = house.driver.create()
    house.attachments.leave(await house.attach(run))
    await house.go_on(SECONDS - STEP)
    command = house.attachments._command({}, is_renewal=False)
    house.machine.go_on(100)
    look = await house.writer.submit(command)
    assert not look.abandoned
    house.serving.interrupt()
    await house.attachments.look()
    assert await house.is_active(run)


async def test_a_clock_that_was_set_forward_ends_nothing_early(house: House) -> None:
    run = house.driver.create()
    house.attachments.leave(await house.attach(run), ended_here=True)
    await house.go_on(1)
    house.machine.set_clock(3_600)
    await house.go_on(MINUTE - 1 - STEP)
    assert await house.is_active(run)
    await house.go_on(2 * STEP)
    assert not await house.is_active(run)


async def test_a_server_that_is_always_a_little_slow_still_ends_what_is_abandoned(
    house: House,
) -> None:
    run = house.driver.create()
    house.attachments.leave(await house.attach(run))
    for active in (True, True, False):
        # What was late counts against nobody.
        await house.go_on(2)
        assert await house.is_active(run) is active
        house.machine.go_on(1)


async def test_a_clock_that_is_set_forward_again_and_again_still_ends_what_is_abandoned(
    house: House,
) -> None:
    run = house.driver.create()
    house.attachments.leave(await house.attach(run), ended_here=True)
    for active in (True, True, False):
        await house.go_on(25)
        assert await house.is_active(run) is active
        house.machine.set_clock(0.6)


async def test_a_long_grace_is_no_reason_to_wait_after_a_break(house: House) -> None:
    long = timedelta(hours=1)
    house.attachments = Attachments(house.writer, house.serving, house.timekeeper, grace=long)
    await house.attachments.look()
    run = house.driver.create()
    house.attachments.leave(await house.attach(run))
    await house.go_on(long.total_seconds() - 20)
    assert await house.is_active(run)
    house.machine.go_on(30)
    await house.go_on(SECONDS - STEP)
    assert await house.is_active(run)
    await house.go_on(2 * STEP)
    assert not await house.is_active(run)


async def test_a_restart_gives_everyone_a_minute(house: House) -> None:
    held, left, back = (house.driver.create() for _ in range(3))
    await house.attach(held)
    house.attachments.leave(await house.attach(left))
    await house.attach(back)
    await house.go_on(1)
    house.machine.go_on(3_600)
    house.restart()
    await house.attach(back)
    await house.go_on(MINUTE - STEP)
    assert await house.is_active(held)
    assert await house.is_active(left)
    await house.go_on(2 * STEP)
    assert not await house.is_active(held)
    assert not await house.is_active(left)
    assert await house.is_active(back)


async def test_who_gives_up_while_attaching_is_no_client(house: House) -> None:
    run = house.driver.create()
    attaching = asyncio.create_task(house.attach(run))
    await asyncio.sleep(0)
    attaching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attaching
    assert house.attachments.held == 0
    # It took effect or not: either way nothing stays.
    await house.go_on(SECONDS + STEP)
    assert not house.store.data.attachments.all


async def test_as_long_as_nobody_is_attached_the_store_is_left_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = []
    begin = house.store.writing.begin

    def counted() -> object:
        begins.append(1)
        return begin()

    monkeypatch.setattr(house.store.writing, "begin", counted)
    await house.go_on(100)
    assert begins == []


async def test_a_run_that_cannot_be_read_is_told_of_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    run = house.driver.create()
    client = await house.attach(run)
    row = house.store.data.rows[run.run_id]
    house.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    house.attachments.leave(client)
    await house.go_on(SECONDS + 5)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert run.run_id in record.message


def test_a_client_has_no_less_time_than_the_grace() -> None:
    serving = LeaseClock(Machine().timekeeper(), timedelta(seconds=1))
    long = timedelta(hours=1)
    attachments = Attachments(None, serving, Machine().timekeeper(), grace=long)  # type: ignore[arg-type]
    attachments.leave("a", ended_here=True)
    assert attachments._left == {"a": long}
