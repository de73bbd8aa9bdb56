"""The hub: what a cursor reads, and who is woken."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.group_commit import Committed
from runsvc.core.errors import RevisionCompacted, ServerDraining, StoreUnavailable
from runsvc.store.base import LogEntry, Topic, TopicKind
from runsvc.store.memory import MemoryStore
from runsvc.watch.cursor import STRETCH, Cursor
from runsvc.watch.hub import TAIL, StatusHub
from runsvc.watch.recent_log import CAPACITY
from tests.conformance.driver import ALL, RUNNING, Driver, run_topic, thread_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.watch.event import Event


async def read(cursor: Cursor) -> list[int]:
    return [change.revision for change in await cursor.read()]


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def driver(store: MemoryStore) -> Driver:
    return Driver(store)


@pytest.fixture
def hub(store: MemoryStore, driver: Driver) -> StatusHub:
    hub = StatusHub(store.reading)
    driver.listeners.append(hub.publish)
    return hub


def entry_of(event: Event) -> LogEntry:
    assert isinstance(event.subject, LogEntry)
    return event.subject


async def wait(cursor: Cursor, seconds: float) -> None:
    await cursor.woken(asyncio.get_running_loop().time() + seconds)


async def woken(cursor: Cursor) -> bool:
    """Whether the cursor's wait ends by itself."""
    try:
        async with asyncio.timeout(0):
            await wait(cursor, 30)
    except TimeoutError:
        return False
    return True


# Starting.


async def test_the_ring_starts_with_the_end_of_the_log(store: MemoryStore, driver: Driver) -> None:
    driver.create()
    driver.create()
    driver.forget(1)
    hub = StatusHub(store.reading)
    await hub.start()
    assert (hub.ring.floor, hub.ring.revision) == (1, 2)


async def test_the_ring_of_an_empty_log_starts_at_the_clock(
    store: MemoryStore, driver: Driver
) -> None:
    driver.create()
    driver.forget(1)
    hub = StatusHub(store.reading)
    await hub.start()
    assert (hub.ring.floor, hub.ring.revision) == (1, 1)
    driver.listeners.append(hub.publish)
    driver.create()
    assert (hub.ring.floor, hub.ring.revision) == (1, 2)


async def test_no_more_than_the_tail_is_read_at_start(store: MemoryStore) -> None:
    asked = []

    async def log_tail(limit: int, max_bytes: int) -> list[LogEntry]:
        asked.append((limit, max_bytes))
        return []

    store.reading.log_tail = log_tail  # type: ignore[method-assign]
    await StatusHub(store.reading).start()
    assert asked == [(TAIL, CAPACITY)]


# Cursors.


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
    cursor.position = 2
    assert await cursor.read() == ()
    assert cursor.position == 2
    driver.create()
    assert await read(cursor) == [3]
    assert hub.ring.revision == 1


async def test_a_call_that_nobody_published_yet_is_read_to_its_end(
    store: MemoryStore, driver: Driver
) -> None:
    hub = StatusHub(store.reading, capacity=1)
    driver.listeners.append(hub.publish)
    for _ in range(STRETCH - 2):
        driver.create()
    driver.listeners.clear()
    # The first stretch ends in the midst of it.
    driver.displace()
    cursor = hub.open(ALL)
    async with asyncio.timeout(30):
        found = [await read(cursor) for _ in range(3)]
    total = 2 * STRETCH - 3
    assert list(chain(*found)) == list(range(1, total + 1))
    assert cursor.position == total


@pytest.mark.parametrize("known", [True, False], ids=["ring", "store"])
async def test_an_entry_that_lies_about_its_call_is_read_all_the_same(
    store: MemoryStore, driver: Driver, known: bool
) -> None:
    driver.create()
    store.data.log = [entry._replace(call_end=1_000_000) for entry in store.data.log]
    hub = StatusHub(store.reading)
    if known:
        hub.publish(Committed([], store.data.log))
    else:
        hub.ring.restart(5)
    async with asyncio.timeout(30):
        assert await read(hub.open(ALL)) == [1]


