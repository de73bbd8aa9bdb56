"""A cursor: the position of one watcher in the log, and its wait for further entries.

No events are queued for a cursor. Apart from the progress backlog, which is bounded, a slow watcher costs next to
nothing and misses nothing. There may be tens of thousands of cursors, nearly all of them idle, so a cursor is small and
waits for a bare future.
"""

from __future__ import annotations

import asyncio
from copy import copy
from itertools import pairwise
from typing import TYPE_CHECKING

from runsvc.watch.event import change
from runsvc.watch.log_reader import Chunk
from runsvc.watch.progress_backlog import ProgressBacklog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.store.values import LogEntry, Topic
    from runsvc.watch.event import Event
    from runsvc.watch.log_reader import LogReader


class Audience:
    """The cursors of one topic."""

    __slots__ = ("cursors", "name", "newest")

    def __init__(self, name: str, newest: int) -> None:
        self.name = name
        #: Upper bound for the revisions of the topic: a cursor here or beyond has read every entry.
        self.newest = newest
        self.cursors: set[Cursor] = set()

    def expect(self, newest: int) -> None:
        """Note that there may be entries of the topic up to this revision."""
        self.newest = newest

    def advance_idle(self, revision: int) -> None:
        """Move all cursors that have read every entry to this revision, so that compaction cannot overtake them."""
        newest = self.newest
        for cursor in self.cursors:
            if newest <= cursor.position < revision:
                cursor.position = revision


class Cursor:
    """The position of one watcher in the log. Every entry of its topic at or below `position` has been read."""

    __slots__ = (
        "_backlog_capacity",
        "_held",
        "_is_awake",
        "_reader",
        "_timer",
        "_waiter",
        "audience",
        "position",
        "progress_backlog",
        "topic",
    )

    def __init__(
        self, reader: LogReader, topic: Topic, audience: Audience, backlog_capacity: int
    ) -> None:
        self._reader = reader
        self._backlog_capacity = backlog_capacity
        self._is_awake = False
        self._waiter: asyncio.Future[None] | None = None
        #: Wakes the cursor when its watcher has something to do at a certain time.
        self._timer: asyncio.TimerHandle | None = None
        #: The last entry read, held back until it is known whether further changes of the same call follow.
        self._held: Sequence[LogEntry] = ()
        self.topic = topic
        self.audience = audience
        self.position = 0
        #: Created with the first progress of a run that the watcher asked for.
        self.progress_backlog: ProgressBacklog | None = None

    def seek(self, revision: int) -> None:
        """Continue after this revision."""
        self.position = revision

    async def read(self) -> Sequence[Event]:
        """The next changes, those of one call next to each other; empty when the cursor has caught up.

        Raise ServerDraining, RevisionCompacted, RevisionUnknown, StoreUnavailable, CorruptRow.
        """
        reader = self._reader
        if reader.refusal is not None:
            # Each watcher raises its own copy: a shared exception would collect the tracebacks of all of them.
            raise copy(reader.refusal)
        self._is_awake = False
        if self._held:
            return await self._read_on()
        begin, audience, recent_log = self.position, self.audience, reader.recent_log
        if audience.newest <= begin <= recent_log.revision:
            self.position = recent_log.revision
            return ()
        if (chunk := reader.chunk_after(audience.name, begin)) is not None:
            self.position = chunk.end
            return chunk.events
        is_cached = recent_log.floor <= begin < recent_log.revision
        events = await self._read_on()
        if is_cached and not self._held:
            reader.keep(Chunk(audience.name, begin, self.position, events))
        return events

    async def _read_on(self) -> Sequence[Event]:
        while True:
            read, end = await self._reader.read(self.topic, self.audience.name, self.position)
            # While the store was read, the hub may have moved the cursor further.
            self.position = max(self.position, end)
            entries = [*self._held, *read]
            # At the end of the log, the call is complete, whatever its last entry claims.
            is_whole = not read or read[-1].call_end <= self.position
            self._held = () if is_whole else entries[-1:]
            if events := _events(entries, is_whole=is_whole):
                return events
            if is_whole:
                return ()

    def wait(self, until: float) -> asyncio.Future[None]:
        """A future that is done when there may be something new, or at this time of the event loop's clock."""
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        if self._is_awake:
            waiter.set_result(None)
        else:
            self._set_timer(until)
        return waiter

    def wake(self) -> None:
        """End the present wait, or else the next one."""
        self._is_awake = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def mark_progress(self, run_id: str) -> None:
        """Note that a run has new progress."""
        self._backlog().mark(run_id)

    def mark_all_progress(self) -> None:
        """Note that any active run may have new progress."""
        self._backlog().mark_all()

    def _backlog(self) -> ProgressBacklog:
        if self.progress_backlog is None:
            self.progress_backlog = ProgressBacklog(self._backlog_capacity)
        return self.progress_backlog

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, at: float) -> None:
        # An earlier timer stays: a needless wake-up is cheaper than a new timer for every change.
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.wake()


def _events(entries: Sequence[LogEntry], *, is_whole: bool) -> Sequence[Event]:
    """The events of the entries; the last entry is left out unless its call is complete."""
    events = [
        change(entry, more=following.revision <= entry.call_end)
        for entry, following in pairwise(entries)
    ]
    if is_whole and entries:
        events.append(change(entries[-1]))
    return events
