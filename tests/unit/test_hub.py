"""The hub: what the ring keeps, what a cursor reads, and who is woken."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from runsvc.errors import ServerDraining, StoreUnavailable
from runsvc.group_commit import Committed
from runsvc.hub import (
    CAPACITY,
    ENTRY_COST,
    STRETCH,
    TAIL,
    Cursor,
    Ring,
    StatusHub,
    name_of,
    names_of,
)
from runsvc.model import RunStatus
from runsvc.store.base import LogEntry, Topic, TopicKind
from runsvc.store.memory import MemoryStore
from tests.conformance.driver import ALL, RUNNING, Driver, run_topic, thread_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

BODY = bytes(24)
COST = ENTRY_COST + len(BODY)


def entry(
    revision: int,
    run_id: str = "r",
    *,
    call_end: int = 0,
    assistant_id: str | None = None,
    body: bytes | None = BODY,
    deleted: bool = False,
) -> LogEntry:
    return LogEntry(
        revision=revision,
        call_end=call_end or revision,
        run_id=run_id,
        owner="o",
        thread_id="t",
        assistant_id=assistant_id,
        status=RunStatus.PENDING,
        previous_status=None,
        deleted=deleted,
        body=body,
    )


def entries(*revisions: int) -> list[LogEntry]:
    return [entry(revision) for revision in revisions]


def revisions(found: Sequence[LogEntry]) -> list[int]:
    return [one.revision for one in found]


async def read(cursor: Cursor) -> list[int]:
    return [change.entry.revision for change in await cursor.read()]


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
    hub = StatusHub(store)
    driver.listeners.append(hub.publish)
    return hub


async def woken(cursor: Cursor) -> bool:
    """Whether the cursor's wait ends by itself."""
    try:
        async with asyncio.timeout(0):
            await cursor.wait(30)
    except TimeoutError:
        return False
    return True


# Topics.


def test_a_change_belongs_to_its_run_thread_assistant_and_owner() -> None:
    topics = [Topic(TopicKind.RUN, "o", "r"), thread_topic("t"), ALL]
    assert names_of(entry(1)) == list(map(name_of, topics))
    assistant = Topic(TopicKind.ASSISTANT, "o", "a")
    assert names_of(entry(1, assistant_id="a")) == list(map(name_of, [*topics, assistant]))


# The ring.


def test_a_ring_gives_what_came_after_a_revision() -> None:
    ring = Ring(4)
    ring.extend(entries(5, 6, 7))
    assert (ring.floor, ring.revision) == (4, 7)
    assert revisions(ring.after(name_of(ALL), 4, 9)) == [5, 6, 7]
    assert revisions(ring.after(name_of(ALL), 4, 2)) == [5, 6]
    assert revisions(ring.after(name_of(ALL), 6, 9)) == [7]
    assert ring.after(name_of(ALL), 7, 9) == ()
    assert ring.after(name_of(thread_topic("unknown")), 4, 9) == ()


def test_a_full_ring_evicts_its_oldest_by_bytes() -> None:
    ring = Ring(0, capacity=3 * COST)
    ring.extend(entries(1, 2, 3))
    assert ring.floor == 0
    ring.extend(entries(4))
    assert (ring.floor, ring.revision) == (1, 4)
    ring.extend([entry(5, body=bytes(24 + COST))])
    assert (ring.floor, ring.revision) == (3, 5)
    assert revisions(ring.after(name_of(ALL), 3, 9)) == [4, 5]
    ring.extend(entries(6))
    assert ring.floor == 4


def test_an_entry_larger_than_the_ring_leaves_it_empty() -> None:
    ring = Ring(0, capacity=COST - 1)
    ring.extend(entries(1, 2))
    assert (ring.floor, ring.revision) == (2, 2)
    assert ring.after(name_of(ALL), 2, 9) == ()
    assert ring._index == {}
    assert ring._size == 0


def test_evicted_topics_leave_the_index() -> None:
    ring = Ring(0, capacity=COST)
    ring.extend([entry(1, "a"), entry(2, "b")])
    assert name_of(Topic(TopicKind.RUN, "o", "a")) not in ring._index
    assert revisions(ring.after(name_of(Topic(TopicKind.RUN, "o", "b")), 1, 9)) == [2]


def test_a_topic_of_many_entries_is_found_like_one_of_few() -> None:
    ring = Ring(0, capacity=50 * COST)
    for last in range(1, 121):
        ring.extend(entries(last))
        newest = list(range(max(1, last - 49), last + 1))
        assert revisions(ring.after(name_of(ALL), ring.floor, 999)) == newest
        assert revisions(ring.after(name_of(ALL), last - 1, 999)) == [last]


