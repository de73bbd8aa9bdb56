"""PROGRESS events: rounds of the latest progress of each run that has progressed since the last round."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from runsvc.watch.event import Event, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.store.base import ReadingStore
    from runsvc.watch.cursor import Cursor
    from runsvc.watch.progress_backlog import ProgressBacklog


class ProgressRounds:
    """The PROGRESS events of one watch."""

    __slots__ = ("_chunk_size", "_cursor", "_interval", "_next_round", "_remaining", "_store")

    def __init__(
        self, store: ReadingStore, cursor: Cursor, *, interval: float, chunk_size: int
    ) -> None:
        """interval is the shortest time between two rounds, in seconds; chunk_size counts runs per read."""
        self._store = store
        self._cursor = cursor
        self._interval = interval
        self._chunk_size = chunk_size
        self._next_round = 0.0
        #: Runs of the present round that are still to be read.
        self._remaining: Sequence[str] = ()

    def due_at(self) -> float:
        """When to read next, by the event loop's clock; infinity without new progress."""
        if self._remaining:
            return 0.0
        return self._next_round if self._cursor.progress_backlog else inf

    async def read(self, now: float) -> Sequence[Event]:
        """The next events of the present round, or of a new one. Raise CorruptRow, StoreUnavailable."""
        backlog = self._cursor.progress_backlog
        if not self._remaining and backlog:
            self._remaining = await self._begin_round(backlog)
        # In chunks, so that the changes made in the meantime are sent before the next chunk.
        size = self._chunk_size
        chunk, self._remaining = self._remaining[:size], self._remaining[size:]
        self._next_round = now + self._interval
        events = []
        for run_id in chunk:
            record = await self._store.get_without_kwargs(run_id, self._cursor.topic.scope)
            if record is None:
                continue
            if record.revision > self._cursor.position:
                # The newest change of the run is sent first, and its progress in a later round.
                self._cursor.mark_progress(run_id)
                continue
            events.append(Event(StatusEvent.PROGRESS, subject=record))
        return events

    async def _begin_round(self, backlog: ProgressBacklog) -> Sequence[str]:
        if marked := backlog.take():
            return marked
        states, _ = await self._store.snapshot(self._cursor.topic)
        return backlog.scan(state.run_id for state in states)
