"""The end of runs whose time is up: what a look ends, and what it leaves alone because of a break."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, StoreUnavailable
from runsvc.core.model import RunStatus, StatusReason
from runsvc.maintenance import expiry as expiry_module
from runsvc.maintenance.expiry import INTERVAL, Expiry
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.store.memory import MemoryStore
from tests.conformance.driver import CODEC, ERROR, RUNNING, TIMEOUT, Driver
from tests.support.machine import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.commit.group_commit import Committed
    from runsvc.core.model import Run

SECOND = timedelta(seconds=1)
HOUR = 3_600


class Service:
    """A store whose time a test moves, and the looks at it."""

    def __init__(self) -> None:
        self.machine = Machine()
        timekeeper = self.machine.timekeeper()
        self.store = MemoryStore(timekeeper)
        self.driver = Driver(self.store)
        self.serving = LeaseClock(timekeeper, INTERVAL)
        self.commits: list[Committed] = []
        self.writer = Writer(GroupCommit(self.store.writing, CODEC, lambda _: None), self._publish)
        self.expiry = Expiry(self.writer, self.serving)

    def _publish(self, committed: Committed) -> None:
        self.commits.append(committed)
        if committed.failed:
            self.serving.interrupt()

    async def go_on(self, seconds: float) -> None:
        """Look regularly for so long."""
        for _ in range(round(seconds / 0.25)):
            self.machine.go_on(0.25)
            await self.expiry.look()

    def leased(self, ttl: float = 10) -> Run:
        return self.driver.create(worker_id="w", lease_ttl=timedelta(seconds=ttl))

    def renew(self, run: Run) -> None:
        self.driver.change(run, lifecycle.renew)

    async def status(self, run: Run) -> RunStatus:
        record = await self.store.reading.get(run.run_id)
        assert record is not None
        return record.status


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.store.open()
    await service.expiry.look()
    yield service
    await service.writer.close()
    await service.store.close()


async def test_a_lease_ends_within_a_look_of_its_time(service: Service) -> None:
    run = service.leased(10)
    await service.go_on(9.75)
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(0.5)
    assert await service.status(run) is ERROR
    (entry,) = [entry for commit in service.commits for entry in commit.entries]
    ended = CODEC.decode(entry)
    assert ended.status_reason is StatusReason.LEASE_EXPIRED
    assert ended.lease is not None
    assert timedelta(0) <= entry_time(ended) - ended.lease.expires_at <= INTERVAL


def entry_time(run: Run) -> Any:
    assert run.ended_at is not None
    return run.ended_at


async def test_a_renewed_lease_goes_on(service: Service) -> None:
    run = service.leased(10)
    for _ in range(9):
        await service.go_on(9)
        service.renew(run)
    assert await service.status(run) is RunStatus.PENDING


async def test_timeouts_end_runs_as_well(service: Service) -> None:
    waiting = service.driver.create(start_timeout=5 * SECOND)
    running = service.driver.report(service.driver.create(timeout=9 * SECOND), RUNNING)
    await service.go_on(5.5)
    assert await service.status(waiting) is TIMEOUT
    assert await service.status(running) is RUNNING
    await service.go_on(4)
    assert await service.status(running) is TIMEOUT


async def test_a_run_ends_once_when_all_of_its_time_is_up(service: Service) -> None:
    run = service.driver.create(worker_id="w", lease_ttl=SECOND, start_timeout=SECOND)
    await service.go_on(2)
    assert await service.status(run) is TIMEOUT
    assert sum(len(commit.entries) for commit in service.commits) == 1


async def test_a_stop_of_the_process_gives_every_lease_its_ttl_once_more(service: Service) -> None:
    run = service.leased(10)
    service.machine.go_on(60)
    await service.expiry.look()
    await service.go_on(9.75)
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(0.5)
    assert await service.status(run) is ERROR


def hold_up(service: Service, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let time pass between the next decision to look and its transaction."""
    begin = service.store.writing.begin

    def held_up() -> Any:
        service.machine.go_on(seconds)
        monkeypatch.undo()
        return begin()

    monkeypatch.setattr(service.store.writing, "begin", held_up)


