"""The protocol of a watch: which events a watcher gets, in which order, and when its stream ends."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from runsvc import lifecycle
from runsvc.errors import RevisionCompacted, RevisionUnknown, RunNotFound
from runsvc.store.base import LogEntry, TopicKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from runsvc.hub import Change, Cursor, StatusHub
    from runsvc.store.base import Clock, Codec, ReadingStore, Record, RunState, Topic

#: Least time between two rounds of PROGRESS on one stream, in seconds.
PROGRESS_INTERVAL: Final = 0.1
#: Runs of a snapshot that are read at once.
SNAPSHOT_STRETCH: Final = 16


class StatusEvent(IntEnum):
    """What an event tells; the wire's numbers."""

    SNAPSHOT = 1
    SNAPSHOT_END = 2
    CHANGED = 3
    PROGRESS = 4
    HEARTBEAT = 5
    DELETED = 6


@dataclass(frozen=True, slots=True)
class Event:
    """One message of a watch."""

    event: StatusEvent
    #: The stream's position; 0 on SNAPSHOT and PROGRESS.
    revision: int = 0
    #: SNAPSHOT and PROGRESS carry a record, CHANGED and DELETED a log entry, the others nothing.
    subject: Record | LogEntry | None = None
    #: On CHANGED: further changes of the same call follow.
    more: bool = False
    #: On SNAPSHOT_END and HEARTBEAT.
    store_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    """What to watch, from where on, and how."""

    topic: Topic
    #: None: start with a snapshot.
    after_revision: int | None = None
    #: The store that after_revision belongs to; empty: not checked.
    store_id: str = ""
    include_progress: bool = False
    #: Longest silence, in seconds.
    heartbeat_interval: float = 15.0
    until_acknowledged: bool = False


class Watches:
    """Opens watches."""

    def __init__(self, store: ReadingStore, hub: StatusHub, codec: Codec) -> None:
        self._store = store
        self._hub = hub
        self._codec = codec

    async def events(self, request: WatchRequest) -> AsyncGenerator[Event, None]:
        """The events of a watch, until it ends by itself. Close the iterator when leaving early.

        RunNotFound, RevisionCompacted, RevisionUnknown, StoreUnavailable, CorruptRow, ServerDraining.
        """
        self._hub.check_open()
        # Subscribed before the snapshot is taken, a watcher misses nothing in between.
        cursor = self._hub.open(request.topic, progress=request.include_progress)
        try:
            watch = _Watch(self._store, self._codec, request, cursor)
            await watch.begin()
            while not watch.over:
                for event in await watch.proceed():
                    yield event
        finally:
            self._hub.close(cursor)