async def test_after_an_unsettled_commit_everyone_reads_the_store_until_the_next(
    hub: StatusHub, driver: Driver
) -> None:
    cursor = hub.open(ALL)
    driver.create()
    assert await read(cursor) == [1]
    driver.listeners.clear()
    driver.create()
    hub.publish(Committed([], unsettled=True))
    assert await woken(cursor)
    assert await read(cursor) == [2]
    driver.listeners.append(hub.publish)
    driver.create()
    assert await read(cursor) == [3]
    assert (hub.ring.floor, hub.ring.revision) == (2, 3)


async def test_a_cursor_that_fell_behind_reads_the_store_and_comes_back(
    store: MemoryStore, driver: Driver
) -> None:
    hub = StatusHub(store.reading, capacity=3 * 1_200)
    driver.listeners.append(hub.publish)
    cursor = hub.open(ALL)
    total = 2 * STRETCH + 5
    for _ in range(total):
        driver.create()
    assert hub.ring.floor > 2 * STRETCH
    assert await read(cursor) == list(range(1, STRETCH + 1))
    assert await read(cursor) == list(range(STRETCH + 1, 2 * STRETCH + 1))
    assert await read(cursor) == list(range(2 * STRETCH + 1, total + 1))
    assert cursor.position == total
    store.data.log.clear()
    driver.create()
    # From the ring again.
    assert await read(cursor) == [total + 1]


