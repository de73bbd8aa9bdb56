"""The hub: passes committed changes to the watchers that they concern.

The newest log entries are kept once, in the recent log, and watchers are cursors on it. A change wakes the cursors of
its topics only.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import CorruptRow, RevisionUnknown, ServerDraining, StoreUnavailable
from runsvc.store.values import Topic, TopicKind
from runsvc.watch import progress_backlog, recent_log
from runsvc.watch.cursor import Audience, Cursor
from runsvc.watch.fan_out import FanOut
from runsvc.watch.log_reader import CHUNK_SIZE, LogReader
from runsvc.watch.recent_log import RecentLog, name_of, names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.commit.group_commit import Committed
    from runsvc.core.model import Run
    from runsvc.store.base import ReadingStore
    from runsvc.store.shared import Progressed
    from runsvc.store.values import Clock, LogEntry

#: Most entries that are loaded at start.
TAIL: Final = 1_024
#: A revision beyond that of any store.
_UNREACHED: Final = 2**63

_log = logging.getLogger(__name__)


class StatusHub:
    """Notifies watchers of commits. Lives on the event loop; publishing never waits for a watcher."""

    def __init__(
        self,
        store: ReadingStore,
        revision: int = 0,
        *,
        fan_out: FanOut | None = None,
        capacity: int = recent_log.CAPACITY,
        chunk_size: int = CHUNK_SIZE,
        backlog_capacity: int = progress_backlog.CAPACITY,
    ) -> None:
        """capacity is that of the recent log, in bytes; backlog_capacity counts runs."""
        self._store = store
        self._fan_out = fan_out or FanOut()
        self._backlog_capacity = backlog_capacity
        self.recent_log = RecentLog(revision, capacity)
        self._chunk_size = chunk_size
        self._reader = LogReader(self.recent_log, store, chunk_size=chunk_size)
        #: Of a shared store: the identity of the store that the recent log is of. Empty: not checked.
        self.store_id = ""
        #: By the name of the topic.
        self._audiences: dict[str, Audience] = {}
        #: The cursors that want progress, by the name of the topic.
        self._progress: dict[str, set[Cursor]] = {}

    async def start(self) -> None:
        """Load the end of the log into the recent log."""
        revision = (await self._store.clock()).revision
        self.recent_log.restart(revision)
        try:
            self.recent_log.extend(await self._store.log_tail(TAIL, recent_log.CAPACITY))
        except CorruptRow as corrupt:
            # A watch that needs the entry reads it from the store and gets the error.
            _log.error("The recent log starts empty, watches read the store: %s", corrupt)

    @property
    def watchers(self) -> int:
        """The number of open cursors."""
        return sum(len(audience.cursors) for audience in self._audiences.values())

    def open(self, topic: Topic, *, progress: bool = False) -> Cursor:
        """A cursor that is woken by changes from now on. The caller closes it."""
        name = name_of(topic)
        if (audience := self._audiences.get(name)) is None:
            audience = self._audiences[name] = Audience(name, self.recent_log.revision)
        cursor = Cursor(self._reader, topic, audience, self._backlog_capacity)
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
        if cursors := self._progress.get(name):
            cursors.discard(cursor)
            if not cursors:
                del self._progress[name]

    def publish(self, committed: Committed) -> None:
        """Add the changes of a batch to the recent log and wake the cursors that they concern."""
        self._reader.discard_chunk()
        if committed.unsettled:
            # The end of the log is unknown until the next commit. Until then, all cursors read the store.
            self.recent_log.restart(_UNREACHED)
            self._notify_all()
        elif committed.entries:
            self._add(committed.entries)
        if self._progress:
            for run in committed.progressed:
                self.mark_progress(run)

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Add changes to the recent log and wake the cursors that they concern."""
        self._reader.discard_chunk()
        self._add(entries)

    def skip_to(self, revision: int) -> None:
        """Empty the recent log, which ends at this revision now. All cursors read the store."""
        self._reader.discard_chunk()
        self.recent_log.restart(revision)
        self._notify_all()

    def replace_store(self, clock: Clock) -> None:
        """End all present watches with RevisionUnknown: the store is another one, with this clock."""
        if self._reader.refusal is not None:
            # The server is draining.
            return
        self._reader.close(RevisionUnknown(clock.revision, clock.store_id))
        self._reader = LogReader(self.recent_log, self._store, chunk_size=self._chunk_size)
        self.store_id = clock.store_id
        self.skip_to(clock.revision)

    def drain(self) -> None:
        """End all present and future watches with ServerDraining."""
        self._reader.close(ServerDraining())
        self._wake_all()

    def check_open(self) -> None:
        """Raise ServerDraining if the server is draining."""
        if self._reader.refusal is not None:
            raise ServerDraining

    def check_store(self, store_id: str) -> None:
        """Raise StoreUnavailable while the recent log is that of another store."""
        if self.store_id not in ("", store_id):
            raise StoreUnavailable("it is another one than before, and its log is being loaded")

    @property
    def wants_progress(self) -> bool:
        """True if a cursor waits for progress."""
        return bool(self._progress)

    def _add(self, entries: Sequence[LogEntry]) -> None:
        before = self.recent_log.revision
        self.recent_log.extend(entries)
        for entry in entries:
            if entry.deleted:
                self.recent_log.redact(name_of(Topic(TopicKind.RUN, entry.owner, entry.run_id)))
        if entries[0].revision != before + 1:
            # A commit of unknown outcome may have left entries that were not published.
            self._notify_all()
        elif self._audiences:
            for name in {name for entry in entries for name in names_of(entry)}:
                if audience := self._audiences.get(name):
                    audience.advance_idle(before)
                    audience.expect(self.recent_log.revision)
                    self._fan_out.wake(audience.cursors)

    def mark_progress(self, run: Run | Progressed) -> None:
        """Note new progress of a run for the cursors that want it, and wake them."""
        for name in names_of(run):
            if cursors := self._progress.get(name):
                for cursor in cursors:
                    cursor.mark_progress(run.run_id)
                self._fan_out.wake(cursors)

    def mark_all_progress(self) -> None:
        """Let every cursor that wants progress scan the active runs."""
        for cursors in self._progress.values():
            for cursor in cursors:
                cursor.mark_all_progress()
            self._fan_out.wake(cursors)

    def _notify_all(self) -> None:
        for audience in self._audiences.values():
            audience.expect(self.recent_log.revision)
        self._wake_all()

    def _wake_all(self) -> None:
        audiences = self._audiences.values()
        self._fan_out.wake([cursor for audience in audiences for cursor in audience.cursors])
