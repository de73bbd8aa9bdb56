"""The protocol of a watch: every beginning, every end, and what comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.commit.writer import Writer
from runsvc.core import lifecycle
from runsvc.core.errors import (
    CorruptRow,
    RevisionCompacted,
    RevisionUnknown,
    RunNotFound,
    ServerDraining,
    StoreUnavailable,
)
from runsvc.maintenance.attachments import COMEBACK, GRACE, Attachments
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.store.base import LogEntry, Record, Snapshot, Topic, TopicKind
from runsvc.store.memory import MemoryStore
from runsvc.watch import progress_backlog
from runsvc.watch import stream as watch_module
from runsvc.watch.event import Event, StatusEvent
from runsvc.watch.hub import StatusHub
from runsvc.watch.stream import PROGRESS_STRETCH, SNAPSHOT_STRETCH, Watches, WatchRequest
from tests.conformance.driver import (
    ALL,
    CODEC,
    INTERRUPTED,
    RUNNING,
    SUCCESS,
    Driver,
    run_topic,
    thread_topic,
)
from tests.support.machine import Machine

if TYPE_CHECKING:
    from runsvc.commit.group_commit import Committed
    from runsvc.core.model import Run

SNAPSHOT, SNAPSHOT_END, CHANGED, PROGRESS, HEARTBEAT, DELETED = StatusEvent

Stream = AsyncGenerator[Event, None]


async def events_of(watches: Watches, request: WatchRequest) -> Stream:
    """The events of a watch, until it ends by itself."""
    with watches.open(request) as watch:
        await watch.begin()
        while not watch.over:
            for event in await watch.proceed():
                yield event


class Watching:
    """A store, its hub, and watches on it."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.hub = StatusHub(store.reading)
        self.driver = Driver(store)
        self.driver.listeners.append(self.hub.publish)
        self.machine = Machine()
        timekeeper = self.machine.timekeeper()
        store.writing._timekeeper = timekeeper
        self.serving = LeaseClock(timekeeper, timedelta(seconds=0.25))
        self.writer = Writer(self.driver.group, self.hub.publish)
        self.attachments = Attachments(self.writer, self.serving, timekeeper)
        self.watches = Watches(store.reading, self.hub, CODEC, self.serving, self.attachments)

    def beat(self, seconds: float = 0) -> None:
        """Let so much time pass, served all of it."""
        for _ in range(round(seconds / 0.25) or 1):
            self.machine.go_on(min(seconds, 0.25))
            now = self.store.writing.begin()
            self.serving.beat(self.serving.moment(now.time))

    def open(self, topic: Topic, **wanted: Any) -> aclosing[Stream]:
        request = WatchRequest(topic=topic, **wanted)
        return aclosing(events_of(self.watches, request))

    async def all_of(self, topic: Topic, **wanted: Any) -> list[Event]:
        """A watch that ends by itself, to its end."""
        async with asyncio.timeout(30), self.open(topic, **wanted) as stream:
            return [event async for event in stream]

    async def error_of(self, topic: Topic, **wanted: Any) -> None:
        async with asyncio.timeout(30), self.open(topic, **wanted) as stream:
            await anext(stream)


@pytest.fixture
async def on() -> AsyncIterator[Watching]:
    store = MemoryStore()
    await store.open()
    on = Watching(store)
    yield on
    assert on.hub.watchers == 0
    assert on.attachments.held == 0
    await on.writer.close()
    await store.close()


async def take(stream: Stream, count: int) -> list[Event]:
    async with asyncio.timeout(30):
        return [await anext(stream) for _ in range(count)]


def a_cancelled_run(on: Watching) -> Run:
    """One whose worker holds it for ten seconds from now on."""
    run = on.driver.create(worker_id="w", lease_ttl=timedelta(seconds=10))
    start = partial(lifecycle.report, to=RUNNING, worker_id="w")
    run = on.driver.change(run, lambda run, at: lifecycle.renew(start(run, at=at), at))
    return on.driver.cancel(run)


def told(events: list[Event]) -> list[tuple[StatusEvent, int]]:
    return [(event.event, event.revision) for event in events]


def subject(event: Event) -> Record | LogEntry:
    assert event.subject is not None
    return event.subject


def ids(events: list[Event]) -> list[str]:
    return [subject(event).run_id for event in events]


