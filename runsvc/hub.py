"""The hub: what was committed last, and who waits for it.

The newest log entries stay in one ring, bounded in bytes and indexed by topic. A watcher is a cursor: a position in the
log. It reads the ring, or, when it fell behind, the store. Nothing is queued for it, so a slow one costs nothing and
misses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.errors import CorruptRow, ServerDraining
from runsvc.ring import CAPACITY, Ring, name_of, names_of
from runsvc.store.base import Topic, TopicKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.group_commit import Committed
    from runsvc.model import Run
    from runsvc.store.base import LogEntry, ReadingStore

#: Entries that a cursor reads at once, and that the ring starts with.
STRETCH: Final = 32
TAIL: Final = 4_096
#: A revision that no store comes to.
_UNREACHED: Final = 2**63

_log = logging.getLogger(__name__)


class Change(NamedTuple):
    """An entry as a watcher gets it."""

    entry: LogEntry
    #: Further entries that the same call made follow.
    more: bool


class Cursor:
    """One watcher's position in the log. Every matching entry at or below `position` has been read."""

    __slots__ = ("_held", "_hub", "_woken", "name", "position", "topic", "touched")

    def __init__(self, hub: StatusHub, topic: Topic) -> None:
        self._hub = hub
        self._woken = asyncio.Event()
        #: An entry of which it is not known yet whether more of its call follow; read, but not given.
        self._held: list[LogEntry] = []
        self.topic = topic
        self.name = name_of(topic)
        self.position = 0
        #: Runs whose progress moved since the watcher last looked; only for those who asked.
        self.touched: set[str] = set()

    async def read(self) -> Sequence[Change]:
        """The next entries, those of a call one after the other; none when the cursor has caught up."""
        self._hub.check_open()
        self._woken.clear()
        while True:
            stretch = await self._stretch()
            entries = [*self._held, *stretch]
            # Whatever an entry says of its call, nothing of it follows where the log has no more.
            whole = not stretch or stretch[-1].call_end <= self.position
            self._held = [] if whole else entries[-1:]
            if changes := _changes(entries, whole=whole):
                return changes
            if whole:
                return ()

    async def wait(self, seconds: float) -> None:
        """Return when there may be something new, at the latest after this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    def wake(self) -> None:
        """End the wait."""
        self._woken.set()

    async def _stretch(self) -> Sequence[LogEntry]:
        ring = self._hub.ring
        if not ring.floor <= self.position <= ring.revision:
            # Fallen behind the ring; or ahead of the hub, after a snapshot or in the midst of a call.
            found = await self._hub.store.log_since(self.topic, self.position, STRETCH)
            self.position = max(self.position, found.scanned_to)
            return found.entries
        entries = ring.after(self.name, self.position, STRETCH)
        self.position = entries[-1].revision if len(entries) == STRETCH else ring.revision
        return entries


def _changes(entries: Sequence[LogEntry], *, whole: bool) -> Sequence[Change]:
    """The entries as a watcher gets them; the last one only when nothing of its call can follow."""
    changes = [
        Change(entry, following.revision <= entry.call_end)
        for entry, following in pairwise(entries)
    ]
    if whole and entries:
        changes.append(Change(entries[-1], False))
    return changes


class StatusHub:
    """Tells watchers what was committed. Lives on the event loop; publishing never waits for a watcher."""

    def __init__(self, store: ReadingStore, revision: int = 0, capacity: int = CAPACITY) -> None:
        self.store = store
        self.ring = Ring(revision, capacity)
        #: By the name of their topic.
        self._cursors: dict[str, set[Cursor]] = {}
        self._progress: dict[str, set[Cursor]] = {}
        self._draining = False

    async def start(self) -> None:
        """Fill the ring from the end of the log."""
        revision = (await self.store.clock()).revision
        self.ring.restart(revision)
        try:
            self.ring.extend(await self.store.log_tail(TAIL, CAPACITY))
        except CorruptRow as corrupt:
            # Whoever needs it reads it from the store, and is told.
            _log.error("The ring starts empty: %s", corrupt)

    @property
    def watchers(self) -> int:
        """How many cursors are open."""
        return sum(map(len, self._cursors.values()))

    def open(self, topic: Topic, *, progress: bool = False) -> Cursor:
        """A cursor that is woken from now on; close it when done."""
        cursor = Cursor(self, topic)
        self._cursors.setdefault(cursor.name, set()).add(cursor)
        if progress:
            self._progress.setdefault(cursor.name, set()).add(cursor)
        return cursor

    def close(self, cursor: Cursor) -> None:
        """Forget a cursor."""
        for cursors in (self._cursors, self._progress):
            if (same_topic := cursors.get(cursor.name)) is not None:
                same_topic.discard(cursor)
                if not same_topic:
                    del cursors[cursor.name]

    def publish(self, committed: Committed) -> None:
        """Take in what a batch did and wake those whom it concerns."""
        if committed.unsettled:
            # Until the next commit tells where the log stands, everyone reads the store.
            self.ring.restart(_UNREACHED)
            self._wake_all()
        elif committed.entries:
            self._take_in(committed.entries)
        if self._progress:
            for run in committed.touched:
                self._touch(run)

    def drain(self) -> None:
        """End every watch, now and from now on, with ServerDraining."""
        self._draining = True
        self._wake_all()

    def check_open(self) -> None:
        """ServerDraining once the hub drains."""
        if self._draining:
            raise ServerDraining

    def _take_in(self, entries: Sequence[LogEntry]) -> None:
        # After a commit whose fate was not known there may be entries that nobody published.
        gap = entries[0].revision != self.ring.revision + 1
        self.ring.extend(entries)
        for entry in entries:
            if entry.deleted:
                self.ring.redact(name_of(Topic(TopicKind.RUN, entry.owner, entry.run_id)))
        if gap:
            self._wake_all()
            return
        if not self._cursors:
            return
        for name in {name for entry in entries for name in names_of(entry)}:
            for cursor in self._cursors.get(name, ()):
                cursor.wake()

    def _touch(self, run: Run) -> None:
        for name in names_of(run):
            for cursor in self._progress.get(name, ()):
                cursor.touched.add(run.run_id)
                cursor.wake()

    def _wake_all(self) -> None:
        for cursors in self._cursors.values():
            for cursor in cursors:
                cursor.wake()
