"""The protocol of a watch: its events, their order, and the end of its stream."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final, Self

from runsvc.core.errors import (
    RevisionCompacted,
    RevisionUnknown,
    RunNotFound,
    RunsvcError,
    Unauthenticated,
)
from runsvc.store.values import LogEntry, TopicKind
from runsvc.watch.event import Event, StatusEvent
from runsvc.watch.progress_rounds import ProgressRounds
from runsvc.watch.run_end import OPEN, RunEnd
from runsvc.watch.turns import FEW, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runsvc.maintenance.attachments import Attachments
    from runsvc.maintenance.lease_clock import LeaseClock
    from runsvc.store.base import Codec, ReadingStore
    from runsvc.store.values import Clock, Record, RunState, Topic
    from runsvc.watch.cursor import Cursor
    from runsvc.watch.hub import StatusHub
    from runsvc.watch.turns import Turn

#: Default of the longest time without an event, in seconds.
HEARTBEAT_INTERVAL: Final = 15.0
#: The time of the next heartbeat while its interval has not begun.
_UNSET: Final = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTuning:
    """How much a watch reads at once, and how often it sends progress."""

    #: Shortest time between two rounds of PROGRESS, and between two checks of an expired lease, in seconds.
    progress_interval: float = 0.1
    #: Runs of a snapshot that are read at once.
    snapshot_chunk: int = 16
    #: Runs with new progress that are read at once.
    progress_chunk: int = 32
    #: Longest time between two checks of the watcher's credential, in seconds: it may be withdrawn at any moment.
    credential_check: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRequest:
    """A request to watch a topic."""

    topic: Topic
    #: None: start with a snapshot.
    after_revision: int | None = None
    #: The store that after_revision belongs to; empty: not checked.
    store_id: str = ""
    include_progress: bool = False
    #: Longest time without an event, in seconds.
    heartbeat_interval: float = HEARTBEAT_INTERVAL
    until_acknowledged: bool = False
    #: Count as a client of the run.
    attach: bool = False


class Watches:
    """Opens watches and holds their common dependencies."""

    def __init__(
        self,
        store: ReadingStore,
        hub: StatusHub,
        codec: Codec,
        lease_clock: LeaseClock,
        attachments: Attachments,
        tuning: WatchTuning | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.store = store
        self.hub = hub
        self.codec = codec
        self.lease_clock = lease_clock
        self.attachments = attachments
        self.tuning = tuning or WatchTuning()
        self.turns = turns or Turns()

    def open(
        self,
        request: WatchRequest,
        may_be_ended: Callable[[], bool] = lambda: False,
        credential_left: Callable[[], float] = lambda: inf,
    ) -> Watch:
        """A watch, to be used in a with block, which releases everything it holds. Raise ServerDraining.

        may_be_ended returns whether the transport itself may have ended the connection, because of its age.
        credential_left returns the seconds until the watcher's credential ends; infinity if it does not end.
        """
        self.hub.check_open()
        # The cursor is opened before the snapshot is taken, so the watch misses no change in between.
        cursor = self.hub.open(request.topic, progress=request.include_progress)
        return Watch(self, request, cursor, may_be_ended, credential_left)


class Watch:
    """One watch: call `begin`, then `proceed` until the watch is `over`.

    Both methods raise RunNotFound, RevisionCompacted, RevisionUnknown, StoreUnavailable, CorruptRow, ServerDraining,
    and Unauthenticated once the watcher's credential has ended.
    """

    __slots__ = (
        "_attachment",
        "_credential_left",
        "_cursor",
        "_is_behind",
        "_loop",
        "_may_be_ended",
        "_next_heartbeat",
        "_outlook",
        "_progress",
        "_request",
        "_run_end",
        "_snapshot",
        "_store_id",
        "_turn",
        "_watches",
        "over",
    )

    def __init__(
        self,
        watches: Watches,
        request: WatchRequest,
        cursor: Cursor,
        may_be_ended: Callable[[], bool],
        credential_left: Callable[[], float],
    ) -> None:
        self._watches = watches
        self._request = request
        self._cursor = cursor
        self._may_be_ended = may_be_ended
        self._credential_left = credential_left
        self._store_id = ""
        self._loop = asyncio.get_running_loop()
        self._next_heartbeat = _UNSET
        self._progress = _progress_rounds(watches, cursor) if request.include_progress else None
        #: Much is to be sent: most of a snapshot, or changes that follow many others.
        self._is_behind = False
        #: Held while a chunk of it is sent.
        self._turn: Turn | None = None
        #: Unsent runs of the snapshot; None without a snapshot, or once all of it is sent.
        self._snapshot: deque[RunState] | None = None
        #: Of a watch of one run.
        self._run_end: RunEnd | None = None
        if request.topic.kind is TopicKind.RUN:
            self._run_end = RunEnd(watches.codec, request.until_acknowledged)
        #: As of the state that was sent last.
        self._outlook = OPEN
        #: Identifies this watch among the clients of its run.
        self._attachment: str | None = None
        #: No further event can follow.
        self.over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, _traceback: object) -> None:
        self._watches.hub.close(self._cursor)
        if self._turn is not None:
            self._turn.end()
        if self._attachment is not None:
            # Any other end, above all a cancelled call, means that the client left, unless the connection aged out.
            ended_here = isinstance(error, RunsvcError) or self._may_be_ended()
            self._watches.attachments.leave(self._attachment, ended_here=ended_here)

    async def begin(self) -> None:
        """Take the snapshot or the position to resume from, and attach. Sends nothing yet."""
        clock = await self._watches.store.clock()
        self._watches.hub.check_store(clock.store_id)
        self._store_id = clock.store_id
        if self._request.after_revision is None:
            await self._take_snapshot()
        else:
            check_revision(self._request.after_revision, self._request.store_id, clock)
            await self._resume(self._request.after_revision, clock)
        if self._request.attach:
            topic = self._request.topic
            self._attachment = await self._watches.attachments.attach(topic.scope, topic.key)

    async def proceed(self) -> Sequence[Event]:
        """Wait for the next events: first the snapshot, then changes, else progress, else a heartbeat.

        Empty if the watch is over without a further event.
        """
        self._check_credential()
        if self._turn is not None:
            self._turn.end()
            self._turn = None
        if self._is_behind:
            self._turn = await self._watches.turns.take()
        if self._snapshot is not None:
            return await self._snapshot_events(self._snapshot)
        self._is_behind = False
        cursor, progress = self._cursor, self._progress
        while True:
            if changes := await cursor.read():
                # Changes carry a position, as a heartbeat does: they postpone it.
                self._next_heartbeat = _UNSET
                self._is_behind = len(changes) > FEW
                return self._up_to_the_end(changes)
            now = self._loop.time()
            if progress and progress.due_at() <= now and (events := await progress.read(now)):
                return events
            if self._outlook.lease is not None and await self._is_given_up():
                self.over = True
                return ()
            if self._next_heartbeat == _UNSET:
                self._next_heartbeat = now + self._request.heartbeat_interval
            elif now >= self._next_heartbeat:
                self._next_heartbeat = _UNSET
                return [self._position(StatusEvent.HEARTBEAT)]
            await cursor.wait(self._next_deadline())
            self._check_credential()

    def _check_credential(self) -> None:
        if self._credential_left() <= 0:
            raise Unauthenticated("the credential that opened the stream has ended")

    async def _take_snapshot(self) -> None:
        topic = self._request.topic
        states, revision = await self._watches.store.snapshot(topic)
        if self._run_end and not states:
            raise RunNotFound(topic.key)
        self._snapshot = deque(states)
        self._is_behind = len(states) > FEW
        self._cursor.seek(revision)

    async def _snapshot_events(self, unsent: deque[RunState]) -> Sequence[Event]:
        # In chunks: for a slow reader, only ids and revisions are kept.
        size = min(self._watches.tuning.snapshot_chunk, len(unsent))
        states = [unsent.popleft() for _ in range(size)]
        subjects = await self._watches.store.recall(states) if states else ()
        if self._run_end and not subjects:
            # The run has been removed since. The answer is that of a watch which begins after the removal.
            raise RunNotFound(self._request.topic.key)
        events = [Event(StatusEvent.SNAPSHOT, subject=_present(subject)) for subject in subjects]
        if not unsent:
            self._snapshot = None
            events.append(self._position(StatusEvent.SNAPSHOT_END))
            if self._run_end:
                self._outlook = self._run_end.outlook(subjects[0])
                self.over = self._outlook.is_final
        return events

    async def _resume(self, after: int, clock: Clock) -> None:
        self._cursor.seek(after)
        if not self._run_end:
            return
        topic = self._request.topic
        record = await self._watches.store.get_without_kwargs(topic.key, topic.scope)
        if record is not None:
            if record.revision <= after:
                self._outlook = self._run_end.outlook(record)
                self.over = self._outlook.is_final
            return
        # The log of a removed run ends with its DELETED, which may be the very change at `after`.
        last_seen = max(after, clock.oldest_revision) - 1
        left = (await self._watches.store.log_since(topic, last_seen, 2)).entries
        if not left:
            raise RunNotFound(topic.key)
        self.over = left[-1].revision <= after

    def _up_to_the_end(self, changes: Sequence[Event]) -> Sequence[Event]:
        if self._run_end:
            changes, self._outlook = self._run_end.cut(changes)
            self.over = self._outlook.is_final
        return changes

    async def _is_given_up(self) -> bool:
        """Whether the executor that has to acknowledge has been silent for longer than its lease."""
        if self._run_end is None or self._lease_left():
            return False
        topic = self._request.topic
        record = await self._watches.store.get_without_kwargs(topic.key, topic.scope)
        if record is None or record.revision > self._cursor.position:
            # The change is committed and will be published.
            return False
        # A heartbeat renews the lease without a log entry.
        self._outlook = self._run_end.outlook(record)
        return self._outlook.is_final or not self._lease_left()

    def _lease_left(self) -> float:
        """Seconds during which an acknowledgement can still come; infinity without a limit."""
        lease = self._outlook.lease
        return inf if lease is None else self._watches.lease_clock.seconds_left(lease)

    def _next_deadline(self) -> float:
        """The next time at which the watch has something to do, changes or not."""
        now = self._loop.time()
        deadline = min(self._next_heartbeat, now + self._watches.tuning.credential_check)
        if (credential_left := self._credential_left()) < inf:
            deadline = min(deadline, now + credential_left)
        if self._progress:
            deadline = min(deadline, self._progress.due_at())
        if self._outlook.lease is not None:
            # A committed acknowledgement is published soon, also after the lease has expired.
            left = max(self._lease_left(), self._watches.tuning.progress_interval)
            deadline = min(deadline, now + left)
        return deadline

    def _position(self, event: StatusEvent) -> Event:
        return Event(event, self._cursor.position, store_id=self._store_id)


def _progress_rounds(watches: Watches, cursor: Cursor) -> ProgressRounds:
    interval, chunk_size = watches.tuning.progress_interval, watches.tuning.progress_chunk
    return ProgressRounds(watches.store, cursor, interval=interval, chunk_size=chunk_size)


def _present(subject: Record | LogEntry) -> Record | LogEntry:
    """A state of a run, without the status before it."""
    return subject._replace(previous_status=None) if isinstance(subject, LogEntry) else subject


def check_revision(after: int, store_id: str, clock: Clock) -> None:
    """Check that a watch can resume after a revision. Raise RevisionUnknown, RevisionCompacted."""
    if after > clock.revision or (store_id and store_id != clock.store_id):
        raise RevisionUnknown(clock.revision, clock.store_id)
    if after < clock.oldest_revision - 1:
        raise RevisionCompacted(clock.oldest_revision, clock.revision)