# Beginnings.


async def test_a_snapshot_of_active_runs_comes_first_then_its_end(on: Watching) -> None:
    first, ended, second = (on.driver.create() for _ in range(3))
    on.driver.report(ended, SUCCESS)
    store_id = (await on.store.reading.clock()).store_id
    async with on.open(ALL) as stream:
        events = await take(stream, 3)
        assert told(events) == [(SNAPSHOT, 0), (SNAPSHOT, 0), (SNAPSHOT_END, 4)]
        assert ids(events[:2]) == [first.run_id, second.run_id]
        assert [event.store_id for event in events] == ["", "", store_id]
        on.driver.create()
        assert told(await take(stream, 1)) == [(CHANGED, 5)]


async def test_an_empty_snapshot_still_has_its_end(on: Watching) -> None:
    async with on.open(thread_topic("t")) as stream:
        assert told(await take(stream, 1)) == [(SNAPSHOT_END, 0)]


async def test_nothing_is_lost_or_repeated_between_snapshot_and_changes(on: Watching) -> None:
    on.driver.create()
    snapshot = on.store.reading.snapshot

    async def slow_snapshot(topic: Topic) -> Any:
        on.driver.create()
        found = await snapshot(topic)
        on.driver.create()
        return found

    on.store.reading.snapshot = slow_snapshot  # type: ignore[method-assign]
    async with on.open(ALL) as stream:
        events = await take(stream, 4)
    assert told(events) == [(SNAPSHOT, 0), (SNAPSHOT, 0), (SNAPSHOT_END, 2), (CHANGED, 3)]


async def test_after_a_revision_there_is_no_snapshot(on: Watching) -> None:
    for _ in range(3):
        on.driver.create()
    async with on.open(ALL, after_revision=1) as stream:
        assert told(await take(stream, 2)) == [(CHANGED, 2), (CHANGED, 3)]
    async with on.open(ALL, after_revision=0) as stream:
        assert told(await take(stream, 3)) == [(CHANGED, 1), (CHANGED, 2), (CHANGED, 3)]


async def test_a_revision_just_given_to_a_writer_is_known_before_the_hub_knows(
    on: Watching,
) -> None:
    on.driver.listeners.clear()
    revision = on.driver.create().revision
    async with on.open(ALL, after_revision=revision, heartbeat_interval=0.001) as stream:
        assert told(await take(stream, 1)) == [(HEARTBEAT, revision)]


async def test_a_resumed_watch_goes_on_from_the_log_of_before_the_restart(on: Watching) -> None:
    run = on.driver.create()
    on.driver.report(run, RUNNING)
    again = StatusHub(on.store.reading)
    await again.start()
    on.driver.listeners = [again.publish]
    request = WatchRequest(topic=ALL, after_revision=1)
    watches = Watches(on.store.reading, again, CODEC, on.serving, on.attachments)
    async with aclosing(events_of(watches, request)) as stream:
        assert told(await take(stream, 1)) == [(CHANGED, 2)]
        on.driver.report(run, SUCCESS)
        assert told(await take(stream, 1)) == [(CHANGED, 3)]


async def test_a_revision_that_was_compacted_is_refused(on: Watching) -> None:
    for _ in range(4):
        on.driver.create()
    on.driver.forget(2)
    with pytest.raises(RevisionCompacted) as caught:
        await on.error_of(ALL, after_revision=1)
    assert (caught.value.oldest_revision, caught.value.current_revision) == (3, 4)
    async with on.open(ALL, after_revision=2) as stream:
        assert told(await take(stream, 2)) == [(CHANGED, 3), (CHANGED, 4)]


async def test_a_revision_that_never_was_is_refused(on: Watching) -> None:
    on.driver.create()
    with pytest.raises(RevisionUnknown) as caught:
        await on.error_of(ALL, after_revision=2)
    assert caught.value.current_revision == 1
    assert caught.value.store_id == (await on.store.reading.clock()).store_id


async def test_a_revision_of_another_store_is_refused(on: Watching) -> None:
    on.driver.create()
    with pytest.raises(RevisionUnknown):
        await on.error_of(ALL, after_revision=1, store_id="another")
    store_id = (await on.store.reading.clock()).store_id
    async with on.open(ALL, after_revision=0, store_id=store_id) as stream:
        assert told(await take(stream, 1)) == [(CHANGED, 1)]