async def test_a_stop_that_begins_with_a_look_is_one_too(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.leased(10)
    await service.go_on(5)
    hold_up(service, monkeypatch, 60)
    await service.expiry.look()
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(9.75)
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(0.5)
    assert await service.status(run) is ERROR


async def test_a_delay_between_the_count_and_the_transaction_ends_nothing_early(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.leased(10)
    service.machine.go_on(1.25)
    await service.expiry.look()
    # Over at 11 for the second that was lost, so that it is already looked at.
    await service.go_on(9)
    hold_up(service, monkeypatch, 1.5)
    await service.expiry.look()
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(1)
    assert await service.status(run) is ERROR


async def test_a_clock_set_forward_between_two_looks_ends_nothing(service: Service) -> None:
    leased = service.leased(10)
    limited = service.driver.create(start_timeout=30 * SECOND)
    await service.go_on(5)
    service.machine.set_clock(HOUR)
    await service.go_on(9.75)
    service.renew(leased)
    await service.go_on(5)
    assert await service.status(leased) is RunStatus.PENDING
    assert await service.status(limited) is RunStatus.PENDING
    # And nothing lives for ever, or for longer than it may.
    await service.go_on(9.75)
    assert await service.status(limited) is RunStatus.PENDING
    await service.go_on(0.75)
    assert await service.status(leased) is ERROR
    assert await service.status(limited) is TIMEOUT


async def test_a_clock_set_forward_again_and_again_lets_nothing_live_longer(
    service: Service,
) -> None:
    limited = service.driver.create(start_timeout=60 * SECOND)
    for _ in range(2):
        await service.go_on(29.75)
        service.machine.set_clock(0.6)
    assert await service.status(limited) is RunStatus.PENDING
    await service.go_on(1)
    assert await service.status(limited) is TIMEOUT


async def test_a_clock_set_back_changes_nothing(service: Service) -> None:
    leased, limited = service.leased(10), service.driver.create(start_timeout=8 * SECOND)
    await service.go_on(5)
    service.machine.set_clock(-HOUR)
    await service.go_on(3.5)
    assert await service.status(limited) is TIMEOUT
    assert await service.status(leased) is RunStatus.PENDING
    await service.go_on(2)
    assert await service.status(leased) is ERROR


async def test_a_store_that_fails_gives_every_lease_its_ttl_once_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.leased(10)

    def fails() -> None:
        raise StoreUnavailable("full")

    with monkeypatch.context() as patch:
        patch.setattr(service.store.writing, "begin", fails)
        for _ in range(100):
            service.machine.go_on(0.25)
            with pytest.raises(StoreUnavailable):
                await service.expiry.look()
    await service.go_on(10)
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(0.5)
    assert await service.status(run) is ERROR


async def test_a_look_that_fails_for_another_reason_is_no_break(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise CorruptRow("r")

    with monkeypatch.context() as patch:
        patch.setattr(service.store.writing, "load", fails)
        with pytest.raises(CorruptRow):
            await service.expiry.look()
    assert not service.serving.broken


async def test_a_commit_shows_that_a_break_is_over(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.leased(1)
    # Somebody's renewal failed.
    service.serving.interrupt()

    def fails() -> None:
        raise StoreUnavailable("full")

    with monkeypatch.context() as patch:
        # A look that commits nothing would not notice.
        patch.setattr(service.store.writing, "commit", fails)
        for _ in range(9):
            service.machine.go_on(0.25)
            with pytest.raises(StoreUnavailable):
                await service.expiry.look()
            assert service.serving.broken
    await service.expiry.look()
    assert not service.serving.broken
    assert await service.status(run) is RunStatus.PENDING


async def test_looks_commit_nothing_while_all_is_well(service: Service) -> None:
    before = service.store.writing.begin().commits
    await service.go_on(5)
    assert service.store.writing.begin().commits == before


async def test_many_end_a_few_at_a_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry_module, "LIMIT", 2)
    for _ in range(5):
        service.leased(1)
    for _ in range(4):
        service.machine.go_on(0.25)
        assert not await service.expiry.look()
    service.machine.go_on(0.25)
    assert [await service.expiry.look() for _ in range(3)] == [True, True, False]
    assert await service.store.reading.count_active() == 0


async def test_what_cannot_be_read_is_told_once_and_holds_up_no_other(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(expiry_module, "LIMIT", 2)
    runs = [service.leased(1) for _ in range(6)]
    for run in runs[:3]:
        row = service.store.data.rows[run.run_id]
        service.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    await service.go_on(3)
    assert [await service.status(run) for run in runs[3:]] == [ERROR] * 3
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 3
    for run in runs[:3]:
        assert any(run.run_id in each for each in told)


async def test_who_has_time_left_for_delays_holds_up_no_other(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry_module, "LIMIT", 4)
    long = [service.leased(30) for _ in range(9)]
    for _ in range(20):
        await service.go_on(0.25)
        service.machine.go_on(1.25)
        await service.expiry.look()
    # All of these ran out by their own time, and have twenty seconds left.
    short = service.leased(3)
    limited = service.driver.create(start_timeout=3 * SECOND)
    await service.go_on(5)
    assert await service.status(short) is ERROR
    assert await service.status(limited) is TIMEOUT
    assert {await service.status(run) for run in long} == {RunStatus.PENDING}
    await service.go_on(20)
    assert {await service.status(run) for run in long} == {ERROR}


# Whatever happens.

#: What can befall a service, and for how many quarters of a second, or by how many seconds.
BEFALLS = st.one_of(
    st.tuples(st.just("serves"), st.integers(1, 60)),
    st.tuples(st.just("stands still"), st.integers(1, 400)),
    st.tuples(st.just("fails"), st.integers(1, 100)),
    st.tuples(st.just("clock is set"), st.integers(-2 * HOUR, 2 * HOUR)),
)
TTL = 5.0


class Worker:
    """Renews its lease every third of it, and tries again soon when that failed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.run = service.leased(TTL)
        self._next = self._now() + TTL / 3

    def _now(self) -> float:
        return self._service.machine.monotonic / 1e9

    def go_on(self) -> None:
        if self._now() < self._next:
            return
        try:
            self._service.renew(self.run)
        except StoreUnavailable:
            return
        self._next = self._now() + TTL / 3


async def _befall(service: Service, worker: Worker, what: str, size: int, *, eager: bool) -> None:
    if what == "clock is set":
        service.machine.set_clock(size)
    elif what == "stands still":
        service.machine.go_on(size / 4)
    else:
        with pytest.MonkeyPatch.context() as patch:
            if what == "fails":
                patch.setattr(
                    service.store.writing, "begin", Mock(side_effect=StoreUnavailable("full"))
                )
            for _ in range(size):
                if eager:
                    worker.go_on()
                with suppress(StoreUnavailable):
                    await service.expiry.look()
                if not eager:
                    worker.go_on()
                service.machine.go_on(0.25)


async def _live(story: list[tuple[str, int]], *, eager: bool) -> None:
    service = Service()
    await service.store.open()
    await service.expiry.look()
    worker, dead = Worker(service), service.leased(TTL)
    limited = service.driver.create(start_timeout=30 * SECOND)
    begin = service.machine.monotonic
    for what, size in story:
        await _befall(service, worker, what, size, eager=eager)
        assert await service.status(worker.run) is RunStatus.PENDING
        if service.machine.monotonic - begin < 30 * 10**9:
            assert await service.status(limited) is RunStatus.PENDING
    # However it went, in the end everyone gets what he deserves.
    await _befall(service, worker, "serves", 4 * 31, eager=eager)
    assert await service.status(worker.run) is RunStatus.PENDING
    assert await service.status(dead) is ERROR
    assert await service.status(limited) is TIMEOUT
    await service.writer.close()
    await service.store.close()


@given(st.lists(BEFALLS, max_size=8), st.booleans())
@settings(deadline=None, max_examples=60)
def test_who_gives_signs_of_life_goes_on_and_nobody_else(
    story: list[tuple[str, int]], eager: bool
) -> None:
    asyncio.run(_live(story, eager=eager))
