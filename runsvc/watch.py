"""The protocol of a watch: which events a watcher gets, in which order, and when its stream ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from runsvc import lifecycle
from runsvc.errors import RevisionCompacted, RevisionUnknown, RunNotFound
from runsvc.store.base import LogEntry, TopicKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from runsvc.hub import Cursor, StatusHub
    from runsvc.store.base import Clock, Codec, ReadingStore, Record, Topic

#: Least time between two rounds of PROGRESS on one stream, in seconds.
PROGRESS_INTERVAL: Final = 0.1


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
            for event in await watch.begin():
                yield event
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
        #: Nothing can follow.
        self.over = False

    async def begin(self) -> Sequence[Event]:
        """The snapshot, or nothing when the watch resumes."""
        clock = await self._store.clock()
        self._store_id = clock.store_id
        if self._request.after_revision is None:
            return await self._snapshot()
        check_revision(self._request.after_revision, self._request.store_id, clock)
        await self._resume(self._request.after_revision)
        return ()

    async def proceed(self) -> Sequence[Event]:
        """What comes next: changes, else progress, else a heartbeat that is due; after a wait perhaps nothing."""
        if entries := await self._cursor.read():
            events = self._changes(entries)
        elif not (events := await self._progress()) and self._now() >= self._next_heartbeat:
            events = [self._position(StatusEvent.HEARTBEAT)]
        if events:
            self._next_heartbeat = self._now() + self._request.heartbeat_interval
        else:
            await self._cursor.wait(self._pause())
        return events

    async def _snapshot(self) -> Sequence[Event]:
        topic = self._request.topic
        records, revision = await self._store.snapshot(topic)
        if topic.kind is TopicKind.RUN:
            if not records:
                raise RunNotFound(topic.key)
            self.over = self._ends_with(records[0])
        self._cursor.position = revision
        return [
            *(Event(StatusEvent.SNAPSHOT, subject=record) for record in records),
            self._position(StatusEvent.SNAPSHOT_END),
        ]

    async def _resume(self, after: int) -> None:
        self._cursor.position = after
        topic = self._request.topic
        if topic.kind is not TopicKind.RUN:
            return
        record = await self._store.get(topic.key)
        if record is not None and record.owner == topic.owner:
            self.over = record.revision <= after and self._ends_with(record)
        elif not (await self._store.log_since(topic, after, 1)).entries:
            # A removed run still has its DELETED in the log; this one has nothing.
            raise RunNotFound(topic.key)

    def _changes(self, entries: Sequence[LogEntry]) -> Sequence[Event]:
        events = []
        for entry, following in zip_longest(entries, entries[1:]):
            more = following is not None and following.revision <= entry.call_end
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
            record = await self._store.get(run_id)
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


def check_revision(after: int, store_id: str, clock: Clock) -> None:
    """Refuse to resume from a revision that the store does not know, or no longer."""
    if after > clock.revision or (store_id and store_id != clock.store_id):
        raise RevisionUnknown(clock.revision, clock.store_id)
    if after < clock.oldest_revision - 1:
        raise RevisionCompacted(clock.oldest_revision, clock.revision)
