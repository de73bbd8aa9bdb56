"""The log: entries after a revision, the newest entries, and its start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from runsvc.core.errors import RevisionCompacted
from runsvc.store.values import Clock, LogSlice, Topic, TopicKind
from tests.conformance.driver import ALL, RUNNING, SUCCESS, Driver, run_topic, thread_topic

if TYPE_CHECKING:
    from runsvc.store.base import Store

MOMENT = timedelta(microseconds=1)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


async def revisions(store: Store, topic: Topic, after: int = 0, limit: int = 99) -> list[int]:
    return [
        entry.revision for entry in (await store.reading.log_since(topic, after, limit)).entries
    ]


async def test_log_since_returns_entries_after_a_revision_oldest_first(
    store: Store, driver: Driver
) -> None:
    for _ in range(4):
        driver.create()
    assert await revisions(store, ALL) == [1, 2, 3, 4]
    assert await revisions(store, ALL, after=2) == [3, 4]
    assert await revisions(store, ALL, after=4) == []


async def test_log_since_filters_by_each_kind_of_topic(store: Store, driver: Driver) -> None:
    first = driver.create("a", assistant_id="x")
    second = driver.create("b", assistant_id="x")
    third = driver.create("a")
    driver.report(first, RUNNING)
    assert await revisions(store, run_topic(first)) == [1, 4]
    assert await revisions(store, run_topic(second)) == [2]
    assert await revisions(store, thread_topic("a")) == [1, 3, 4]
    assert await revisions(store, thread_topic("b")) == [2]
    assert await revisions(store, Topic(TopicKind.ASSISTANT, "o", "x")) == [1, 2, 4]
    assert await revisions(store, Topic(TopicKind.ASSISTANT, "o", "y")) == []
    assert await revisions(store, run_topic(third)) == [3]
    assert await revisions(store, ALL) == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", TopicKind, ids=lambda kind: kind.name)
async def test_log_since_never_returns_entries_of_another_owner(
    store: Store, driver: Driver, kind: TopicKind
) -> None:
    run = driver.create("t", owner="mine", run_id="r", assistant_id="a")
    driver.create("t", owner="yours", run_id="R", assistant_id="a")
    key = {"run": run.run_id, "thread": "t", "assistant": "a", "all": ""}[kind.value]
    assert await revisions(store, Topic(kind, "mine", key)) == [1]
    assert await revisions(store, Topic(kind, "unknown", key)) == []
    # Entries that do not match count as scanned.
    assert (await store.reading.log_since(Topic(kind, "unknown", key), 0, 9)).scanned_to == 2


async def test_scanned_to_is_the_last_entry_of_a_full_slice(store: Store, driver: Driver) -> None:
    for thread in "abab":
        driver.create(thread)
    topic = thread_topic("a")
    entries = (await store.reading.log_since(topic, 0, 9)).entries
    assert await store.reading.log_since(topic, 0, 1) == LogSlice(entries[:1], 1)
    assert await store.reading.log_since(topic, 1, 1) == LogSlice(entries[1:], 3)
    assert await store.reading.log_since(topic, 0, 2) == LogSlice(entries, 3)
    assert await store.reading.log_since(topic, 0, 3) == LogSlice(entries, 4)
    assert await store.reading.log_since(topic, 3, 1) == LogSlice([], 4)


async def test_call_end_is_the_last_revision_of_the_call(store: Store, driver: Driver) -> None:
    driver.create()
    driver.create()
    driver.displace()
    driver.create()
    entries = (await store.reading.log_since(ALL, 0, 9)).entries
    assert [(entry.revision, entry.call_end) for entry in entries] == [
        (1, 1),
        (2, 2),
        (3, 5),
        (4, 5),
        (5, 5),
        (6, 6),
    ]


async def test_log_tail_returns_the_newest_entries_of_every_owner_oldest_first(
    store: Store, driver: Driver
) -> None:
    assert await store.reading.log_tail(9, 1 << 20) == []
    for owner in "abc":
        driver.create(owner=owner)
    assert [entry.owner for entry in await store.reading.log_tail(9, 1 << 20)] == ["a", "b", "c"]
    assert [entry.owner for entry in await store.reading.log_tail(2, 1 << 20)] == ["b", "c"]
    # The oldest entry may exceed the limit.
    assert [entry.owner for entry in await store.reading.log_tail(9, 0)] == ["c"]
    assert [entry.owner for entry in await store.reading.log_tail(9, 1)] == ["c"]


async def test_clock_returns_the_id_and_the_range_of_the_log(store: Store, driver: Driver) -> None:
    clock = await store.reading.clock()
    assert clock == Clock(clock.store_id, 0, 1)
    assert UUID(clock.store_id[:36])
    driver.create()
    driver.create()
    assert await store.reading.clock() == Clock(clock.store_id, 2, 1)


async def test_log_since_is_compacted_when_the_log_starts_later(
    store: Store, driver: Driver
) -> None:
    for _ in range(5):
        driver.create()
    driver.forget(2)
    clock = await store.reading.clock()
    assert (clock.revision, clock.oldest_revision) == (5, 3)
    assert await revisions(store, ALL, after=2) == [3, 4, 5]
    for after in (0, 1):
        with pytest.raises(RevisionCompacted) as caught:
            await store.reading.log_since(ALL, after, 9)
        assert (caught.value.oldest_revision, caught.value.current_revision) == (3, 5)
    # Also for a topic that never had an entry.
    with pytest.raises(RevisionCompacted):
        await store.reading.log_since(thread_topic("unknown"), 1, 9)


async def test_oldest_revision_of_an_empty_log_is_the_next_one(
    store: Store, driver: Driver
) -> None:
    driver.create()
    run = driver.create()
    driver.forget(2)
    clock = await store.reading.clock()
    assert (clock.revision, clock.oldest_revision) == (2, 3)
    assert await store.reading.log_tail(9, 1 << 20) == []
    assert await store.reading.log_since(ALL, 2, 9) == LogSlice([], 2)
    with pytest.raises(RevisionCompacted):
        await store.reading.log_since(ALL, 1, 9)
    assert driver.report(run, SUCCESS).revision == 3
    assert (await store.reading.clock()).oldest_revision == 3


async def test_forgetting_entries_keeps_the_runs(store: Store, driver: Driver) -> None:
    run = driver.create()
    driver.forget(1)
    assert await store.reading.get(run.run_id, None) is not None
    driver.forget(1)
    assert (await store.reading.clock()).revision == 1


async def test_the_log_begins_after_a_time(store: Store, driver: Driver) -> None:
    assert await store.reading.log_begin(NEVER) == 1
    runs = [driver.create() for _ in range(3)]
    for revision, run in enumerate(runs, 1):
        assert await store.reading.log_begin(run.updated_at - MOMENT) == revision
        assert await store.reading.log_begin(run.updated_at) == revision + 1
    driver.forget(1)
    assert await store.reading.log_begin(NEVER) == 2
    driver.forget(3)
    assert await store.reading.log_begin(NEVER) == 4
