"""The tail: feeds the hub of a server with the log of a shared store, which other servers write too.

One task reads the log after the hub's revision. Own changes that follow on it directly are taken from the writer. The
pace of the reads adapts, and own commits, commits of unknown outcome and hints of other servers start a read at once.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import groupby
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import CorruptRow, RunsvcError
from runsvc.watch.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runsvc.commit.group_commit import Committed
    from runsvc.store.shared import Head, SharedLog
    from runsvc.store.values import LogEntry
    from runsvc.watch.hub import StatusHub

#: Entries, and numbers of progress, of one read.
CHUNK: Final = 1_024
#: The pauses after failures, in seconds: from the first one, each twice as long as the one before.
FIRST_BACKOFF: Final = 0.05
LONGEST_BACKOFF: Final = 2.0
#: A revision beyond that of any store.
_BEYOND: Final = 2**62

_log = logging.getLogger(__name__)


class Tail:
    """Feeds a hub. Lives on the event loop."""

    def __init__(
        self,
        shared: SharedLog,
        hub: StatusHub,
        *,
        is_awaited: Callable[[], bool] = lambda: True,
        chunk: int = CHUNK,
    ) -> None:
        """is_awaited returns whether anything waits for changes, apart from watchers."""
        self._shared = shared
        self._hub = hub
        self._chunk = chunk
        self.pace = Pace(lambda: is_awaited() or hub.watchers > 0)
        #: The number of the last progress that was passed on.
        self._progress = 0
        #: Revisions of this server's own changes that the hub does not have yet.
        self._own: set[int] = set()
        #: Called with the changes that this server made, and with those of others, after the hub has them.
        self.on_own: Callable[[Sequence[LogEntry]], object] = lambda entries: None
        self.on_others: Callable[[Sequence[LogEntry]], object] = lambda entries: None
        #: Called when changes may be missing from these: the log that this server has not read is gone.
        self.on_gap: Callable[[], object] = lambda: None
        #: Called after each commit of this server that others may wait for.
        self.on_commit: Callable[[], object] = lambda: None

    async def start(self) -> None:
        """Begin at the end of the log. Raise StoreUnavailable."""
        head = await self._shared.head(0, 1)
        self._hub.store_id, self._progress = head.clock.store_id, head.progress
        await self._hub.start()

    def publish(self, committed: Committed) -> None:
        """Take the changes of a batch of this server if they follow on those that the hub has, else read the log."""
        entries = committed.entries
        if entries and self._follows(committed):
            self._hub.append(entries)
            self.on_own(entries)
        else:
            known = self._hub.recent_log.revision
            # A read may have been faster than the writer's answer.
            missing = [entry.revision for entry in entries if entry.revision > known]
            self._own.update(missing)
            if missing or committed.unsettled:
                self.pace.poke()
        if entries or committed.progressed:
            if committed.progressed and self._hub.wants_progress:
                self.pace.poke()
            self.on_commit()

    async def run(self) -> None:
        """Read the log again and again, until cancelled. After an error, pause and go on."""
        backoff, failure = FIRST_BACKOFF, ""
        while True:
            error = await self._read_or_fail()
            if not error:
                if failure:
                    _log.warning("The log of changes can be read again.")
                backoff, failure = FIRST_BACKOFF, ""
                await self.pace.wait()
                continue
            if error != failure:
                _log.warning("The log of changes cannot be read, and watches wait: %s", error)
            failure = error
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, LONGEST_BACKOFF)

    async def _read_or_fail(self) -> str:
        """Read once. Return the error, or nothing."""
        try:
            await self.read()
        except RunsvcError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - no error may end the tail: watches would wait for ever.
            return repr(error)
        return ""

    async def read(self) -> None:
        """Pass on everything that is new. Raise StoreUnavailable."""
        try:
            await self._read()
        except CorruptRow as corrupt:
            # A watch that needs the entry reads it from the store and gets the error.
            _log.error("The log is passed over up to its end, watches read the store: %s", corrupt)
            head = await self._shared.head(_BEYOND, 1)
            self._hub.skip_to(head.clock.revision)
            self.on_gap()

    async def _read(self) -> None:
        limit, is_whole = self._chunk, False
        while not is_whole:
            revision = self._hub.recent_log.revision
            head = await self._shared.head(revision, limit)
            if head.clock.store_id != self._hub.store_id:
                self._replace_store(head)
                return
            await self._pass_on_progress(head)
            is_whole = len(head.entries) < limit
            if is_whole or (head := _whole_calls(head)).entries:
                self._take(head)
            else:
                # One call made more changes than that.
                limit *= 2

    def _follows(self, committed: Committed) -> bool:
        entries = committed.entries
        first, last = entries[0].revision, entries[-1].revision
        return (
            first == self._hub.recent_log.revision + 1
            and last - first == len(entries) - 1
            and committed.store_id == self._hub.store_id
        )

    def _take(self, head: Head) -> None:
        """Pass on the entries that the hub does not have, also if it got others since they were read."""
        known = self._hub.recent_log.revision
        entries = [entry for entry in head.entries if entry.revision > known]
        is_gap = known < head.clock.oldest_revision - 1
        if entries:
            self._hub.append(entries)
            self._notify(entries)
            self.pace.note_rows()
        elif is_gap:
            self._hub.skip_to(head.clock.revision)
        if is_gap:
            self.on_gap()

    def _notify(self, entries: Sequence[LogEntry]) -> None:
        if not self._own:
            self.on_others(entries)
            return
        own, newest = self._own, entries[-1].revision
        for is_own, group in groupby(entries, lambda entry: entry.revision in own):
            (self.on_own if is_own else self.on_others)(list(group))
        self._own = {revision for revision in own if revision > newest}

    async def _pass_on_progress(self, head: Head) -> None:
        if not self._hub.wants_progress:
            self._progress = head.progress
        while self._progress < head.progress:
            found = await self._shared.progressed(self._progress, self._chunk)
            self.pace.note_rows()
            if found is None:
                self._hub.mark_all_progress()
                self._progress = head.progress
                return
            for each in found:
                self._hub.mark_progress(each)
            last = found[-1].number if found else 0
            # Those of removed runs are missing, also at the end.
            is_full = len(found) == self._chunk
            self._progress = last if is_full else max(last, head.progress)

    def _replace_store(self, head: Head) -> None:
        _log.error(
            "The store is another one now, such as a replica that took over: %s instead of %s, at revision %d."
            " All watches end with REVISION_UNKNOWN and start again.",
            head.clock.store_id,
            self._hub.store_id,
            head.clock.revision,
        )
        self._progress = head.progress
        self._own.clear()
        self._hub.replace_store(head.clock)
        self.on_gap()


def _whole_calls(head: Head) -> Head:
    """The head without the changes of a last call that it has in part."""
    entries = head.entries
    end = len(entries)
    while end and entries[end - 1].call_end > entries[-1].revision:
        end -= 1
    return head._replace(entries=entries[:end])