def test_after_a_gap_the_ring_starts_anew() -> None:
    ring = Ring(0)
    ring.extend(entries(1, 2))
    ring.extend(entries(5, 6))
    assert (ring.floor, ring.revision) == (4, 6)
    assert revisions(ring.after(name_of(ALL), 4, 9)) == [5, 6]
    assert ring._size == 2 * COST


def test_redacting_takes_the_bodies_out_of_a_runs_entries() -> None:
    ring = Ring(0)
    ring.extend([entry(1, "a"), entry(2, "b", assistant_id="x"), entry(3, "a", assistant_id="x")])
    topic = name_of(Topic(TopicKind.RUN, "o", "a"))
    for _ in range(2):
        ring.redact(topic)
        assert ring._size == 3 * COST - 2 * len(BODY)
    for found in (ALL, thread_topic("t")):
        assert [one.body for one in ring.after(name_of(found), 0, 9)] == [None, BODY, None]
    bare = ring.after(name_of(Topic(TopicKind.ASSISTANT, "o", "x")), 0, 9)
    assert [one.body for one in bare] == [BODY, None]
    assert [one.body for one in ring.after(topic, 0, 9)] == [None, None]
    assert [one.body for one in ring._entries.values()] == [None, BODY, None]
    ring.redact(name_of(Topic(TopicKind.RUN, "o", "unknown")))


# Starting.


async def test_the_ring_starts_with_the_end_of_the_log(store: MemoryStore, driver: Driver) -> None:
    driver.create()
    driver.create()
    driver.forget(1)
    hub = StatusHub(store)
    await hub.start()
    assert (hub.ring.floor, hub.ring.revision) == (1, 2)


async def test_the_ring_of_an_empty_log_starts_at_the_clock(
    store: MemoryStore, driver: Driver
) -> None:
    driver.create()
    driver.forget(1)
    hub = StatusHub(store)
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

    store.log_tail = log_tail  # type: ignore[method-assign]
    await StatusHub(store).start()
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
    hub = StatusHub(store, capacity=1)
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
    hub = StatusHub(store, capacity=3 * 1_200)
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
    store._log.clear()
    driver.create()
    # From the ring again.
    assert await read(cursor) == [total + 1]


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
    hub = StatusHub(store, capacity=capacity)
    driver.listeners.append(hub.publish)
    cursor = hub.open(ALL)
    size = 2 * STRETCH + 3
    for _ in range(size):
        driver.create()
    driver.displace()
    last = 2 * size + 1
    found = []
    while got := await cursor.read():
        found.append([(change.entry.revision, change.more) for change in got])
    assert list(chain(*found)) == [(each, size < each < last) for each in range(1, last + 1)]
    # However many they are, they come in stretches.
    assert max(map(len, found)) <= STRETCH + 1


async def test_reading_raises_what_the_store_raises(store: MemoryStore, driver: Driver) -> None:
    hub = StatusHub(store, revision=5)
    cursor = hub.open(ALL)
    await store.close()
    with pytest.raises(StoreUnavailable):
        await cursor.read()


async def test_a_wait_ends_after_its_time(hub: StatusHub) -> None:
    async with asyncio.timeout(30):
        await hub.open(ALL).wait(0.001)


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
    waiting = asyncio.create_task(cursor.wait(30))
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
    assert [(one.entry.run_id, one.entry.body is None) for one in found] == [
        (run.run_id, True),
        (other.run_id, False),
        (run.run_id, True),
    ]


async def test_progress_touches_only_those_who_asked(hub: StatusHub, driver: Driver) -> None:
    run = driver.report(driver.create(), RUNNING)
    plain, asked = hub.open(ALL), hub.open(ALL, progress=True)
    elsewhere = hub.open(thread_topic("elsewhere"), progress=True)
    driver.progress(run, 1)
    assert (plain.touched, asked.touched, elsewhere.touched) == (set(), {run.run_id}, set())
    assert [await woken(one) for one in (plain, asked, elsewhere)] == [False, True, False]
    hub.close(asked)
    driver.progress(run, 2)
    assert plain.touched == set()
    hub.publish(Committed([]))


async def test_watchers_count_back_to_zero(hub: StatusHub) -> None:
    cursors = [hub.open(ALL), hub.open(ALL, progress=True), hub.open(thread_topic("t"))]
    assert hub.watchers == 3
    for cursor in cursors:
        hub.close(cursor)
    hub.close(cursors[0])
    assert hub.watchers == 0
    assert (hub._cursors, hub._progress) == ({}, {})


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