@pytest.mark.parametrize("after", [None, 0, 1])
async def test_an_unknown_run_is_not_found(on: Watching, after: int | None) -> None:
    run = on.driver.create()
    for topic in (
        Topic(TopicKind.RUN, "o", "nobody"),
        Topic(TopicKind.RUN, "another", run.run_id),
    ):
        with pytest.raises(RunNotFound) as caught:
            await on.error_of(topic, after_revision=after)
        assert caught.value.run_id == topic.key


async def test_a_closed_store_is_unavailable(on: Watching) -> None:
    await on.store.close()
    with pytest.raises(StoreUnavailable):
        await on.error_of(ALL)


# Ends.


async def test_a_watch_of_a_run_ends_after_its_terminal_change(on: Watching) -> None:
    run = on.driver.create()
    async with on.open(run_topic(run)) as stream:
        assert told(await take(stream, 2)) == [(SNAPSHOT, 0), (SNAPSHOT_END, 1)]
        on.driver.report(run, RUNNING)
        on.driver.create()
        on.driver.report(run, SUCCESS)
        events = await take(stream, 2)
        assert told(events) == [(CHANGED, 2), (CHANGED, 4)]
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_watch_of_a_run_that_is_over_ends_with_its_snapshot(on: Watching) -> None:
    run = on.driver.report(on.driver.create(), SUCCESS)
    assert told(await on.all_of(run_topic(run))) == [(SNAPSHOT, 0), (SNAPSHOT_END, 2)]


async def test_a_resumed_watch_of_a_run_that_is_over_sends_what_is_left(on: Watching) -> None:
    run = on.driver.report(on.driver.create(), SUCCESS)
    topic = run_topic(run)
    on.driver.create()
    assert told(await on.all_of(topic, after_revision=0)) == [(CHANGED, 1), (CHANGED, 2)]
    assert told(await on.all_of(topic, after_revision=1)) == [(CHANGED, 2)]
    assert await on.all_of(topic, after_revision=2) == []
    assert await on.all_of(topic, after_revision=3) == []


async def test_a_watch_of_many_runs_does_not_end_with_one_of_them(on: Watching) -> None:
    run = on.driver.create()
    async with on.open(ALL) as stream:
        await take(stream, 2)
        on.driver.report(run, SUCCESS)
        on.driver.delete(run)
        on.driver.create()
        assert told(await take(stream, 3)) == [(CHANGED, 2), (DELETED, 3), (CHANGED, 4)]


async def test_a_watch_ends_when_its_run_is_deleted(on: Watching) -> None:
    run = on.driver.create()
    async with on.open(run_topic(run)) as stream:
        await take(stream, 2)
        on.driver.delete(run)
        (event,) = await take(stream, 1)
        assert (event.event, event.revision) == (DELETED, 2)
        assert subject(event).run_id == run.run_id
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_resumed_watch_of_a_deleted_run_sends_what_the_log_holds(on: Watching) -> None:
    run = on.driver.report(on.driver.create(), SUCCESS)
    topic = run_topic(run)
    on.driver.delete(run)
    events = await on.all_of(topic, after_revision=0)
    assert told(events) == [(CHANGED, 1), (CHANGED, 2), (DELETED, 3)]
    assert {getattr(subject(event), "body", b"") for event in events} == {None}
    assert told(await on.all_of(topic, after_revision=2)) == [(DELETED, 3)]
    # Its DELETED was the last that was seen.
    assert await on.all_of(topic, after_revision=3) == []
    on.driver.create()
    with pytest.raises(RunNotFound):
        await on.error_of(topic, after_revision=4)
    with pytest.raises(RunNotFound):
        await on.error_of(topic)


