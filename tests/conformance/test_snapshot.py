"""Snapshots: the runs that match a topic, and the revision of that state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.core.errors import RevisionCompacted
from runsvc.store.values import LogEntry, Record, RunState, Snapshot, Topic, TopicKind
from tests.conformance.driver import (
    ALL,
    CODEC,
    INPUT,
    PENDING,
    RUNNING,
    SUCCESS,
    Driver,
    run_topic,
    thread_topic,
)

if TYPE_CHECKING:
    from runsvc.core.model import Run
    from runsvc.store.base import Store


async def ids(store: Store, topic: Topic) -> list[str]:
    return [state.run_id for state in (await store.reading.snapshot(topic)).states]


def names(*runs: Run) -> list[str]:
    return [run.run_id for run in runs]


async def test_snapshot_of_an_empty_store_is_empty_at_its_revision(store: Store) -> None:
    assert await store.reading.snapshot(ALL) == Snapshot([], 0)


async def test_snapshot_of_a_run_returns_it_in_any_status(store: Store, driver: Driver) -> None:
    run = driver.create(kwargs=INPUT)
    driver.create()
    for status in (RUNNING, SUCCESS):
        driver.report(run, status)
        (state,), revision = await store.reading.snapshot(run_topic(run))
        assert state == RunState(run.run_id, revision)
        (record,) = await store.reading.recall([state])
        assert isinstance(record, Record)
        assert (record.status, record.kwargs) == (status, None)


async def test_snapshot_of_an_unknown_run_is_empty(store: Store, driver: Driver) -> None:
    run = driver.create()
    assert await store.reading.snapshot(Topic(TopicKind.RUN, "o", "unknown")) == Snapshot([], 1)
    assert await store.reading.snapshot(Topic(TopicKind.RUN, "another", run.run_id)) == Snapshot(
        [], 1
    )


async def test_snapshot_of_other_topics_returns_active_runs_oldest_first(
    store: Store, driver: Driver
) -> None:
    first = driver.create("a", assistant_id="x")
    second = driver.create("b", assistant_id="x")
    third = driver.create("a", assistant_id="y")
    ended = driver.create("a", assistant_id="x")
    driver.report(ended, SUCCESS)
    driver.report(first, RUNNING)
    driver.create("a", owner="another", assistant_id="x")
    assert await ids(store, thread_topic("a")) == names(first, third)
    assert await ids(store, thread_topic("b")) == names(second)
    assert await ids(store, Topic(TopicKind.ASSISTANT, "o", "x")) == names(first, second)
    assert await ids(store, Topic(TopicKind.ASSISTANT, "o", "y")) == names(third)
    assert await ids(store, ALL) == names(first, second, third)
    assert await ids(store, Topic(TopicKind.ALL, "unknown")) == []
    assert (await store.reading.snapshot(ALL)).revision == 7


async def test_recall_returns_a_run_as_of_a_revision(store: Store, driver: Driver) -> None:
    same, changed, removed = (driver.create() for _ in range(3))
    states, _ = await store.reading.snapshot(ALL)
    driver.report(changed, RUNNING)
    driver.progress(same, 5)
    driver.report(removed, SUCCESS)
    driver.delete(removed)
    present, past = await store.reading.recall(states)
    assert isinstance(present, Record)
    assert isinstance(past, LogEntry)
    assert [CODEC.decode(one).status for one in (present, past)] == [PENDING, PENDING]
    assert names(same, changed) == [present.run_id, past.run_id]


async def test_recall_leaves_out_a_removed_run_even_if_its_entry_was_dropped(
    store: Store, driver: Driver
) -> None:
    same, removed = (driver.create() for _ in range(2))
    states, _ = await store.reading.snapshot(ALL)
    driver.report(removed, SUCCESS)
    driver.delete(removed)
    for forgotten in (2, 3, 4):
        driver.forget(forgotten)
        assert [one.run_id for one in await store.reading.recall(states)] == names(same)


async def test_recall_keeps_the_requested_order(store: Store, driver: Driver) -> None:
    states = [RunState(run.run_id, run.revision) for run in [driver.create() for _ in range(3)]]
    for wanted in (states, states[::-1], []):
        assert [one.run_id for one in await store.reading.recall(wanted)] == [
            each[0] for each in wanted
        ]


async def test_recall_of_a_dropped_entry_is_compacted(store: Store, driver: Driver) -> None:
    run = driver.create()
    state = RunState(run.run_id, run.revision)
    driver.report(run, RUNNING)
    driver.forget(1)
    with pytest.raises(RevisionCompacted) as refused:
        await store.reading.recall([state])
    assert vars(refused.value) == {"oldest_revision": 2, "current_revision": 2}
