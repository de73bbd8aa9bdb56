"""The transaction of an exclusive command, which is the only one of its batch.

Its queries return the store's state at the start of the transaction, without the changes made in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.commit.transaction import Transaction
from runsvc.core.errors import CorruptRow, RunNotFound
from runsvc.store.values import LogEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runsvc.core.model import Run
    from runsvc.store.attachments import Abandoned, AnyReleased
    from runsvc.store.queries import DueLeases, DueTimeouts, Orphans, RawById
    from runsvc.store.values import Record


class ExclusiveTransaction(Transaction):
    """Adds searches across threads, removal of runs and log compaction."""

    def raw(self, query: RawById) -> Record:
        """The undecoded record of any owner's run, possibly corrupt. Raise RunNotFound."""
        for record in self._loaded[query]:
            return record
        raise RunNotFound(query.run_id)

    def orphans(self, query: Orphans) -> list[Run]:
        """The runs found by the query, in their current state. Raise CorruptRow."""
        return [self._current(record) for record in self._loaded[query]]

    def due(self, *queries: DueLeases | DueTimeouts | Abandoned) -> Iterator[Run | CorruptRow]:
        """Yield each run found by the queries once; for an unreadable run, its error."""
        for record in {
            each.run_id: each for query in queries for each in self._loaded[query]
        }.values():
            try:
                yield self._current(record)
            except CorruptRow as corrupt:
                yield corrupt

    def any_released(self, query: AnyReleased) -> bool:
        """True if the store has attachments that the server does not hold."""
        return bool(self._counts[query])

    def delete(self, record: Record) -> None:
        """Remove a run, and add the removal to the log."""
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
        self._gates.remove(record)

    def keep_time(self) -> None:
        """Commit at least the current time, to prove that the store accepts writes."""
        self._staged.time = self.stamp().time
        self._staged.keeps_time = True

    def forget(self, revision: int) -> None:
        """Remove log entries at or below a revision."""
        self._staged.forgotten = revision
