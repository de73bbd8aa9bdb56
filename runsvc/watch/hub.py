"""The hub: what was committed last, and who waits for it.

The newest log entries stay in one ring, bounded in bytes and indexed by topic; watchers are cursors on it. A change
wakes those that it concerns, and nobody else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import CorruptRow, ServerDraining
from runsvc.store.base import Topic, TopicKind
from runsvc.watch.cursor import Audience, Cursor
from runsvc.watch.fan_out import FanOut
from runsvc.watch.recent_log import CAPACITY, Ring, name_of, names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runsvc.commit.group_commit import Committed
    from runsvc.core.model import Run
    from runsvc.store.base import LogEntry, ReadingStore
    from runsvc.watch.cursor import Stretch

#: Entries that the ring starts with.
TAIL: Final = 1_024
#: A revision that no store comes to.
_UNREACHED: Final = 2**63

_log = logging.getLogger(__name__)


class StatusHub:
    """Tells watchers what was committed. Lives on the event loop; publishing never waits for a watcher."""

    def __init__(
        self,
        store: ReadingStore,
        revision: int = 0,
        capacity: int = CAPACITY,
        calls: Callable[[], int] = lambda: 0,
    ) -> None:
        self.store = store
        self.ring = Ring(revision, capacity)
        #: What was read last since the last change: of those who are woken together, the first reads for all.
        self.last_read: Stretch | None = None
        self._fan_out = FanOut(calls)
        #: By the name of their topic.
        self._audiences: dict[str, Audience] = {}
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
        return sum(len(audience.cursors) for audience in self._audiences.values())

    def open(self, topic: Topic, *, progress: bool = False) -> Cursor:
        """A cursor that is woken from now on; close it when done."""
        name = name_of(topic)
        if (audience := self._audiences.get(name)) is None:
            audience = self._audiences[name] = Audience(name, self.ring.revision)
        cursor = Cursor(self, topic, audience)
        audience.cursors.add(cursor)
        if progress:
            self._progress.setdefault(name, set()).add(cursor)
        return cursor

    def close(self, cursor: Cursor) -> None:
        """Forget a cursor."""
        cursor.close()
        name = cursor.audience.name
        cursor.audience.cursors.discard(cursor)
        if not cursor.audience.cursors and self._audiences.get(name) is cursor.audience:
            del self._audiences[name]
        if asked := self._progress.get(name):
            asked.discard(cursor)
            if not asked:
                del self._progress[name]

    def publish(self, committed: Committed) -> None:
        """Take in what a batch did and wake those whom it concerns."""
        self.last_read = None
        if committed.unsettled:
            # Until the next commit tells where the log stands, everyone reads the store.
            self.ring.restart(_UNREACHED)
            self._concern_all()
        elif committed.entries:
            self._take_in(committed.entries)
        if self._progress:
            for run in committed.progressed:
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
        before = self.ring.revision
        self.ring.extend(entries)
        for entry in entries:
            if entry.deleted:
                self.ring.redact(name_of(Topic(TopicKind.RUN, entry.owner, entry.run_id)))
        if entries[0].revision != before + 1:
            # After a commit whose fate was not known there may be entries that nobody published.
            self._concern_all()
        elif self._audiences:
            for name in {name for entry in entries for name in names_of(entry)}:
                if audience := self._audiences.get(name):
                    audience.move_on(before)
                    audience.newest = self.ring.revision
                    self._fan_out.wake(audience.cursors)

    def _touch(self, run: Run) -> None:
        for name in names_of(run):
            if cursors := self._progress.get(name):
                for cursor in cursors:
                    cursor.touch(run.run_id)
                self._fan_out.wake(cursors)

    def _concern_all(self) -> None:
        for audience in self._audiences.values():
            audience.newest = self.ring.revision
        self._wake_all()

    def _wake_all(self) -> None:
        audiences = self._audiences.values()
        self._fan_out.wake([cursor for audience in audiences for cursor in audience.cursors])
