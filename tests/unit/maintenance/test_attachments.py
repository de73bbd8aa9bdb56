"""Attachments: when a run is cancelled because its clients left, and when it is not."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.errors import StoreUnavailable
from runsvc.core.model import CancelAction, DisconnectMode, RunStatus, StatusReason
from runsvc.maintenance import expiry
from runsvc.maintenance.attachments import GRACE, RECONNECT_GRACE, Attachments
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.store import rows
from runsvc.store.memory import MemoryStore
from tests.conformance.driver import CODEC, OWNER, SUCCESS, Driver
from tests.support.machine import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.core.model import Run

GRACE_SECONDS = GRACE.total_seconds()
RECONNECT_SECONDS = RECONNECT_GRACE.total_seconds()
STEP = expiry.INTERVAL.total_seconds()


class Service:
    """A store, and the attachments of consecutive servers."""

    def __init__(self, store: MemoryStore, machine: Machine) -> None:
        self.store = store
        self.machine = machine
        self.timekeeper = machine.timekeeper()
        store.writing._timekeeper = self.timekeeper
        self.driver = Driver(store)
        self.writer = Writer(GroupCommit(store.writing, CODEC, lambda _: None), lambda _: None)
        self.restart()

    def restart(self) -> None:
        """Start another server."""
        self.lease_clock = LeaseClock(self.timekeeper, expiry.INTERVAL)
        self.attachments = self.make_attachments()

    def make_attachments(self, **tuning: Any) -> Attachments:
        return Attachments(self.writer, self.lease_clock, self.timekeeper, **tuning)

    async def attach(self, run: Run) -> str:
        return await self.attachments.attach(run.owner, run.run_id)

    def beat(self) -> None:
        time = rows.from_microseconds(self.timekeeper.now())
        self.lease_clock.record_beat(self.lease_clock.read(time))

    async def go_on(self, seconds: float) -> None:
        """Let time pass with regular beats and updates."""
        self.beat()
        for _ in range(round(seconds / STEP)):
            await self.attachments.update()
            self.machine.go_on(STEP)
            self.beat()
        await self.attachments.update()

    async def current(self, run: Run) -> Run:
        record = await self.store.reading.get_without_kwargs(run.run_id, None)
        assert record is not None
        return CODEC.decode(record)

    async def is_active(self, run: Run) -> bool:
        return not (await self.current(run)).status.terminal


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    store = MemoryStore()
    await store.open()
    service = Service(store, Machine())
    # Longer than the grace period after the start.
    await service.go_on(10)
    yield service
    await service.writer.close()
    await store.close()


async def test_a_run_is_cancelled_after_the_grace_period_of_its_last_client(
    service: Service,
) -> None:
    run = service.driver.create()
    client = await service.attach(run)
    assert service.attachments.held == 1
    await service.go_on(1_000)
    service.attachments.leave(client)
    assert service.attachments.held == 0
    await service.go_on(GRACE_SECONDS - STEP)
    assert await service.is_active(run)
    await service.go_on(2 * STEP)
    ended = await service.current(run)
    assert (ended.status, ended.status_reason) == (
        RunStatus.INTERRUPTED,
        StatusReason.CLIENT_DISCONNECTED,
    )
    assert ended.cancellation is not None
    assert ended.cancellation.action is CancelAction.INTERRUPT


async def test_a_run_continues_while_it_has_another_client(service: Service) -> None:
    run = service.driver.create()
    one, other = await service.attach(run), await service.attach(run)
    service.attachments.leave(one)
    await service.go_on(1_000)
    assert await service.is_active(run)
    service.attachments.leave(other)
    await service.go_on(GRACE_SECONDS + STEP)
    assert not await service.is_active(run)


async def test_a_run_continues_if_a_client_returns_in_time(service: Service) -> None:
    run = service.driver.create()
    for _ in range(5):
        service.attachments.leave(await service.attach(run))
        await service.go_on(GRACE_SECONDS - STEP)
        assert await service.is_active(run)
    await service.attach(run)
    await service.go_on(1_000)
    assert await service.is_active(run)
    # The old attachments are removed.
    assert len(service.store.data.attachments.all) == 1


async def test_a_stream_that_the_server_ended_has_the_reconnect_grace_period(
    service: Service,
) -> None:
    run = service.driver.create()
    service.attachments.leave(await service.attach(run), ended_here=True)
    await service.go_on(RECONNECT_SECONDS - STEP)
    assert await service.is_active(run)
    await service.go_on(2 * STEP)
    assert not await service.is_active(run)


async def test_a_run_that_continues_without_clients_or_has_ended_is_not_cancelled(
    service: Service,
) -> None:
    lasting = service.driver.create(on_disconnect=DisconnectMode.CONTINUE)
    over = service.driver.create()
    clients = [await service.attach(run) for run in (lasting, over)]
    over = service.driver.report(over, SUCCESS)
    for client in (*clients, await service.attach(over)):
        service.attachments.leave(client)
    await service.go_on(GRACE_SECONDS + STEP)
    assert await service.is_active(lasting)
    assert await service.current(over) == over
    assert not service.store.data.attachments.all


async def test_an_unknown_run_or_another_owners_run_gets_no_attachment(service: Service) -> None:
    run = service.driver.create()
    await service.attachments.attach(OWNER, "unknown")
    await service.attachments.attach("another", run.run_id)
    assert not service.store.data.attachments.all


async def test_many_runs_are_cancelled_in_batches(service: Service) -> None:
    service.attachments = service.make_attachments(limit=2)
    await service.attachments.update()
    runs = [service.driver.create() for _ in range(5)]
    for run in runs:
        service.attachments.leave(await service.attach(run))
    await service.go_on(GRACE_SECONDS - STEP)
    for _ in range(2):
        service.machine.go_on(STEP)
        service.beat()
    assert [await service.attachments.update() for _ in range(4)] == [True, True, False, False]
    assert not any([await service.is_active(run) for run in runs])


async def test_an_attached_run_survives_a_long_outage_of_the_store(service: Service) -> None:
    run = service.driver.create()
    await service.attach(run)
    await service.go_on(1)
    service.lease_clock.begin_outage()
    service.machine.go_on(10 * RECONNECT_SECONDS)
    await service.go_on(10 * RECONNECT_SECONDS)
    assert await service.is_active(run)


async def test_a_detachment_during_an_outage_of_the_store_is_stored_later(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.driver.create()
    client = await service.attach(run)

    def unavailable() -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(service.store.writing, "commit", unavailable)
        service.attachments.leave(client)
        with pytest.raises(StoreUnavailable):
            await service.attachments.update()
        with pytest.raises(StoreUnavailable):
            await service.attach(run)
    assert service.attachments.held == 0
    await service.go_on(GRACE_SECONDS - STEP)
    assert await service.is_active(run)
    await service.go_on(2 * STEP)
    assert not await service.is_active(run)


async def test_after_an_outage_every_client_has_the_full_grace_period(service: Service) -> None:
    run = service.driver.create()
    service.attachments.leave(await service.attach(run))
    await service.go_on(1)
    # The process is suspended, so no client can return.
    service.machine.go_on(100)
    await service.go_on(GRACE_SECONDS - STEP)
    assert await service.is_active(run)
    await service.go_on(2 * STEP)
    assert not await service.is_active(run)


async def test_an_undetected_outage_cancels_no_run(service: Service) -> None:
    run = service.driver.create()
    service.attachments.leave(await service.attach(run))
    await service.go_on(GRACE_SECONDS - STEP)
    command = service.attachments._command({}, is_renewal=False)
    service.machine.go_on(100)
    result = await service.writer.submit(command)
    assert not result.abandoned
    service.lease_clock.begin_outage()
    await service.attachments.update()
    assert await service.is_active(run)


async def test_a_forward_step_of_the_clock_cancels_no_run_early(service: Service) -> None:
    run = service.driver.create()
    service.attachments.leave(await service.attach(run), ended_here=True)
    await service.go_on(1)
    service.machine.set_clock(3_600)
    await service.go_on(RECONNECT_SECONDS - 1 - STEP)
    assert await service.is_active(run)
    await service.go_on(2 * STEP)
    assert not await service.is_active(run)


async def test_a_service_with_frequent_delays_still_cancels_abandoned_runs(
    service: Service,
) -> None:
    run = service.driver.create()
    service.attachments.leave(await service.attach(run))
    for active in (True, True, False):
        # The delays do not count.
        await service.go_on(2)
        assert await service.is_active(run) is active
        service.machine.go_on(1)


async def test_frequent_forward_steps_of_the_clock_do_not_keep_abandoned_runs_alive(
    service: Service,
) -> None:
    run = service.driver.create()
    service.attachments.leave(await service.attach(run), ended_here=True)
    for active in (True, True, False):
        await service.go_on(25)
        assert await service.is_active(run) is active
        service.machine.set_clock(0.6)


async def test_after_an_outage_a_long_grace_period_is_not_restarted(service: Service) -> None:
    long = timedelta(hours=1)
    service.attachments = service.make_attachments(grace=long)
    await service.attachments.update()
    run = service.driver.create()
    service.attachments.leave(await service.attach(run))
    await service.go_on(long.total_seconds() - 20)
    assert await service.is_active(run)
    service.machine.go_on(30)
    await service.go_on(GRACE_SECONDS - STEP)
    assert await service.is_active(run)
    await service.go_on(2 * STEP)
    assert not await service.is_active(run)


async def test_after_a_restart_every_client_has_the_reconnect_grace_period(
    service: Service,
) -> None:
    held, left, back = (service.driver.create() for _ in range(3))
    await service.attach(held)
    service.attachments.leave(await service.attach(left))
    await service.attach(back)
    await service.go_on(1)
    service.machine.go_on(3_600)
    service.restart()
    await service.attach(back)
    await service.go_on(RECONNECT_SECONDS - STEP)
    assert await service.is_active(held)
    assert await service.is_active(left)
    await service.go_on(2 * STEP)
    assert not await service.is_active(held)
    assert not await service.is_active(left)
    assert await service.is_active(back)


async def test_a_stream_that_is_cancelled_while_attaching_is_not_a_client(service: Service) -> None:
    run = service.driver.create()
    attaching = asyncio.create_task(service.attach(run))
    await asyncio.sleep(0)
    attaching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attaching
    assert service.attachments.held == 0
    # Whether or not the command took effect, no attachment remains.
    await service.go_on(GRACE_SECONDS + STEP)
    assert not service.store.data.attachments.all


async def test_without_attachments_the_store_is_not_used(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = []
    begin = service.store.writing.begin

    def counting_begin() -> object:
        begins.append(1)
        return begin()

    monkeypatch.setattr(service.store.writing, "begin", counting_begin)
    await service.go_on(100)
    assert begins == []


async def test_a_corrupt_abandoned_run_is_logged_once(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    run = service.driver.create()
    client = await service.attach(run)
    row = service.store.data.rows[run.run_id]
    service.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    service.attachments.leave(client)
    await service.go_on(GRACE_SECONDS + 5)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert run.run_id in record.message


def test_the_reconnect_grace_period_is_never_shorter_than_the_grace_period() -> None:
    lease_clock = LeaseClock(Machine().timekeeper(), timedelta(seconds=1))
    long = timedelta(hours=1)
    attachments = Attachments(None, lease_clock, Machine().timekeeper(), grace=long)  # type: ignore[arg-type]
    attachments.leave("a", ended_here=True)
    assert attachments._left == {"a": long}
