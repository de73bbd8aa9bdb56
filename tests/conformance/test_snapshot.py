"""Snapshots: what matches a topic, and the revision it is as of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.store.base import Snapshot, Store, Topic, TopicKind
from tests.conformance.driver import ALL, RUNNING, SUCCESS, Driver, run_topic, thread_topic

if TYPE_CHECKING:
    from runsvc.model import Run


async def ids(store: Store, topic: Topic) -> list[str]:
    return [record.run_id for record in (await store.snapshot(topic)).records]


def names(*runs: Run) -> list[str]:
    return [run.run_id for run in runs]


async def test_snapshot_of_an_empty_store_is_empty_as_of_its_revision(store: Store) -> None:
    assert await store.snapshot(ALL) == Snapshot([], 0)


async def test_snapshot_of_a_run_gives_it_in_any_status(store: Store, driver: Driver) -> None:
    run = driver.create(kwargs=b"input")
    driver.create()
    for status in (RUNNING, SUCCESS):
        driver.report(run, status)
        (record,), revision = await store.snapshot(run_topic(run))
        assert (record.run_id, record.status) == (run.run_id, status)
        assert record.kwargs is None
        assert record.revision == revision


async def test_snapshot_of_an_unknown_run_is_empty(store: Store, driver: Driver) -> None:
    run = driver.create()
    assert await store.snapshot(Topic(TopicKind.RUN, "o", "nobody")) == Snapshot([], 1)
    assert await store.snapshot(Topic(TopicKind.RUN, "another", run.run_id)) == Snapshot([], 1)


async def test_snapshot_of_other_topics_gives_active_runs_oldest_first(
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
    assert await ids(store, Topic(TopicKind.ALL, "nobody")) == []
    records, revision = await store.snapshot(ALL)
    assert revision == 7
    assert {record.kwargs for record in records} == {None}
