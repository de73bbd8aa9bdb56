"""Changes of a run: all transitions with their revisions and log entries, and the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.transaction import Transaction
from runsvc.core.errors import InvalidTransition
from runsvc.core.lifecycle import TRANSITIONS
from runsvc.core.model import RunSpec, RunStatus
from runsvc.store.values import Changes, Loaded
from tests.conformance.driver import ALL, CODEC, ERROR, PENDING, QUEUED, RUNNING, SUCCESS, Driver

if TYPE_CHECKING:
    from runsvc.store.base import Store

FUTURE = datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "after"),
    list(product((status for status in RunStatus if status is not QUEUED), RunStatus)),
    ids=lambda status: status.name,
)
async def test_every_pair_of_statuses_follows_the_table(
    store: Store, driver: Driver, before: RunStatus, after: RunStatus
) -> None:
    run = driver.create()
    if before is not PENDING:
        run = driver.report(run, before)
    allowed = after in TRANSITIONS[before]
    if allowed or before is after:
        assert driver.report(run, after).status is after
    else:
        with pytest.raises(InvalidTransition):
            driver.report(run, after)
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert record.status is (after if allowed else before)
    assert record.revision == run.revision + allowed
    assert (
        record.run_id in (await store.reading.inflight("o", "t")).active
    ) is not record.status.terminal
    assert CODEC.decode(record).status is record.status


async def test_each_transition_adds_one_log_entry(store: Store, driver: Driver) -> None:
    run = driver.create()
    driver.report(run, RUNNING)
    driver.report(run, ERROR, "it broke")
    entries = (await store.reading.log_since(ALL, 0, 9)).entries
    assert [(entry.previous_status, entry.status) for entry in entries] == [
        (None, PENDING),
        (PENDING, RUNNING),
        (RUNNING, ERROR),
    ]
    assert [CODEC.decode(entry).error for entry in entries] == [None, None, "it broke"]


async def test_progress_is_stored_without_a_log_entry(store: Store, driver: Driver) -> None:
    run = driver.report(driver.create(), RUNNING)
    driver.progress(run, 12, sequence=7)
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert record.progress_sequence == 7
    decoded = CODEC.decode(record)
    assert decoded.progress is not None
    assert decoded.progress.total_tokens == 12
    assert (await store.reading.clock()).revision == run.revision
    assert len(await store.reading.log_tail(9, 1 << 20)) == 2


def test_begin_returns_the_clock_of_the_last_commit(store: Store, driver: Driver) -> None:
    now = store.writing.begin()
    store.writing.rollback()
    assert (now.revision, now.commits) == (0, 0)
    assert abs(datetime.now(UTC) - now.time) < timedelta(minutes=1)
    run = driver.create()
    driver.progress(driver.report(run, RUNNING), 1)
    later = store.writing.begin()
    store.writing.rollback()
    assert (later.revision, later.commits) == (2, 3)
    assert later.time > now.time


def test_time_is_never_before_the_last_change(store: Store, driver: Driver) -> None:
    store.writing.begin()
    store.writing.save(Changes(time=FUTURE, revision=0))
    store.writing.commit()
    now = store.writing.begin()
    store.writing.rollback()
    assert now.time == FUTURE
    first, second = driver.create(), driver.create()
    assert FUTURE < first.created_at < second.created_at < FUTURE + timedelta(minutes=1)


async def test_rollback_leaves_nothing(store: Store, driver: Driver) -> None:
    run = driver.create()
    now = store.writing.begin()
    transaction = Transaction(now, Loaded({}, {}), CODEC)
    transaction.apply(
        lambda tx: tx.create(RunSpec(thread_id="t"), run_id="new", owner="o", request=None)
    )
    changes = transaction.changes()
    assert changes is not None
    store.writing.save(changes)
    store.writing.rollback()
    assert await store.reading.get("new", None) is None
    assert (await store.reading.inflight("o", "t")).active == [run.run_id]
    assert len(await store.reading.log_tail(9, 1 << 20)) == 1
    assert (await store.reading.clock()).revision == 1
    again = store.writing.begin()
    store.writing.rollback()
    assert (again.revision, again.commits) == (1, 1)


def test_rollback_without_a_transaction_does_nothing(store: Store, driver: Driver) -> None:
    store.writing.rollback()
    store.writing.rollback()
    assert driver.create().revision == 1


def test_commit_of_nothing_changes_nothing(store: Store) -> None:
    store.writing.begin()
    store.writing.commit()
    now = store.writing.begin()
    store.writing.rollback()
    assert (now.revision, now.commits) == (0, 0)


async def test_a_read_sees_only_committed_data(store: Store, driver: Driver) -> None:
    run = driver.create()
    now = store.writing.begin()
    transaction = Transaction(now, Loaded({}, {}), CODEC)
    transaction.apply(
        lambda tx: tx.create(RunSpec(thread_id="t"), run_id="new", owner="o", request=None)
    )
    changes = transaction.changes()
    assert changes is not None
    store.writing.save(changes)
    assert await store.reading.get("new", None) is None
    assert (await store.reading.inflight("o", "t")).active == [run.run_id]
    assert await store.reading.count_active() == 1
    assert (await store.reading.clock()).revision == 1
    assert (await store.reading.snapshot(ALL)).revision == 1
    assert (await store.reading.log_since(ALL, 0, 9)).scanned_to == 1
    assert len(await store.reading.log_tail(9, 1 << 20)) == 1
    store.writing.commit()
    assert (await store.reading.inflight("o", "t")).active == ["new", run.run_id]
    assert (await store.reading.log_since(ALL, 0, 9)).scanned_to == 2


async def test_a_transaction_sees_earlier_commits(store: Store, driver: Driver) -> None:
    run = driver.create()
    assert driver.report(run, RUNNING).revision == 2
    assert driver.report(run, SUCCESS).revision == 3
    assert await store.reading.count_active() == 0
