"""Expiry: which runs a pass ends, and which ones it spares because of an outage."""

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

from runsvc.commit.exclusive import ExclusiveTransaction
from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, StoreUnavailable
from runsvc.core.model import RunSpec, RunStatus, Stamp, StatusReason
from runsvc.maintenance.elapsed import Elapsed
from runsvc.maintenance.expiry import INTERVAL, Expiry, end_expired_runs
from runsvc.maintenance.lease_clock import LeaseClock, Reading
from runsvc.store.memory import MemoryStore
from runsvc.store.queries import DueLeases, DueTimeouts
from runsvc.store.values import Loaded, Now, Record
from tests.conformance.driver import CODEC, ERROR, RUNNING, TIMEOUT, Driver
from tests.support.machine import NOON, Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from runsvc.commit.group_commit import Committed
    from runsvc.core.model import Run
    from runsvc.maintenance.expiry import Pass
    from runsvc.store.queries import Query
    from runsvc.store.values import Changes

SECOND = timedelta(seconds=1)
MOMENT = timedelta(microseconds=1)
EVER = timedelta.max
HOUR = 3_600


class Service:
    """A store with clocks that a test moves, and its expiry."""

    def __init__(self) -> None:
        self.machine = Machine()
        timekeeper = self.machine.timekeeper()
        self.store = MemoryStore(timekeeper)
        self.driver = Driver(self.store)
        self.lease_clock = LeaseClock(timekeeper, INTERVAL)
        self.commits: list[Committed] = []
        self.writer = Writer(GroupCommit(self.store.writing, CODEC, lambda _: None), self._publish)
        self.expiry = self.make_expiry()

    def make_expiry(self, **tuning: Any) -> Expiry:
        return Expiry(self.writer, self.lease_clock, **tuning)

    def _publish(self, committed: Committed) -> None:
        self.commits.append(committed)
        if committed.failed:
            self.lease_clock.begin_outage()

    async def go_on(self, seconds: float) -> None:
        """Let time pass with regular passes."""
        for _ in range(round(seconds / 0.25)):
            self.machine.go_on(0.25)
            await self.expiry.end_expired()

    def leased(self, ttl: float = 10) -> Run:
        return self.driver.create(worker_id="w", lease_ttl=timedelta(seconds=ttl))

    def renew(self, run: Run) -> None:
        self.driver.change(run, lifecycle.renew)

    async def status(self, run: Run) -> RunStatus:
        record = await self.store.reading.get(run.run_id, None)
        assert record is not None
        return record.status


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.store.open()
    await service.expiry.end_expired()
    yield service
    await service.writer.close()
    await service.store.close()


async def test_a_run_ends_within_an_interval_of_the_end_of_its_lease(service: Service) -> None:
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


async def test_a_renewed_lease_does_not_expire(service: Service) -> None:
    run = service.leased(10)
    for _ in range(9):
        await service.go_on(9)
        service.renew(run)
    assert await service.status(run) is RunStatus.PENDING


async def test_timeouts_end_runs_too(service: Service) -> None:
    waiting = service.driver.create(start_timeout=5 * SECOND)
    running = service.driver.report(service.driver.create(timeout=9 * SECOND), RUNNING)
    await service.go_on(5.5)
    assert await service.status(waiting) is TIMEOUT
    assert await service.status(running) is RUNNING
    await service.go_on(4)
    assert await service.status(running) is TIMEOUT


async def test_a_run_ends_once_when_its_lease_and_its_timeout_are_over(service: Service) -> None:
    run = service.driver.create(worker_id="w", lease_ttl=SECOND, start_timeout=SECOND)
    await service.go_on(2)
    assert await service.status(run) is TIMEOUT
    assert sum(len(commit.entries) for commit in service.commits) == 1


async def test_after_a_suspension_of_the_process_every_lease_has_its_full_ttl(
    service: Service,
) -> None:
    run = service.leased(10)
    service.machine.go_on(60)
    await service.expiry.end_expired()
    await service.go_on(9.75)
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(0.5)
    assert await service.status(run) is ERROR