async def test_until_acknowledged_stays_for_the_acknowledgement(on: Watching) -> None:
    run = on.driver.report(on.driver.create(), RUNNING)
    async with on.open(run_topic(run), until_acknowledged=True) as stream:
        await take(stream, 2)
        on.driver.cancel(run)
        assert told(await take(stream, 1)) == [(CHANGED, 3)]
        on.driver.acknowledge(run)
        (event,) = await take(stream, 1)
        entry = subject(event)
        assert isinstance(entry, LogEntry)
        assert (entry.status, entry.previous_status) == (INTERRUPTED, INTERRUPTED)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_until_acknowledged_ends_when_no_acknowledgement_can_come(on: Watching) -> None:
    never_ran = on.driver.cancel(on.driver.create())
    finished = on.driver.report(on.driver.report(on.driver.create(), RUNNING), SUCCESS)
    acknowledged = on.driver.cancel(on.driver.report(on.driver.create(), RUNNING))
    on.driver.acknowledge(acknowledged)
    for run in (never_ran, finished, acknowledged):
        events = await on.all_of(run_topic(run), until_acknowledged=True)
        assert [event.event for event in events] == [SNAPSHOT, SNAPSHOT_END]
        events = await on.all_of(run_topic(run), until_acknowledged=True, after_revision=0)
        assert {event.event for event in events} == {CHANGED}
        last = events[-1].revision
        assert await on.all_of(run_topic(run), until_acknowledged=True, after_revision=last) == []


@pytest.mark.parametrize("after", [None, 3])
async def test_until_acknowledged_waits_on_a_run_that_was_cancelled_before(
    on: Watching, after: int | None
) -> None:
    run = on.driver.cancel(on.driver.report(on.driver.create(), RUNNING))
    async with on.open(run_topic(run), until_acknowledged=True, after_revision=after) as stream:
        if after is None:
            await take(stream, 2)
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        on.driver.acknowledge(run)
        async with asyncio.timeout(30):
            assert (await waiting).revision == 4
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@pytest.mark.parametrize("after", [None, 3])
async def test_until_acknowledged_ends_when_the_lease_is_over(
    on: Watching, after: int | None
) -> None:
    on.beat()
    run = a_cancelled_run(on)
    async with on.open(
        run_topic(run), until_acknowledged=True, after_revision=after, heartbeat_interval=0.01
    ) as stream:
        while (await take(stream, 1))[0].event is not HEARTBEAT:
            pass
        on.beat(6)
        on.driver.change(run, lifecycle.renew)
        on.beat(6)
        # The executor was heard of in the meantime.
        await take(stream, 2)
        on.beat(4.5)
        async with asyncio.timeout(30):
            assert {event.event async for event in stream} <= {HEARTBEAT}


async def test_until_acknowledged_outlasts_a_break(on: Watching) -> None:
    on.beat()
    run = a_cancelled_run(on)
    async with on.open(
        run_topic(run), until_acknowledged=True, after_revision=3, heartbeat_interval=0.01
    ) as stream:
        on.machine.go_on(60)
        on.beat()
        await take(stream, 2)
        on.driver.acknowledge(run)
        async with asyncio.timeout(30):
            events = [event async for event in stream]
        assert events[-1].event is CHANGED


async def test_until_acknowledged_ends_at_once_when_the_lease_was_over(on: Watching) -> None:
    on.beat()
    run = a_cancelled_run(on)
    on.beat(11)
    events = await on.all_of(run_topic(run), until_acknowledged=True)
    assert [event.event for event in events] == [SNAPSHOT, SNAPSHOT_END]
    assert await on.all_of(run_topic(run), until_acknowledged=True, after_revision=3) == []


