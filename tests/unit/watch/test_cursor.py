"""Cursors: the changes that they read, from the recent log and from the store."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.group_commit import Committed
from runsvc.core.errors import RevisionCompacted, StoreUnavailable
from runsvc.watch.hub import StatusHub
from tests.conformance.driver import ALL, Driver, thread_topic
from tests.unit.watch.environment import entry_of
from tests.unit.watch.waiting import is_woken, read, wait

if TYPE_CHECKING:
    from runsvc.store.memory import MemoryStore

CHUNK = 8


def hub_of(store: MemoryStore, driver: Driver, *, capacity: int = 1 << 20) -> StatusHub:
    """A hub with small chunks."""
    hub = StatusHub(store.reading, capacity=capacity, chunk_size=CHUNK)
    driver.listeners.append(hub.publish)
    return hub


async def test_a_cursor_reads_each_entry_of_its_topic_once(hub: StatusHub, driver: Driver) -> None:
    cursor = hub.open(thread_topic("a"))
    for thread in "abab":
        driver.create(thread)
    assert await read(cursor) == [1, 3]
    assert cursor.position == 4
    assert await cursor.read() == ()
    driver.create("a")
    assert await read(cursor) == [5]


async def test_a_cursor_ahead_of_the_hub_reads_the_store(hub: StatusHub, driver: Driver) -> None:
    cursor = hub.open(ALL)
    driver.create()
    driver.listeners.clear()
    driver.create()
    cursor.seek(2)
    assert await cursor.read() == ()
    assert cursor.position == 2
    driver.create()
    assert await read(cursor) == [3]
    assert hub.recent_log.revision == 1


async def test_a_call_that_is_not_published_yet_is_read_to_its_end(
    store: MemoryStore, driver: Driver
) -> None:
    hub = hub_of(store, driver, capacity=1)
    for _ in range(CHUNK - 2):
        driver.create()
    driver.listeners.clear()
    # The first chunk ends in the middle of this call.
    driver.displace()
    cursor = hub.open(ALL)
    async with asyncio.timeout(30):
        chunks = [await read(cursor) for _ in range(3)]
    total = 2 * CHUNK - 3
    assert list(chain(*chunks)) == list(range(1, total + 1))
    assert cursor.position == total


@pytest.mark.parametrize("is_cached", [True, False], ids=["recent log", "store"])
async def test_an_entry_with_a_false_end_of_its_call_is_read(
    store: MemoryStore, driver: Driver, is_cached: bool
) -> None:
    driver.create()
    store.data.log = [entry._replace(call_end=1_000_000) for entry in store.data.log]
    hub = StatusHub(store.reading)
    if is_cached:
        hub.publish(Committed([], store.data.log))
    else:
        hub.recent_log.restart(5)
    async with asyncio.timeout(30):
        assert await read(hub.open(ALL)) == [1]


async def test_after_an_unsettled_commit_cursors_read_the_store_until_the_next_commit(
    hub: StatusHub, driver: Driver
) -> None:
    cursor = hub.open(ALL)
    driver.create()
    assert await read(cursor) == [1]
    driver.listeners.clear()
    driver.create()
    hub.publish(Committed([], unsettled=True))
    assert await is_woken(cursor)
    assert await read(cursor) == [2]
    driver.listeners.append(hub.publish)
    driver.create()
    assert await read(cursor) == [3]
    assert (hub.recent_log.floor, hub.recent_log.revision) == (2, 3)


async def test_a_cursor_behind_the_recent_log_reads_the_store_until_it_has_caught_up(
    store: MemoryStore, driver: Driver
) -> None:
    hub = hub_of(store, driver, capacity=3 * 1_200)
    cursor = hub.open(ALL)
    total = 2 * CHUNK + 5
    for _ in range(total):
        driver.create()
    assert hub.recent_log.floor > 2 * CHUNK
    assert await read(cursor) == list(range(1, CHUNK + 1))
    assert await read(cursor) == list(range(CHUNK + 1, 2 * CHUNK + 1))
    assert await read(cursor) == list(range(2 * CHUNK + 1, total + 1))
    assert cursor.position == total
    store.data.log.clear()
    driver.create()
    # From the recent log again.
    assert await read(cursor) == [total + 1]


async def test_compaction_does_not_cut_off_a_cursor_that_has_read_everything(
    store: MemoryStore, driver: Driver
) -> None:
    hub = StatusHub(store.reading, capacity=3 * 1_200)
    driver.listeners.append(hub.publish)
    quiet, behind, never = hub.open(thread_topic("a")), hub.open(ALL), hub.open(thread_topic("n"))
    for _ in range(10):
        driver.create("b")
    driver.create("a")
    for _ in range(10):
        driver.create("b")
    driver.forget(10)
    # Neither the recent log nor the store reaches back to its first position.
    assert await read(quiet) == [11]
    assert await never.read() == ()
    assert never.position == 21
    with pytest.raises(RevisionCompacted) as caught:
        await behind.read()
    assert (caught.value.oldest_revision, caught.value.current_revision) == (11, 21)


async def test_the_recent_log_is_read_in_chunks(store: MemoryStore, driver: Driver) -> None:
    cursor = hub_of(store, driver).open(ALL)
    for _ in range(CHUNK + 5):
        driver.create()
    assert len(await cursor.read()) == CHUNK
    assert cursor.position == CHUNK
    assert len(await cursor.read()) == 5
    assert await cursor.read() == ()


@pytest.mark.parametrize("capacity", [1 << 20, 1], ids=["recent log", "store"])
async def test_the_changes_of_a_call_stay_together_across_chunks(
    store: MemoryStore, driver: Driver, capacity: int
) -> None:
    cursor = hub_of(store, driver, capacity=capacity).open(ALL)
    size = 2 * CHUNK + 3
    for _ in range(size):
        driver.create()
    driver.displace()
    last = 2 * size + 1
    chunks = []
    while events := await cursor.read():
        chunks.append([(event.revision, event.more) for event in events])
    assert list(chain(*chunks)) == [(each, size < each < last) for each in range(1, last + 1)]
    # Also a large call comes in chunks.
    assert max(map(len, chunks)) <= CHUNK + 1


async def test_a_read_raises_the_error_of_the_store(store: MemoryStore, driver: Driver) -> None:
    hub = StatusHub(store.reading, revision=5)
    cursor = hub.open(ALL)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await cursor.read()


async def test_a_wait_ends_at_its_deadline(hub: StatusHub, driver: Driver) -> None:
    cursor = hub.open(ALL)
    async with asyncio.timeout(30):
        await wait(cursor, 0.001)
        await cursor.read()
        # A late deadline and then an early one, with either kind of timer left over.
        for late, soon in ((1_000, 0.001), (2_000, 0.002)):
            waiting = asyncio.create_task(wait(cursor, late))
            await asyncio.sleep(0)
            driver.create()
            await waiting
            await cursor.read()
            await wait(cursor, soon)
            await cursor.read()
    hub.close(cursor)


async def test_an_early_timer_is_not_replaced_by_a_late_one(hub: StatusHub, driver: Driver) -> None:
    cursor = hub.open(ALL)
    async with asyncio.timeout(30):
        waiting = asyncio.create_task(wait(cursor, 0.01))
        await asyncio.sleep(0)
        driver.create()
        await waiting
        await cursor.read()
        # The timer of the first wait ends the second.
        await wait(cursor, 1_000)
    hub.close(cursor)


async def test_cursors_at_the_same_position_share_the_chunk_that_the_first_one_read(
    hub: StatusHub, driver: Driver
) -> None:
    first, second, third = (hub.open(thread_topic("a")) for _ in range(3))
    other = hub.open(thread_topic("b"))
    driver.create("a")
    driver.create("b")
    events = await first.read()
    assert await second.read() is events
    assert second.position == first.position == 2
    assert await read(other) == [2]
    driver.create("a")
    assert await read(first) == [3]
    # It is at another position, and there was another change since.
    assert await read(third) == [1, 3]
    run = driver.create("a")
    await first.read()
    driver.delete(run)
    assert [entry_of(event).body for event in await third.read()] == [None, None]