def delay_next_transaction(
    service: Service, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Let time pass between the submission of the next pass and its transaction."""
    begin = service.store.writing.begin

    def delayed() -> Any:
        service.machine.go_on(seconds)
        monkeypatch.undo()
        return begin()

    monkeypatch.setattr(service.store.writing, "begin", delayed)


async def test_a_suspension_during_a_pass_is_an_outage(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.leased(10)
    await service.go_on(5)
    delay_next_transaction(service, monkeypatch, 60)
    await service.expiry.end_expired()
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(9.75)
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(0.5)
    assert await service.status(run) is ERROR


async def test_a_delay_between_submission_and_transaction_ends_no_run_early(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.leased(10)
    service.machine.go_on(1.25)
    await service.expiry.end_expired()
    # The lease ends at 11, because the delay of one second does not count; the query finds it from 10.
    await service.go_on(9)
    delay_next_transaction(service, monkeypatch, 1.5)
    await service.expiry.end_expired()
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(1)
    assert await service.status(run) is ERROR


async def test_a_forward_step_of_the_clock_between_two_passes_ends_no_run(service: Service) -> None:
    leased = service.leased(10)
    limited = service.driver.create(start_timeout=30 * SECOND)
    await service.go_on(5)
    service.machine.set_clock(HOUR)
    await service.go_on(9.75)
    service.renew(leased)
    await service.go_on(5)
    assert await service.status(leased) is RunStatus.PENDING
    assert await service.status(limited) is RunStatus.PENDING
    # Both still expire at their time.
    await service.go_on(9.75)
    assert await service.status(limited) is RunStatus.PENDING
    await service.go_on(0.75)
    assert await service.status(leased) is ERROR
    assert await service.status(limited) is TIMEOUT


async def test_frequent_forward_steps_of_the_clock_do_not_keep_runs_alive(
    service: Service,
) -> None:
    limited = service.driver.create(start_timeout=60 * SECOND)
    for _ in range(2):
        await service.go_on(29.75)
        service.machine.set_clock(0.6)
    assert await service.status(limited) is RunStatus.PENDING
    await service.go_on(1)
    assert await service.status(limited) is TIMEOUT


async def test_a_backward_step_of_the_clock_has_no_effect(service: Service) -> None:
    leased, limited = service.leased(10), service.driver.create(start_timeout=8 * SECOND)
    await service.go_on(5)
    service.machine.set_clock(-HOUR)
    await service.go_on(3.5)
    assert await service.status(limited) is TIMEOUT
    assert await service.status(leased) is RunStatus.PENDING
    await service.go_on(2)
    assert await service.status(leased) is ERROR


async def test_after_a_failure_of_the_store_every_lease_has_its_full_ttl(
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
                await service.expiry.end_expired()
    await service.go_on(10)
    assert await service.status(run) is RunStatus.PENDING
    await service.go_on(0.5)
    assert await service.status(run) is ERROR


async def test_a_pass_that_fails_for_another_reason_is_not_an_outage(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise CorruptRow("r")

    with monkeypatch.context() as patch:
        patch.setattr(service.store.writing, "load", fails)
        with pytest.raises(CorruptRow):
            await service.expiry.end_expired()
    assert not service.lease_clock.in_outage


async def test_a_commit_ends_an_outage(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    run = service.leased(1)
    # The renewal of a worker failed.
    service.lease_clock.begin_outage()

    def fails() -> None:
        raise StoreUnavailable("full")

    with monkeypatch.context() as patch:
        # A pass without a commit would not detect the failure.
        patch.setattr(service.store.writing, "commit", fails)
        for _ in range(9):
            service.machine.go_on(0.25)
            with pytest.raises(StoreUnavailable):
                await service.expiry.end_expired()
            assert service.lease_clock.in_outage
    await service.expiry.end_expired()
    assert not service.lease_clock.in_outage
    assert await service.status(run) is RunStatus.PENDING


async def test_passes_commit_nothing_in_normal_operation(service: Service) -> None:
    before = service.store.writing.begin().commits
    await service.go_on(5)
    assert service.store.writing.begin().commits == before


async def test_many_runs_end_in_batches(service: Service) -> None:
    service.expiry = service.make_expiry(limit=2)
    for _ in range(5):
        service.leased(1)
    for _ in range(4):
        service.machine.go_on(0.25)
        assert not await service.expiry.end_expired()
    service.machine.go_on(0.25)
    assert [await service.expiry.end_expired() for _ in range(3)] == [True, True, False]
    assert await service.store.reading.count_active() == 0


async def test_a_corrupt_run_is_logged_once_and_delays_no_other(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.expiry = service.make_expiry(limit=2)
    runs = [service.leased(1) for _ in range(6)]
    for run in runs[:3]:
        row = service.store.data.rows[run.run_id]
        service.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    await service.go_on(3)
    assert [await service.status(run) for run in runs[3:]] == [ERROR] * 3
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 3
    for run in runs[:3]:
        assert any(run.run_id in each for each in errors)


async def test_runs_with_time_left_because_of_delays_delay_no_other(service: Service) -> None:
    service.expiry = service.make_expiry(limit=4)
    long = [service.leased(30) for _ in range(9)]
    for _ in range(20):
        await service.go_on(0.25)
        service.machine.go_on(1.25)
        await service.expiry.end_expired()
    # The query finds all of these leases, and each has twenty seconds left.
    short = service.leased(3)
    limited = service.driver.create(start_timeout=3 * SECOND)
    await service.go_on(5)
    assert await service.status(short) is ERROR
    assert await service.status(limited) is TIMEOUT
    assert {await service.status(run) for run in long} == {RunStatus.PENDING}
    await service.go_on(20)
    assert {await service.status(run) for run in long} == {ERROR}


# The decision as a pure function.

AT = Now(NOON, revision=5, commits=2)


def decide(
    run: Run, now: datetime, *, in_outage: bool = False, since_outage: float = HOUR
) -> tuple[Pass, Changes | None]:
    """Decide about a due run in a transaction at noon, with the elapsed time of another moment."""
    elapsed = Elapsed(now, timedelta(seconds=since_outage), timedelta(0))
    leases, timeouts = DueLeases(now, EVER, 9), DueTimeouts(now, 9)
    records: dict[Query, Sequence[Record]] = {leases: [a_record(run)], timeouts: []}
    transaction = ExclusiveTransaction(AT, Loaded(records, {}), CODEC)
    reading = Reading(AT.time, 1.0, timedelta(0), in_outage)
    result = transaction.apply(
        lambda tx: end_expired_runs(tx, reading, elapsed=elapsed, leases=leases, timeouts=timeouts)
    )
    return result, transaction.changes()


def leased_until(end: datetime, ttl: float = 10) -> Run:
    length = timedelta(seconds=ttl)
    spec = RunSpec(thread_id="t", worker_id="w", lease_ttl=length)
    return lifecycle.create(spec, run_id="r", owner="o", at=Stamp(1, end - length))


def a_record(run: Run) -> Record:
    return Record(
        run_id=run.run_id,
        owner=run.owner,
        thread_id=run.thread_id,
        assistant_id=run.assistant_id,
        status=run.status,
        created_at=run.created_at,
        revision=run.revision,
        progress_sequence=None,
        spec_hash=None,
        **CODEC.encode(run)._asdict(),
    )


def test_a_run_ends_once_elapsed_time_and_store_time_reach_its_end() -> None:
    result, changes = decide(leased_until(NOON), NOON)
    assert (result.ended, result.skips) == (1, (0, 0))
    assert changes is not None
    assert changes.runs[0].run.status is ERROR


@pytest.mark.parametrize(
    ("end", "now"),
    [
        # The transaction's time is before the end: the store's own time decides.
        (NOON + MOMENT, NOON + SECOND),
        # The elapsed time is before the end: the time since then may be a delay.
        (NOON, NOON - MOMENT),
    ],
    ids=["by the store's time", "by the elapsed time"],
)
def test_a_run_does_not_end_while_elapsed_time_or_store_time_is_before_its_end(
    end: datetime, now: datetime
) -> None:
    result, changes = decide(leased_until(end), now)
    assert (result.ended, changes) == (0, None)


def test_during_an_outage_no_run_ends_and_the_time_is_committed() -> None:
    result, changes = decide(leased_until(NOON - SECOND), NOON, in_outage=True)
    assert (result.ended, result.skips, result.beat.time) == (0, None, NOON)
    assert changes is not None
    assert (list(changes.runs), changes.revision, changes.time) == ([], 5, NOON + MOMENT)


def test_a_run_does_not_end_before_its_full_ttl_since_an_outage() -> None:
    run = leased_until(NOON - SECOND)
    assert decide(run, NOON, since_outage=9.9)[0].ended == 0
    assert decide(run, NOON, since_outage=10)[0].ended == 1


# Random histories.

#: An event, and its length in quarters of a second or, for the clock, in seconds.
EVENTS = st.one_of(
    st.tuples(st.just("serves"), st.integers(1, 60)),
    st.tuples(st.just("is suspended"), st.integers(1, 400)),
    st.tuples(st.just("fails"), st.integers(1, 100)),
    st.tuples(st.just("clock is set"), st.integers(-2 * HOUR, 2 * HOUR)),
)
TTL = 5.0


class Worker:
    """Renews its lease every third of the ttl, and soon retries a failed renewal."""

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


async def _apply(service: Service, worker: Worker, event: str, size: int, *, eager: bool) -> None:
    if event == "clock is set":
        service.machine.set_clock(size)
    elif event == "is suspended":
        service.machine.go_on(size / 4)
    else:
        with pytest.MonkeyPatch.context() as patch:
            if event == "fails":
                patch.setattr(
                    service.store.writing, "begin", Mock(side_effect=StoreUnavailable("full"))
                )
            for _ in range(size):
                if eager:
                    worker.go_on()
                with suppress(StoreUnavailable):
                    await service.expiry.end_expired()
                if not eager:
                    worker.go_on()
                service.machine.go_on(0.25)


async def _live(history: list[tuple[str, int]], *, eager: bool) -> None:
    service = Service()
    await service.store.open()
    await service.expiry.end_expired()
    worker, dead = Worker(service), service.leased(TTL)
    limited = service.driver.create(start_timeout=30 * SECOND)
    begin = service.machine.monotonic
    for event, size in history:
        await _apply(service, worker, event, size, eager=eager)
        assert await service.status(worker.run) is RunStatus.PENDING
        if service.machine.monotonic - begin < 30 * 10**9:
            assert await service.status(limited) is RunStatus.PENDING
    # After any history, the dead worker's run and the overdue run end, and the other one continues.
    await _apply(service, worker, "serves", 4 * 31, eager=eager)
    assert await service.status(worker.run) is RunStatus.PENDING
    assert await service.status(dead) is ERROR
    assert await service.status(limited) is TIMEOUT
    await service.writer.close()
    await service.store.close()


@given(st.lists(EVENTS, max_size=8), st.booleans())
@settings(deadline=None, max_examples=60)
def test_only_the_run_of_a_living_worker_survives_any_history(
    history: list[tuple[str, int]], eager: bool
) -> None:
    asyncio.run(_live(history, eager=eager))