async def test_who_has_missed_nothing_is_not_cut_off_by_a_log_that_is_cut(
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
    # The ring no longer reaches back to where it stood, and the log neither.
    assert await read(quiet) == [11]
    assert await never.read() == ()
    assert never.position == 21
    with pytest.raises(RevisionCompacted) as caught:
        await behind.read()
    assert (caught.value.oldest_revision, caught.value.current_revision) == (11, 21)


async def test_a_ring_is_read_in_stretches(hub: StatusHub, driver: Driver) -> None:
    cursor = hub.open(ALL)
    for _ in range(STRETCH + 5):
        driver.create()
    assert len(await cursor.read()) == STRETCH
    assert cursor.position == STRETCH
    assert len(await cursor.read()) == 5
    assert await cursor.read() == ()


@pytest.mark.parametrize("capacity", [1 << 20, 1], ids=["ring", "store"])
async def test_the_changes_of_a_call_stay_together_across_stretches(
    store: MemoryStore, driver: Driver, capacity: int
) -> None:
    hub = StatusHub(store.reading, capacity=capacity)
    driver.listeners.append(hub.publish)
    cursor = hub.open(ALL)
    size = 2 * STRETCH + 3
    for _ in range(size):
        driver.create()
    driver.displace()
    last = 2 * size + 1
    found = []
    while got := await cursor.read():
        found.append([(change.revision, change.more) for change in got])
    assert list(chain(*found)) == [(each, size < each < last) for each in range(1, last + 1)]
    # However many they are, they come in stretches.
    assert max(map(len, found)) <= STRETCH + 1


async def test_reading_raises_what_the_store_raises(store: MemoryStore, driver: Driver) -> None:
    hub = StatusHub(store.reading, revision=5)
    cursor = hub.open(ALL)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await cursor.read()


async def test_a_wait_ends_after_its_time(hub: StatusHub, driver: Driver) -> None:
    cursor = hub.open(ALL)
    async with asyncio.timeout(30):
        await wait(cursor, 0.001)
        await cursor.read()
        # A later time and then an earlier one, whichever was there before.
        for late, soon in ((1_000, 0.001), (2_000, 0.002)):
            waiting = asyncio.create_task(wait(cursor, late))
            await asyncio.sleep(0)
            driver.create()
            await waiting
            await cursor.read()
            await wait(cursor, soon)
            await cursor.read()
    hub.close(cursor)


async def test_those_who_stand_at_the_same_place_share_what_the_first_read(
    hub: StatusHub, driver: Driver
) -> None:
    first, second, third = (hub.open(thread_topic("a")) for _ in range(3))
    other = hub.open(thread_topic("b"))
    driver.create("a")
    driver.create("b")
    found = await first.read()
    assert await second.read() is found
    assert second.position == first.position == 2
    assert await read(other) == [2]
    driver.create("a")
    assert await read(first) == [3]
    # Another place, and another change since.
    assert await read(third) == [1, 3]
    run = driver.create("a")
    await first.read()
    driver.delete(run)
    assert [entry_of(event).body for event in await third.read()] == [None, None]


# Waking.


async def test_only_those_concerned_are_woken(hub: StatusHub, driver: Driver) -> None:
    mine, all_mine = hub.open(thread_topic("a")), hub.open(ALL)
    others = [
        hub.open(thread_topic("b")),
        hub.open(thread_topic("a", "another")),
        hub.open(Topic(TopicKind.ALL, "another")),
    ]
    run = driver.create("a")
    assert [await woken(cursor) for cursor in (mine, all_mine)] == [True, True]
    assert [await woken(cursor) for cursor in others] == [False] * 3
    watcher = hub.open(run_topic(run))
    driver.report(run, RUNNING)
    assert await woken(watcher)
    await watcher.read()
    assert not await woken(watcher)


async def test_a_wait_ends_with_the_change_that_it_waits_for(
    hub: StatusHub, driver: Driver
) -> None:
    cursor = hub.open(ALL)
    waiting = asyncio.create_task(wait(cursor, 30))
    await asyncio.sleep(0)
    assert not waiting.done()
    driver.create()
    async with asyncio.timeout(30):
        await waiting


async def test_after_a_gap_everyone_is_woken_and_reads_the_store(
    hub: StatusHub, driver: Driver
) -> None:
    cursor, other = hub.open(thread_topic("a")), hub.open(thread_topic("b"))
    driver.create("b")
    await asyncio.gather(cursor.read(), other.read())
    # A commit that nobody published.
    driver.listeners.remove(hub.publish)
    driver.create("a")
    driver.listeners.append(hub.publish)
    assert not await woken(cursor)
    driver.create("b")
    assert [await woken(one) for one in (cursor, other)] == [True, True]
    assert await read(cursor) == [2]
    assert await read(other) == [3]
    assert hub.ring.floor == 2


async def test_a_deletion_takes_the_bodies_out_of_the_ring(hub: StatusHub, driver: Driver) -> None:
    run, other = driver.create(), driver.create()
    driver.delete(run)
    cursor = hub.open(ALL)
    found = await cursor.read()
    assert [(entry_of(one).run_id, entry_of(one).body is None) for one in found] == [
        (run.run_id, True),
        (other.run_id, False),
        (run.run_id, True),
    ]


async def test_progress_touches_only_those_who_asked(hub: StatusHub, driver: Driver) -> None:
    run = driver.report(driver.create(), RUNNING)
    plain, asked = hub.open(ALL), hub.open(ALL, progress=True)
    elsewhere = hub.open(thread_topic("elsewhere"), progress=True)
    driver.progress(run, 1)
    assert (plain.touched, elsewhere.touched) == (None, None)
    assert asked.touched is not None
    assert len(asked.touched) == 1
    assert [await woken(one) for one in (plain, asked, elsewhere)] == [False, True, False]
    hub.close(asked)
    driver.progress(run, 2)
    assert plain.touched is None
    hub.publish(Committed([]))


async def test_watchers_count_back_to_zero(hub: StatusHub) -> None:
    cursors = [hub.open(ALL), hub.open(ALL, progress=True), hub.open(thread_topic("t"))]
    assert hub.watchers == 3
    for cursor in cursors:
        hub.close(cursor)
    hub.close(cursors[0])
    assert hub.watchers == 0
    assert (hub._audiences, hub._progress) == ({}, {})


async def test_draining_ends_every_read_now_and_from_now_on(hub: StatusHub) -> None:
    cursor = hub.open(ALL)
    hub.check_open()
    hub.drain()
    assert await woken(cursor)
    with pytest.raises(ServerDraining):
        await cursor.read()
    with pytest.raises(ServerDraining):
        await hub.open(ALL).read()
    with pytest.raises(ServerDraining):
        hub.check_open()
