"""A cursor: one watcher's position in the log, and its wait for what comes next.

It reads the ring, or, when it fell behind, the store. Nothing is queued for it but a bounded number of run ids, if it
wants progress, so a slow one costs next to nothing and misses nothing. There may be tens of thousands, nearly all of
them idle: each is small, and waits for a bare future.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.watch.event import change
from runsvc.watch.progress_backlog import ProgressBacklog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.store.base import LogEntry, Topic
    from runsvc.watch.event import Event
    from runsvc.watch.hub import StatusHub

#: Entries that a cursor reads at once.
STRETCH: Final = 32


class Stretch(NamedTuple):
    """What a cursor read from the ring: good for every other of its topic that stands where it stood."""

    audience: Audience
    #: The cursor's position before and after.
    begin: int
    end: int
    events: Sequence[Event]


class Audience:
    """All who watch the same."""

    __slots__ = ("cursors", "name", "newest")

    def __init__(self, name: str, newest: int) -> None:
        self.name = name
        #: Revision of the newest change that may concern them: whoever stands there or beyond has nothing to read.
        self.newest = newest
        self.cursors: set[Cursor] = set()

    def move_on(self, revision: int) -> None:
        """Have whoever has nothing to read stand here: a log that is cut cuts off only those who fell behind."""
        newest = self.newest
        for cursor in self.cursors:
            if newest <= cursor.position < revision:
                cursor.position = revision


class Cursor:
    """One watcher's position in the log. Every matching entry at or below `position` has been read."""

    __slots__ = (
        "_alarm",
        "_held",
        "_hub",
        "_waiter",
        "_woken",
        "audience",
        "position",
        "topic",
        "touched",
    )

    def __init__(self, hub: StatusHub, topic: Topic, audience: Audience) -> None:
        self._hub = hub
        self.audience = audience
        self._woken = False
        self._waiter: asyncio.Future[None] | None = None
        #: Wakes the cursor when its watcher has something to do by the clock.
        self._alarm: asyncio.TimerHandle | None = None
        #: An entry of which it is not known yet whether more of its call follow; read, but not given.
        self._held: Sequence[LogEntry] = ()
        self.topic = topic
        self.position = 0
        #: Runs whose progress moved since the watcher last looked; only of one who asked.
        self.touched: ProgressBacklog | None = None

    async def read(self) -> Sequence[Event]:
        """The next changes, those of a call one after the other; none when the cursor has caught up."""
        hub = self._hub
        hub.check_open()
        self._woken = False
        if self._held:
            return await self._read_on()
        begin, audience = self.position, self.audience
        if audience.newest <= begin <= hub.ring.revision:
            self.position = hub.ring.revision
            return ()
        read = hub.last_read
        if read is None or read.begin != begin or read.audience is not audience:
            at_hand = hub.ring.floor <= begin < hub.ring.revision
            events = await self._read_on()
            if at_hand and not self._held:
                hub.last_read = Stretch(audience, begin, self.position, events)
            return events
        self.position = read.end
        return read.events

    async def _read_on(self) -> Sequence[Event]:
        while True:
            stretch = await self._stretch()
            entries = [*self._held, *stretch]
            # Whatever an entry says of its call, nothing of it follows where the log has no more.
            whole = not stretch or stretch[-1].call_end <= self.position
            self._held = () if whole else entries[-1:]
            if events := _events(entries, whole=whole):
                return events
            if whole:
                return ()

    async def _stretch(self) -> Sequence[LogEntry]:
        ring = self._hub.ring
        if not ring.floor <= self.position <= ring.revision:
            # Fallen behind the ring; or ahead of the hub, after a snapshot or in the midst of a call.
            found = await self._hub.store.log_since(self.topic, self.position, STRETCH)
            self.position = max(self.position, found.scanned_to)
            return found.entries
        entries = ring.after(self.audience.name, self.position, STRETCH)
        self.position = entries[-1].revision if len(entries) == STRETCH else ring.revision
        return entries

    def woken(self, until: float) -> asyncio.Future[None]:
        """Done when there may be something new, at the latest at this time of the loop's clock."""
        self._waiter = waiter = asyncio.get_running_loop().create_future()
        if self._woken:
            waiter.set_result(None)
        else:
            self._set_alarm(until)
        return waiter

    def wake(self) -> None:
        """End the wait, or the next one when there is none now."""
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def touch(self, run_id: str) -> None:
        """Note that a run's progress moved."""
        if self.touched is None:
            self.touched = ProgressBacklog()
        self.touched.add(run_id)

    def close(self) -> None:
        """Let go of the alarm."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set_alarm(self, at: float) -> None:
        # An earlier one stays: it wakes once for nothing, which is cheaper than to move it at every change.
        if self._alarm is not None:
            if self._alarm.when() <= at:
                return
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(at, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        self.wake()


def _events(entries: Sequence[LogEntry], *, whole: bool) -> Sequence[Event]:
    """The entries as a watcher gets them; the last one only when nothing of its call can follow."""
    events = [
        change(entry, more=following.revision <= entry.call_end)
        for entry, following in pairwise(entries)
    ]
    if whole and entries:
        events.append(change(entries[-1]))
    return events
