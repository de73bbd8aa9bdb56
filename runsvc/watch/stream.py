"""The protocol of a watch: which events a watcher gets, in which order, and when its stream ends."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from runsvc.core import lifecycle
from runsvc.core.errors import RevisionCompacted, RevisionUnknown, RunNotFound, RunsvcError
from runsvc.store.base import LogEntry, TopicKind
from runsvc.watch.event import Event, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runsvc.core.model import Lease
    from runsvc.maintenance.attachments import Attachments
    from runsvc.maintenance.lease_clock import LeaseClock
    from runsvc.store.base import Clock, Codec, ReadingStore, Record, RunState, Topic
    from runsvc.watch.cursor import Cursor
    from runsvc.watch.hub import StatusHub

#: Least time between two rounds of PROGRESS on one stream, and between two looks at a lease that is over, in seconds.
PROGRESS_INTERVAL: Final = 0.1
#: The time of a heartbeat whose interval has not begun.
_UNSET: Final = 0.0
#: Runs of a snapshot that are read at once.
SNAPSHOT_STRETCH: Final = 16
#: Runs whose progress is read at once.
PROGRESS_STRETCH: Final = 32


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
    #: Count as a client of the run.
    attach: bool = False


class Watches:
    """Opens watches, and has what all of them need."""

    def __init__(
        self,
        store: ReadingStore,
        hub: StatusHub,
        codec: Codec,
        serving: LeaseClock,
        attachments: Attachments,
    ) -> None:
        self.store = store
        self.hub = hub
        self.codec = codec
        self.serving = serving
        self.attachments = attachments

    def open(
        self, request: WatchRequest, may_be_ended: Callable[[], bool] = lambda: False
    ) -> Watch:
        """A watch, for a with block: whichever way it is left, nothing of it stays. ServerDraining.

        may_be_ended tells whether the connection is one that the transport may have ended by itself.
        """
        self.hub.check_open()
        # Subscribed before the snapshot is taken, a watcher misses nothing in between.
        cursor = self.hub.open(request.topic, progress=request.include_progress)
        return Watch(self, request, cursor, may_be_ended)


class Watch:
    """One watch on its way: begin it, then proceed until it is over.

    RunNotFound, RevisionCompacted, RevisionUnknown, StoreUnavailable, CorruptRow, ServerDraining.
    """

    __slots__ = (
        "_attachment",
        "_cursor",
        "_lease",
        "_loop",
        "_may_be_ended",
        "_next_heartbeat",
        "_next_progress",
        "_request",
        "_round",
        "_snapshot",
        "_store_id",
        "_watches",
        "over",
    )

    def __init__(
        self,
        watches: Watches,
        request: WatchRequest,
        cursor: Cursor,
        may_be_ended: Callable[[], bool],
    ) -> None:
        self._watches = watches
        self._request = request
        self._cursor = cursor
        self._may_be_ended = may_be_ended
        self._store_id = ""
        self._loop = asyncio.get_running_loop()
        self._next_heartbeat = _UNSET
        self._next_progress = 0.0
        #: Runs of the present round of PROGRESS that are still to be told of.
        self._round: Sequence[str] = ()
        #: What of the snapshot is still to be sent; None when there is none, or no more.
        self._snapshot: deque[RunState] | None = None
        #: Of a cancelled run: how long an acknowledgement may still come, as far as is known. None: for ever.
        self._lease: Lease | None = None
        #: Names this watch among the clients of its run.
        self._attachment: str | None = None
        #: Nothing can follow.
        self.over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, _traceback: object) -> None:
        self._watches.hub.close(self._cursor)
        if self._attachment is not None:
            # Whatever else ends it, above all a cancelled call, is its client that left, if not the connection's age.
            ended_here = isinstance(error, RunsvcError) or self._may_be_ended()
            self._watches.attachments.leave(self._attachment, ended_here=ended_here)

    async def begin(self) -> None:
        """Take the snapshot, or the position to resume from, and attach, before anything is sent."""
        clock = await self._watches.store.clock()
        self._store_id = clock.store_id
        if self._request.after_revision is None:
            await self._take_snapshot()
        else:
            check_revision(self._request.after_revision, self._request.store_id, clock)
            await self._resume(self._request.after_revision, clock)
        if self._request.attach:
            topic = self._request.topic
            self._attachment = await self._watches.attachments.attach(topic.owner, topic.key)

    async def proceed(self) -> Sequence[Event]:
        """What comes next, once there is something: snapshot, then changes, else progress, else a heartbeat."""
        if self._snapshot is not None:
            return await self._snapshot_events(self._snapshot)
        cursor = self._cursor
        while True:
            if changes := await cursor.read():
                # Events that tell a position postpone the heartbeat, which is there to tell it.
                self._next_heartbeat = _UNSET
                return self._up_to_the_end(changes)
            now = self._loop.time()
            if (self._round or cursor.touched) and (events := await self._progress(now)):
                return events
            if self._lease is not None and await self._is_given_up():
                self.over = True
                return ()
            if self._next_heartbeat == _UNSET:
                self._next_heartbeat = now + self._request.heartbeat_interval
            elif now >= self._next_heartbeat:
                self._next_heartbeat = _UNSET
                return [self._position(StatusEvent.HEARTBEAT)]
            await cursor.woken(self._until())

    async def _take_snapshot(self) -> None:
        topic = self._request.topic
        states, revision = await self._watches.store.snapshot(topic)
        if topic.kind is TopicKind.RUN and not states:
            raise RunNotFound(topic.key)
        self._snapshot = deque(states)
        self._cursor.position = revision

    async def _snapshot_events(self, left: deque[RunState]) -> Sequence[Event]:
        # A stretch at a time: what waits for a slow reader is ids and revisions.
        states = [left.popleft() for _ in range(min(SNAPSHOT_STRETCH, len(left)))]
        subjects = await self._watches.store.recall(states) if states else ()
        topic = self._request.topic
        if topic.kind is TopicKind.RUN and not subjects:
            # It was removed since: the watcher is told what it would be, had it come a moment later.
            raise RunNotFound(topic.key)
        events = [Event(StatusEvent.SNAPSHOT, subject=_present(subject)) for subject in subjects]
        if not left:
            self._snapshot = None
            events.append(self._position(StatusEvent.SNAPSHOT_END))
            if topic.kind is TopicKind.RUN:
                self.over = any(map(self._ends_with, subjects))
        return events

    async def _resume(self, after: int, clock: Clock) -> None:
        self._cursor.position = after
        topic = self._request.topic
        if topic.kind is not TopicKind.RUN:
            return
        record = await self._watches.store.get_without_kwargs(topic.key)
        if record is not None and record.owner == topic.owner:
            self.over = record.revision <= after and self._ends_with(record)
            return
        # A removed run has its DELETED in the log; it may be the very change that was seen last.
        last_seen = max(after, clock.oldest_revision) - 1
        left = (await self._watches.store.log_since(topic, last_seen, 2)).entries
        if not left:
            raise RunNotFound(topic.key)
        self.over = left[-1].revision <= after

    def _up_to_the_end(self, changes: Sequence[Event]) -> Sequence[Event]:
        if self._request.topic.kind is TopicKind.RUN:
            for number, event in enumerate(changes, 1):
                if event.subject is not None and self._ends_with(event.subject):
                    self.over = True
                    return changes[:number]
        return changes

    def _ends_with(self, subject: Record | LogEntry) -> bool:
        """Whether nothing that the watcher asked for can follow this state of the run."""
        if isinstance(subject, LogEntry) and (subject.deleted or subject.body is None):
            # The entries of a removed run are bare, and its DELETED follows them.
            return subject.deleted
        if not subject.status.terminal:
            return False
        return not (self._request.until_acknowledged and self._is_awaited(subject))

    def _is_awaited(self, subject: Record | LogEntry) -> bool:
        """Whether an acknowledgement can still follow; from now on the run's lease says for how long."""
        run = self._watches.codec.decode(subject)
        self._lease = run.lease
        return lifecycle.awaits_acknowledgement(run)

    async def _is_given_up(self) -> bool:
        """Whether the executor that was to acknowledge fell silent for longer than its lease."""
        if not self._has_lapsed():
            return False
        record = await self._watches.store.get_without_kwargs(self._request.topic.key)
        if record is None or record.revision > self._cursor.position:
            # What has become of it is on its way.
            return False
        return not self._is_awaited(record) or self._has_lapsed()

    def _has_lapsed(self) -> bool:
        return self._lease is not None and not self._watches.serving.left(self._lease)

    async def _progress(self, now: float) -> Sequence[Event]:
        cursor = self._cursor
        if not self._round:
            if not cursor.touched or now < self._next_progress:
                return ()
            self._round = await cursor.touched.take(self._active)
        # A stretch at a time, with the changes of the meantime before the next.
        stretch, self._round = self._round[:PROGRESS_STRETCH], self._round[PROGRESS_STRETCH:]
        self._next_progress = now + PROGRESS_INTERVAL
        events = []
        for run_id in stretch:
            record = await self._watches.store.get_without_kwargs(run_id)
            if record is None:
                continue
            if record.revision > cursor.position:
                # Its newest change comes first.
                cursor.touch(run_id)
                continue
            events.append(Event(StatusEvent.PROGRESS, subject=record))
        return events

    async def _active(self) -> Iterable[str]:
        states, _ = await self._watches.store.snapshot(self._request.topic)
        return [state.run_id for state in states]

    def _until(self) -> float:
        """When there is something to do by the clock."""
        if self._round:
            return self._loop.time()
        until = self._next_heartbeat
        if self._cursor.touched:
            until = min(until, self._next_progress)
        if self._lease is not None:
            # What is on its way when the lease is over comes soon.
            left = max(self._watches.serving.left(self._lease), PROGRESS_INTERVAL)
            until = min(until, self._loop.time() + left)
        return until

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
