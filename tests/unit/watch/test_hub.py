"""The hub: its start, and the cursors that it wakes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.group_commit import Committed
from runsvc.core.errors import ServerDraining
from runsvc.store.values import Topic, TopicKind
from runsvc.watch.hub import TAIL, StatusHub
from runsvc.watch.recent_log import CAPACITY
from tests.conformance.driver import ALL, RUNNING, Driver, run_topic, thread_topic
from tests.unit.watch.environment import entry_of
from tests.unit.watch.waiting import is_woken, read, wait

if TYPE_CHECKING:
    from runsvc.store.memory import MemoryStore
    from runsvc.store.values import LogEntry


# Starting.


async def test_the_recent_log_starts_with_the_end_of_the_log(
    store: MemoryStore, driver: Driver
) -> None:
    driver.create()
    driver.create()
    driver.forget(1)
    hub = StatusHub(store.reading)
    await hub.start()
    assert (hub.recent_log.floor, hub.recent_log.revision) == (1, 2)


async def test_the_recent_log_of_an_empty_log_starts_at_the_revision_of_the_store(
    store: MemoryStore, driver: Driver
) -> None:
    driver.create()
    driver.forget(1)
    hub = StatusHub(store.reading)
    await hub.start()
    assert (hub.recent_log.floor, hub.recent_log.revision) == (1, 1)
    driver.listeners.append(hub.publish)
    driver.create()
    assert (hub.recent_log.floor, hub.recent_log.revision) == (1, 2)


async def test_at_start_no_more_than_the_tail_is_read(store: MemoryStore) -> None:
    limits = []

    async def log_tail(limit: int, max_bytes: int) -> list[LogEntry]:
        limits.append((limit, max_bytes))
        return []

    store.reading.log_tail = log_tail  # type: ignore[method-assign]
    await StatusHub(store.reading).start()
    assert limits == [(TAIL, CAPACITY)]


# Waking.


async def test_a_change_wakes_the_cursors_of_its_topics_only(
    hub: StatusHub, driver: Driver
) -> None:
    matching = hub.open(thread_topic("a")), hub.open(ALL)
    others = [
        hub.open(thread_topic("b")),
        hub.open(thread_topic("a", "another")),
        hub.open(Topic(TopicKind.ALL, "another")),
    ]
    run = driver.create("a")
    assert [await is_woken(cursor) for cursor in matching] == [True, True]
    assert [await is_woken(cursor) for cursor in others] == [False] * 3
    cursor = hub.open(run_topic(run))
    driver.report(run, RUNNING)
    assert await is_woken(cursor)
    await cursor.read()
    assert not await is_woken(cursor)


async def test_a_change_ends_a_wait(hub: StatusHub, driver: Driver) -> None:
    cursor = hub.open(ALL)
    waiting = asyncio.create_task(wait(cursor, 30))
    await asyncio.sleep(0)
    assert not waiting.done()
    driver.create()
    async with asyncio.timeout(30):
        await waiting


async def test_a_gap_wakes_all_cursors_and_they_read_the_store(
    hub: StatusHub, driver: Driver
) -> None:
    cursor, other = hub.open(thread_topic("a")), hub.open(thread_topic("b"))
    driver.create("b")
    await asyncio.gather(cursor.read(), other.read())
    # A commit that is not published.
    driver.listeners.remove(hub.publish)
    driver.create("a")
    driver.listeners.append(hub.publish)
    assert not await is_woken(cursor)
    driver.create("b")
    assert [await is_woken(each) for each in (cursor, other)] == [True, True]
    assert await read(cursor) == [2]
    assert await read(other) == [3]
    assert hub.recent_log.floor == 2


async def test_a_removal_takes_the_bodies_out_of_the_recent_log(
    hub: StatusHub, driver: Driver
) -> None:
    run, other = driver.create(), driver.create()
    driver.delete(run)
    events = await hub.open(ALL).read()
    assert [(entry_of(event).run_id, entry_of(event).body is None) for event in events] == [
        (run.run_id, True),
        (other.run_id, False),
        (run.run_id, True),
    ]


async def test_progress_is_marked_only_for_cursors_that_asked_for_it(
    hub: StatusHub, driver: Driver
) -> None:
    run = driver.report(driver.create(), RUNNING)
    plain, interested = hub.open(ALL), hub.open(ALL, progress=True)
    elsewhere = hub.open(thread_topic("elsewhere"), progress=True)
    driver.progress(run, 1)
    assert (plain.progress_backlog, elsewhere.progress_backlog) == (None, None)
    assert interested.progress_backlog is not None
    assert len(interested.progress_backlog) == 1
    woken = [await is_woken(each) for each in (plain, interested, elsewhere)]
    assert woken == [False, True, False]
    hub.close(interested)
    driver.progress(run, 2)
    assert plain.progress_backlog is None
    hub.publish(Committed([]))


async def test_the_number_of_watchers_returns_to_zero(hub: StatusHub) -> None:
    cursors = [hub.open(ALL), hub.open(ALL, progress=True), hub.open(thread_topic("t"))]
    assert hub.watchers == 3
    for cursor in cursors:
        hub.close(cursor)
    hub.close(cursors[0])
    assert hub.watchers == 0
    assert (hub._audiences, hub._progress) == ({}, {})


async def test_draining_ends_all_present_and_future_reads(hub: StatusHub) -> None:
    cursor = hub.open(ALL)
    hub.check_open()
    hub.drain()
    assert await is_woken(cursor)
    with pytest.raises(ServerDraining):
        await cursor.read()
    with pytest.raises(ServerDraining):
        await hub.open(ALL).read()
    with pytest.raises(ServerDraining):
        hub.check_open()