class _Watch:
    """One watch on its way."""

    def __init__(
        self, store: ReadingStore, codec: Codec, request: WatchRequest, cursor: Cursor
    ) -> None:
        self._store = store
        self._codec = codec
        self._request = request
        self._cursor = cursor
        self._store_id = ""
        self._now = asyncio.get_running_loop().time
        self._next_heartbeat = self._now() + request.heartbeat_interval
        self._next_progress = 0.0
        #: What of the snapshot is still to be sent; None when there is none, or no more.
        self._snapshot: deque[RunState] | None = None
        #: Nothing can follow.
        self.over = False

    async def begin(self) -> None:
        """Take the snapshot, or the position to resume from."""
        clock = await self._store.clock()
        self._store_id = clock.store_id
        if self._request.after_revision is None:
            await self._take_snapshot()
        else:
            check_revision(self._request.after_revision, self._request.store_id, clock)
            await self._resume(self._request.after_revision, clock)

    async def proceed(self) -> Sequence[Event]:
        """What comes next: snapshot, then changes, else progress, else a heartbeat; after a wait perhaps nothing."""
        if self._snapshot is not None:
            return self._told(await self._snapshot_events(self._snapshot))
        if changes := await self._cursor.read():
            return self._told(self._changes(changes))
        if events := await self._progress():
            return events
        if self._now() >= self._next_heartbeat:
            return self._told([self._position(StatusEvent.HEARTBEAT)])
        await self._cursor.wait(self._pause())
        return ()

    def _told(self, events: Sequence[Event]) -> Sequence[Event]:
        """Events that tell a position postpone the heartbeat, which is there to tell it."""
        self._next_heartbeat = self._now() + self._request.heartbeat_interval
        return events

    async def _take_snapshot(self) -> None:
        topic = self._request.topic
        states, revision = await self._store.snapshot(topic)
        if topic.kind is TopicKind.RUN and not states:
            raise RunNotFound(topic.key)
        self._snapshot = deque(states)
        self._cursor.position = revision

    async def _snapshot_events(self, left: deque[RunState]) -> Sequence[Event]:
        # A stretch at a time: what waits for a slow reader is ids and revisions.
        states = [left.popleft() for _ in range(min(SNAPSHOT_STRETCH, len(left)))]
        subjects = await self._store.recall(states) if states else ()
        events = [Event(StatusEvent.SNAPSHOT, subject=_present(subject)) for subject in subjects]
        if not left:
            self._snapshot = None
            events.append(self._position(StatusEvent.SNAPSHOT_END))
            if self._request.topic.kind is TopicKind.RUN:
                self.over = any(map(self._ends_with, subjects))
        return events

    async def _resume(self, after: int, clock: Clock) -> None:
        self._cursor.position = after
        topic = self._request.topic
        if topic.kind is not TopicKind.RUN:
            return
        record = await self._store.look_up(topic.key)
        if record is not None and record.owner == topic.owner:
            self.over = record.revision <= after and self._ends_with(record)
            return
        # A removed run has its DELETED in the log; it may be the very change that was seen last.
        last_seen = max(after, clock.oldest_revision) - 1
        left = (await self._store.log_since(topic, last_seen, 2)).entries
        if not left:
            raise RunNotFound(topic.key)
        self.over = left[-1].revision <= after

    def _changes(self, changes: Sequence[Change]) -> Sequence[Event]:
        events = []
        for entry, more in changes:
            event = StatusEvent.DELETED if entry.deleted else StatusEvent.CHANGED
            events.append(Event(event, entry.revision, entry, more))
            if self._request.topic.kind is TopicKind.RUN and self._ends_with(entry):
                self.over = True
                break
        return events

    def _ends_with(self, subject: Record | LogEntry) -> bool:
        """Whether nothing that the watcher asked for can follow this state of the run."""
        if isinstance(subject, LogEntry) and (subject.deleted or subject.body is None):
            # The entries of a removed run are bare, and its DELETED follows them.
            return subject.deleted
        if not subject.status.terminal:
            return False
        return not (
            self._request.until_acknowledged
            and lifecycle.awaits_acknowledgement(self._codec.decode(subject))
        )

    async def _progress(self) -> Sequence[Event]:
        cursor = self._cursor
        if not cursor.touched or self._now() < self._next_progress:
            return ()
        touched, cursor.touched = cursor.touched, set()
        events = []
        for run_id in touched:
            record = await self._store.look_up(run_id)
            if record is None:
                continue
            if record.revision > cursor.position:
                # Its newest change comes first.
                cursor.touched.add(run_id)
                continue
            events.append(Event(StatusEvent.PROGRESS, subject=record))
        self._next_progress = self._now() + PROGRESS_INTERVAL
        return events

    def _pause(self) -> float:
        until = self._next_heartbeat
        if self._cursor.touched:
            until = min(until, self._next_progress)
        return max(0.0, until - self._now())

    def _position(self, event: StatusEvent) -> Event:
        return Event(event, self._cursor.position, store_id=self._store_id)


def _present(subject: Record | LogEntry) -> Record | LogEntry:
    """A state, not the change that led to it."""
    return subject._replace(previous_status=None) if isinstance(subject, LogEntry) else subject


def check_revision(after: int, store_id: str, clock: Clock) -> None:
    """Refuse to resume from a revision that the store does not know, or no longer."""
    if after > clock.revision or (store_id and store_id != clock.store_id):
        raise RevisionUnknown(clock.revision, clock.store_id)
    if after < clock.oldest_revision - 1:
        raise RevisionCompacted(clock.oldest_revision, clock.revision)
