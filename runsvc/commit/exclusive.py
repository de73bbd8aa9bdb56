"""The view of an exclusive command, which has a batch to itself.

Its queries read the store as of the start of the transaction, and do not see changes made in it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runsvc.commit.transaction import Transaction
from runsvc.core.errors import CorruptRow, RunNotFound
from runsvc.store.base import LogEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runsvc.core.model import Run
    from runsvc.store.attachments import Abandoned, AnyReleased
    from runsvc.store.base import Record
    from runsvc.store.queries import DueLeases, DueTimeouts, Orphans, RawById

_TICK: Final = timedelta(microseconds=1)


class ExclusiveTransaction(Transaction):
    """Adds searches across threads, removal and compaction."""

    def raw(self, query: RawById) -> Record:
        """A run of any owner, not decoded, possibly corrupt. RunNotFound."""
        for record in self._loaded[query]:
            return record
        raise RunNotFound(query.run_id)

    def orphans(self, query: Orphans) -> list[Run]:
        """The runs that the query found. CorruptRow."""
        return [self._current(record) for record in self._loaded[query]]

    def due(self, *queries: DueLeases | DueTimeouts | Abandoned) -> Iterator[Run | CorruptRow]:
        """Each run that the queries found, once, or the error of one that cannot be read."""
        for record in {
            each.run_id: each for query in queries for each in self._loaded[query]
        }.values():
            try:
                yield self._current(record)
            except CorruptRow as corrupt:
                yield corrupt

    def any_released(self, query: AnyReleased) -> bool:
        """True if there are attachments that the server does not hold."""
        return bool(self._counts[query])

    def delete(self, record: Record) -> None:
        """Remove a run. Its removal is a change of its own in the log."""
        at = self.stamp()
        entry = LogEntry(
            revision=at.revision,
            call_end=at.revision,
            run_id=record.run_id,
            owner=record.owner,
            thread_id=record.thread_id,
            assistant_id=record.assistant_id,
            status=record.status,
            previous_status=None,
            deleted=True,
            body=None,
        )
        self._staged.changes.append(entry)
        self._staged.revision, self._staged.time = at.revision, at.time

    def keep_time(self) -> None:
        """Commit the present time, if nothing else, to prove that the store accepts writes."""
        self._staged.time += _TICK
        self._staged.keeps_time = True

    def forget(self, revision: int) -> None:
        """Drop log entries at or below a revision."""
        self._staged.forgotten = revision
