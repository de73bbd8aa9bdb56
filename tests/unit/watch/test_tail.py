"""The tail: what a hub gets of the log of a shared store, from this server's writer and from reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.group_commit import Committed
from runsvc.core.errors import CorruptRow, RevisionUnknown, ServerDraining, StoreUnavailable
from runsvc.store.memory import MemoryStore
from runsvc.store.memory.data import KEPT_PROGRESS, MemoryData
from runsvc.watch.hub import StatusHub
from runsvc.watch.tail import Tail
from tests.conformance.driver import ALL, RUNNING, Driver, thread_topic
from tests.support.waiting import until
from tests.unit.watch.waiting import is_woken, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runsvc.store.shared import Head
    from runsvc.store.values import LogEntry
    from runsvc.watch.cursor import Cursor


class World:
    """A hub with its tail, the writer of its server, and that of another one."""

    def __init__(self, data: MemoryData) -> None:
        self.data = data
        self.store = MemoryStore(shared=data)
        self.own, self.other = Driver(self.store), Driver(MemoryStore(shared=data))
        self.hub = StatusHub(self.store.reading)
        self.use_tail()

    def use_tail(self, chunk: int = 1_024) -> None:
        assert self.store.shared is not None
        self.tail = Tail(self.store.shared, self.hub, chunk=chunk)
        self.own.listeners = [self.tail.publish]
        #: The revisions of this server's changes, and of others, and the number of gaps.
        self.noted: list[tuple[str, int]] = []
        self.gaps = 0
        self.tail.on_own = lambda entries: self._note("own", entries)
        self.tail.on_others = lambda entries: self._note("other", entries)
        self.tail.on_gap = self._count_gap

    def _note(self, name: str, entries: Sequence[LogEntry]) -> None:
        self.noted += [(name, entry.revision) for entry in entries]

    def _count_gap(self) -> None:
        self.gaps += 1

    @property
    def revision(self) -> int:
        return self.hub.recent_log.revision


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(MemoryData())
    await world.store.open()
    await world.tail.start()
    yield world
    assert world.hub.watchers == 0


async def drained(world: World, *cursors: Cursor) -> None:
    for cursor in cursors:
        world.hub.close(cursor)


async def test_own_changes_are_taken_without_a_read(world: World) -> None:
    cursor = world.hub.open(ALL)
    world.own.create()
    assert await is_woken(cursor)
    assert await read(cursor) == [1]
    assert world.noted == [("own", 1)]
    world.hub.close(cursor)


async def test_changes_of_others_are_read_in_order(world: World) -> None:
    cursor, elsewhere = world.hub.open(ALL), world.hub.open(thread_topic("elsewhere"))
    world.other.create()
    # It does not follow on what the hub has.
    world.own.create()
    assert world.revision == 0
    await world.tail.read()
    assert [await is_woken(each) for each in (cursor, elsewhere)] == [True, False]
    assert await read(cursor) == [1, 2]
    assert world.noted == [("other", 1), ("own", 2)]
    world.own.create()
    assert world.revision == 3
    await drained(world, cursor, elsewhere)


async def test_own_changes_taken_during_a_read_are_not_passed_on_twice(world: World) -> None:
    shared = world.store.shared
    assert shared is not None
    head = shared.head
    world.other.create()

    async def then_create(revision: int, limit: int) -> Head:
        found = await head(revision, limit)
        world.hub.append(found.entries)
        world.own.create()
        return found

    shared.head = then_create  # type: ignore[method-assign]
    cursor = world.hub.open(ALL)
    await world.tail.read()
    assert world.revision == 2
    assert await read(cursor) == [1, 2]
    world.hub.close(cursor)


async def test_a_batch_with_changes_of_others_in_between_is_read(world: World) -> None:
    world.own.create()
    entries = [world.data.log[-1]]
    world.hub.skip_to(0)
    world.other.create()
    world.own.listeners = []
    world.own.create()
    entries.append(world.data.log[-1])
    assert [entry.revision for entry in entries] == [1, 3]
    world.tail.publish(Committed([], entries, store_id=world.data.store_id))
    assert world.revision == 0
    await world.tail.read()
    assert world.revision == 3


async def test_after_a_commit_of_unknown_outcome_the_log_is_read(world: World) -> None:
    world.own.listeners = []
    world.own.create()
    world.tail.publish(Committed([], unsettled=True))
    async with asyncio.timeout(30):
        await world.tail.pace.wait()
    await world.tail.read()
    assert world.revision == 1


async def test_a_call_is_never_passed_on_in_part(world: World) -> None:
    world.use_tail(chunk=2)
    for _ in range(3):
        world.other.create()
    _, gone = world.other.displace()
    assert len(gone) == 3
    cursor, seen = world.hub.open(ALL), []
    await world.tail.read()
    while events := await cursor.read():
        seen += [(event.revision, event.more) for event in events]
    expected = [(1, False), (2, False), (3, False), (4, True), (5, True), (6, True), (7, False)]
    assert seen == expected
    world.hub.close(cursor)


async def test_changes_that_are_gone_from_the_log_are_a_gap(world: World) -> None:
    cursor = world.hub.open(ALL)
    for _ in range(3):
        world.other.create()
    world.other.forget(2)
    await world.tail.read()
    assert (world.hub.recent_log.floor, world.revision, world.gaps) == (2, 3, 1)
    assert await is_woken(cursor)
    world.other.create()
    world.other.forget(4)
    await world.tail.read()
    assert (world.hub.recent_log.floor, world.revision, world.gaps) == (4, 4, 2)
    world.hub.close(cursor)


async def test_another_store_ends_all_watches_with_its_position(world: World) -> None:
    for _ in range(3):
        world.own.create()
    cursor = world.hub.open(ALL)
    cursor.seek(3)
    # A replica without the last two changes has taken over.
    world.data.log, world.data.revision = world.data.log[:1], 1
    world.data.store_id = "replica"
    with pytest.raises(StoreUnavailable):
        world.hub.check_store("replica")
    await world.tail.read()
    world.hub.check_store("replica")
    assert await is_woken(cursor)
    with pytest.raises(RevisionUnknown) as raised:
        await cursor.read()
    assert (raised.value.current_revision, raised.value.store_id) == (1, "replica")
    assert world.gaps == 1
    again = world.hub.open(ALL)
    again.seek(1)
    world.own.create()
    assert await read(again) == [2]
    await drained(world, cursor, again)


async def test_changes_committed_to_another_store_are_not_taken(world: World) -> None:
    world.own.listeners = []
    world.own.create()
    world.tail.publish(Committed([], world.data.log, store_id="another"))
    assert world.revision == 0


async def test_a_store_that_is_replaced_during_a_stop_changes_nothing(world: World) -> None:
    world.hub.drain()
    world.data.store_id = "replica"
    await world.tail.read()
    with pytest.raises(ServerDraining):
        world.hub.check_open()


async def test_progress_of_all_servers_is_passed_on_to_those_who_want_it(world: World) -> None:
    run = world.own.report(world.own.create(), RUNNING)
    world.other.progress(run, 1)
    await world.tail.read()
    wanting, plain = world.hub.open(ALL, progress=True), world.hub.open(ALL)
    for tokens, driver in enumerate((world.own, world.other), 2):
        driver.progress(run, tokens)
        await world.tail.read()
        assert wanting.progress_backlog is not None
        assert wanting.progress_backlog.take() == [run.run_id]
    assert await is_woken(wanting)
    assert plain.progress_backlog is None
    await world.tail.read()
    assert not wanting.progress_backlog
    await drained(world, wanting, plain)


async def test_progress_from_before_a_watch_is_not_sent(world: World) -> None:
    run = world.own.report(world.own.create(), RUNNING)
    world.other.progress(run, 1)
    await world.tail.read()
    cursor = world.hub.open(ALL, progress=True)
    await world.tail.read()
    assert cursor.progress_backlog is None
    world.hub.close(cursor)


async def test_after_too_much_progress_all_active_runs_are_scanned(world: World) -> None:
    run = world.own.report(world.own.create(), RUNNING)
    cursor = world.hub.open(ALL, progress=True)
    for number in range(KEPT_PROGRESS + 1):
        world.other.progress(run, number)
    await world.tail.read()
    backlog = cursor.progress_backlog
    assert backlog
    assert (backlog.take(), backlog.scan([run.run_id])) == ((), [run.run_id])
    world.hub.close(cursor)


async def test_many_numbers_of_progress_are_read_in_parts(world: World) -> None:
    world.use_tail(chunk=2)
    runs = [world.own.report(world.own.create(), RUNNING) for _ in range(5)]
    await world.tail.read()
    cursor = world.hub.open(ALL, progress=True)
    for run in runs:
        world.other.progress(run, 1)
    await world.tail.read()
    assert cursor.progress_backlog is not None
    assert set(cursor.progress_backlog.take()) == {run.run_id for run in runs}
    world.hub.close(cursor)


async def test_reads_are_repeated_also_after_errors(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    task = asyncio.create_task(world.tail.run())
    world.other.create()
    await until(lambda: world.revision == 1)
    world.data.is_open = False
    await until(lambda: "cannot be read" in caplog.text)
    world.data.is_open = True
    world.other.create()
    await until(lambda: world.revision == 2)
    assert "can be read again" in caplog.text
    task.cancel()
    await asyncio.wait([task])


async def test_a_corrupt_entry_does_not_stop_the_tail(world: World) -> None:
    shared = world.store.shared
    assert shared is not None
    head = shared.head
    world.other.create("t")

    async def corrupt(revision: int, limit: int) -> Head:
        if (found := await head(revision, limit)).entries:
            raise CorruptRow(found.entries[0].run_id)
        return found

    shared.head = corrupt  # type: ignore[method-assign]
    cursor = world.hub.open(ALL)
    await world.tail.read()
    assert (world.revision, world.gaps) == (1, 1)
    shared.head = head  # type: ignore[method-assign]
    assert await is_woken(cursor)
    assert await read(cursor) == [1]
    world.hub.close(cursor)


async def test_no_error_ends_the_tail(world: World, caplog: pytest.LogCaptureFixture) -> None:
    shared = world.store.shared
    assert shared is not None
    head, failures = shared.head, [ValueError("one"), ValueError("one"), ValueError("two")]

    async def failing(revision: int, limit: int) -> Head:
        if failures:
            raise failures.pop(0)
        return await head(revision, limit)

    shared.head = failing  # type: ignore[method-assign]
    world.other.create()
    task = asyncio.create_task(world.tail.run())
    await until(lambda: world.revision == 1)
    task.cancel()
    await asyncio.wait([task])
    assert caplog.text.count("cannot be read") == 2