async def test_an_acknowledgement_on_its_way_is_waited_for(
    on: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    on.beat()
    run = a_cancelled_run(on)
    async with on.open(run_topic(run), until_acknowledged=True, after_revision=3) as stream:
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        # Committed, but not published yet.
        on.driver.listeners.clear()
        committed: list[Committed] = []
        on.driver.listeners.append(committed.append)
        on.driver.acknowledge(run)
        on.beat(11)
        for audience in on.hub._audiences.values():
            for cursor in audience.cursors:
                cursor.wake()
        for _ in range(9):
            await asyncio.sleep(0)
        assert not waiting.done()
        on.hub.publish(committed[0])
        async with asyncio.timeout(30):
            assert (await waiting).event is CHANGED


async def test_without_until_acknowledged_the_cancel_is_the_end(on: Watching) -> None:
    run = on.driver.cancel(on.driver.report(on.driver.create(), RUNNING))
    assert told(await on.all_of(run_topic(run), after_revision=2)) == [(CHANGED, 3)]


async def test_a_corrupt_run_ends_the_watch_that_must_read_it(on: Watching) -> None:
    run = on.driver.cancel(on.driver.report(on.driver.create(), RUNNING))
    row = on.store.data.rows[run.run_id]
    on.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    with pytest.raises(CorruptRow):
        await on.error_of(run_topic(run), until_acknowledged=True)


async def test_draining_ends_open_watches_and_refuses_new_ones(on: Watching) -> None:
    async with on.open(ALL) as stream:
        await take(stream, 1)
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        on.hub.drain()
        async with asyncio.timeout(30):
            with pytest.raises(ServerDraining):
                await waiting
    with pytest.raises(ServerDraining):
        await on.error_of(ALL)


async def test_leaving_early_leaves_nothing_behind(on: Watching) -> None:
    async with on.open(ALL) as stream:
        await take(stream, 1)
        assert on.hub.watchers == 1
    assert on.hub.watchers == 0


async def test_a_watch_counts_as_a_client_when_it_was_asked_to(on: Watching) -> None:
    run = on.driver.create()
    async with on.open(run_topic(run)) as plain, on.open(run_topic(run), attach=True) as attached:
        await take(plain, 1)
        assert on.attachments.held == 0
        await take(attached, 1)
        assert on.attachments.held == 1
        on.hub.drain()
        with pytest.raises(ServerDraining):
            await take(attached, 2)
    # This server ended the one; nobody left.
    assert list(on.attachments._left.values()) == [COMEBACK]


@pytest.mark.parametrize("of_age", [False, True])
async def test_whose_connection_came_of_age_has_the_time_of_one_that_was_ended(
    on: Watching, *, of_age: bool
) -> None:
    run = on.driver.create()
    request = WatchRequest(topic=run_topic(run), attach=True)
    with (
        suppress(asyncio.CancelledError),
        on.watches.open(request, lambda: of_age) as watch,
    ):
        await watch.begin()
        raise asyncio.CancelledError
    assert list(on.attachments._left.values()) == [COMEBACK if of_age else GRACE]


async def test_a_refused_watch_is_nobodys_client(on: Watching) -> None:
    run = on.driver.create()
    with pytest.raises(RevisionUnknown):
        await on.error_of(run_topic(run), attach=True, after_revision=9)
    assert not on.attachments._left


# In between.


async def test_the_changes_of_one_call_are_marked_and_come_together(on: Watching) -> None:
    on.driver.create()
    on.driver.create()
    async with on.open(ALL, after_revision=0) as stream:
        await take(stream, 2)
        on.driver.displace()
        on.driver.create()
        events = await take(stream, 4)
    assert [(event.revision, event.more) for event in events] == [
        (3, True),
        (4, True),
        (5, False),
        (6, False),
    ]


async def test_more_counts_only_changes_that_the_watcher_gets(on: Watching) -> None:
    on.driver.create()
    new, _ = on.driver.displace()
    async with on.open(run_topic(new), after_revision=0) as stream:
        (event,) = await take(stream, 1)
    assert (event.revision, event.more) == (3, False)


async def test_a_heartbeat_tells_the_position(on: Watching) -> None:
    store_id = (await on.store.reading.clock()).store_id
    async with on.open(thread_topic("quiet"), heartbeat_interval=0.001) as stream:
        await take(stream, 1)
        on.driver.create("busy")
        events = await take(stream, 2)
    assert told(events) == [(HEARTBEAT, 1), (HEARTBEAT, 1)]
    assert {event.store_id for event in events} == {store_id}


async def test_silence_is_no_longer_than_the_heartbeat_interval(
    on: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    until = watch_module.Watch._until
    time = asyncio.get_running_loop().time

    def soon(watch: Any) -> float:
        pauses.append(until(watch) - time())
        return time() + 0.001

    monkeypatch.setattr(watch_module.Watch, "_until", soon)
    async with on.open(ALL, heartbeat_interval=0.05) as stream:
        await take(stream, 2)
    assert pauses[-1] <= 0.05


@pytest.fixture
def running(on: Watching) -> Run:
    return on.driver.report(on.driver.create(), RUNNING)


async def test_progress_comes_only_to_those_who_asked(on: Watching, running: Run) -> None:
    async with (
        on.open(ALL, include_progress=True) as asked,
        on.open(ALL, heartbeat_interval=0.001) as plain,
    ):
        await take(asked, 2)
        await take(plain, 2)
        on.driver.progress(running, 7)
        (event,) = await take(asked, 1)
        assert (event.event, event.revision) == (PROGRESS, 0)
        record = subject(event)
        assert isinstance(record, Record)
        progress = CODEC.decode(record).progress
        assert progress is not None
        assert progress.total_tokens == 7
        assert told(await take(plain, 1)) == [(HEARTBEAT, 2)]


async def test_progress_is_coalesced_to_the_latest(
    on: Watching, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "PROGRESS_INTERVAL", 0.01)
    async with on.open(ALL, include_progress=True) as stream:
        await take(stream, 2)
        tokens = []
        for burst in range(2):
            for count in range(5):
                on.driver.progress(running, 10 * burst + count)
            (event,) = await take(stream, 1)
            record = subject(event)
            assert isinstance(record, Record)
            progress = CODEC.decode(record).progress
            assert progress is not None
            tokens.append(progress.total_tokens)
    assert tokens == [4, 14]


async def test_progress_keeps_its_interval(
    on: Watching, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "PROGRESS_INTERVAL", 1_000)
    async with on.open(ALL, include_progress=True, heartbeat_interval=0.001) as stream:
        await take(stream, 2)
        on.driver.progress(running, 1)
        assert told(await take(stream, 1)) == [(PROGRESS, 0)]
        on.driver.progress(running, 2)
        assert told(await take(stream, 2)) == [(HEARTBEAT, 2), (HEARTBEAT, 2)]


async def test_progress_does_not_keep_the_heartbeat_away(
    on: Watching, running: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "PROGRESS_INTERVAL", 0.005)
    async with on.open(ALL, include_progress=True, heartbeat_interval=0.02) as stream:
        await take(stream, 2)
        events: list[Event] = []
        while HEARTBEAT not in {event.event for event in events}:
            # Always something to tell before the heartbeat is due.
            on.driver.progress(running, len(events))
            events += await take(stream, 1)


async def test_a_new_model_name_is_no_progress(on: Watching, running: Run) -> None:
    async with on.open(ALL, include_progress=True, heartbeat_interval=0.02) as stream:
        await take(stream, 2)
        on.driver.change(running, lambda run, at: lifecycle.rename_model(run, "m", at))
        assert told(await take(stream, 1)) == [(HEARTBEAT, 2)]


async def test_a_slow_reader_of_a_large_snapshot_is_told_the_runs_as_of_its_revision(
    on: Watching,
) -> None:
    runs = [on.driver.create() for _ in range(3 * SNAPSHOT_STRETCH)]
    async with on.open(ALL) as stream:
        events = await take(stream, 1)
        # While it reads, they go on.
        on.driver.report(runs[-1], RUNNING)
        on.driver.report(runs[-2], SUCCESS)
        on.driver.delete(runs[-2])
        events += await take(stream, len(runs) - 2)
        last = subject(events[-1])
        assert isinstance(last, LogEntry)
        assert (last.run_id, last.status, last.previous_status) == (runs[-1].run_id, 1, None)
        created = len(runs)
        assert told(await take(stream, 4)) == [
            (SNAPSHOT_END, created),
            (CHANGED, created + 1),
            (CHANGED, created + 2),
            (DELETED, created + 3),
        ]


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_run_that_is_removed_before_its_snapshot_is_read_is_not_found(
    on: Watching, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    run = on.driver.report(on.driver.create(), SUCCESS)
    snapshot = on.store.reading.snapshot

    async def removed(topic: Topic) -> Snapshot:
        taken = await snapshot(topic)
        on.driver.delete(run)
        on.driver.forget(3 if compacted else 0)
        return taken

    monkeypatch.setattr(on.store.reading, "snapshot", removed)
    with pytest.raises(RunNotFound) as refused:
        await on.error_of(run_topic(run))
    assert refused.value.run_id == run.run_id


async def test_a_run_that_is_removed_while_a_snapshot_is_read_is_left_out_of_it(
    on: Watching,
) -> None:
    runs = [on.driver.create() for _ in range(SNAPSHOT_STRETCH + 2)]
    async with on.open(ALL) as stream:
        events = await take(stream, SNAPSHOT_STRETCH)
        on.driver.report(runs[-1], SUCCESS)
        on.driver.delete(runs[-1])
        on.driver.forget(len(runs))
        events += await take(stream, 4)
    last = len(runs)
    assert [subject(event).run_id for event in events[:-3]] == [run.run_id for run in runs[:-1]]
    assert told(events[-3:]) == [(SNAPSHOT_END, last), (CHANGED, last + 1), (DELETED, last + 2)]


async def test_a_reader_too_slow_for_its_snapshot_hears_so(on: Watching) -> None:
    runs = [on.driver.create() for _ in range(2 * SNAPSHOT_STRETCH)]
    async with on.open(ALL) as stream:
        await take(stream, SNAPSHOT_STRETCH)
        on.driver.report(runs[-1], RUNNING)
        on.driver.forget(len(runs))
        with pytest.raises(RevisionCompacted):
            await take(stream, 1)


async def test_progress_comes_only_after_the_runs_newest_change(
    on: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "PROGRESS_INTERVAL", 0.001)
    run = on.driver.report(on.driver.create(), RUNNING)
    async with on.open(ALL, include_progress=True, heartbeat_interval=0.02) as stream:
        await take(stream, 2)
        # The store is ahead of what was published.
        on.driver.listeners.clear()
        committed = on.driver.group.run([])
        ended = on.driver.report(run, SUCCESS)
        on.hub.publish(committed._replace(progressed=[ended]))
        assert told(await take(stream, 1)) == [(HEARTBEAT, 2)]
        (entry,) = (await on.store.reading.log_since(ALL, 2, 9)).entries
        on.hub.publish(committed._replace(entries=[entry]))
        events: list[Event] = []
        while not events or events[-1].event is not PROGRESS:
            events += await take(stream, 1)
    assert [found for found in told(events) if found[0] is not HEARTBEAT] == [
        (CHANGED, 3),
        (PROGRESS, 0),
    ]


async def test_progress_of_a_run_that_is_gone_is_left_out(on: Watching, running: Run) -> None:
    async with on.open(ALL, include_progress=True, heartbeat_interval=0.02) as stream:
        await take(stream, 2)
        on.driver.progress(running, 1)
        on.driver.delete(running)
        assert told(await take(stream, 2)) == [(DELETED, 3), (HEARTBEAT, 3)]


async def test_much_progress_comes_a_stretch_at_a_time_after_the_changes_of_the_meantime(
    on: Watching,
) -> None:
    runs = [on.driver.report(on.driver.create(), RUNNING) for _ in range(3 * PROGRESS_STRETCH)]
    request = WatchRequest(topic=ALL, after_revision=2 * len(runs), include_progress=True)
    with on.watches.open(request) as watch:
        await watch.begin()
        for run in runs:
            on.driver.progress(run, 1)
        first = await watch.proceed()
        on.driver.create()
        rounds = [first, *[await watch.proceed() for _ in range(3)]]
    assert [len(events) for events in rounds] == [PROGRESS_STRETCH, 1, *[PROGRESS_STRETCH] * 2]
    assert [events[0].event for events in rounds] == [PROGRESS, CHANGED, PROGRESS, PROGRESS]
    found = {each for events in rounds for each in ids(list(events))}
    assert found >= {run.run_id for run in runs}


async def test_a_watcher_that_does_not_read_holds_little_and_is_told_of_every_active_run(
    on: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_backlog, "CAPACITY", 10)
    monkeypatch.setattr(watch_module, "PROGRESS_INTERVAL", 0.001)
    runs = [on.driver.report(on.driver.create(), RUNNING) for _ in range(35)]
    revision = 2 * len(runs)
    async with on.open(
        ALL, after_revision=revision, include_progress=True, heartbeat_interval=0.05
    ) as stream:
        assert told(await take(stream, 1)) == [(HEARTBEAT, revision)]
        (cursor,) = next(iter(on.hub._audiences.values())).cursors
        for tokens in (1, 2):
            for run in runs:
                on.driver.progress(run, tokens)
        assert cursor.touched is not None
        assert len(cursor.touched) == 10
        latest: dict[str, int] = {}
        while len(latest) < len(runs) or min(latest.values()) < 2:
            (event,) = await take(stream, 1)
            if event.event is PROGRESS:
                record = subject(event)
                assert isinstance(record, Record)
                progress = CODEC.decode(record).progress
                latest[record.run_id] = 0 if progress is None else progress.total_tokens or 0
        # And then there is nothing left to tell.
        while (await take(stream, 1))[0].event is not HEARTBEAT:
            pass
        assert not cursor.touched
