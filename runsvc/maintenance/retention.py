"""Retention: removes runs, and their request ids, some time after their end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core.errors import RunNotFound
from runsvc.maintenance.timed_command import timed_command
from runsvc.store.queries import RawById
from runsvc.timekeeper import ago

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.maintenance.lease_clock import LeaseClock, Reading
    from runsvc.store.base import ReadingStore

_log = logging.getLogger(__name__)

#: Time between two passes.
INTERVAL: Final = timedelta(seconds=60)
#: Number of ended runs that one read finds.
CHUNK: Final = 500


class Pace(NamedTuple):
    """The speed of removal."""

    #: Number of runs per transaction.
    batch: int
    #: Pause after a transaction, as a multiple of its duration. Other calls have the writer for this time.
    rest: float


#: The paces, from slow to fast. The pace rises once every CHUNKS_PER_PACE full chunks, so that a busy service removes
#: runs as fast as it creates them, but not much faster. First the transactions grow, because the flush is most of the
#: cost of a small one; then the pauses become shorter.
PACES: Final = (
    *(Pace(batch, 9) for batch in (20, 40, 60, 80, 100)),
    *(Pace(100, rest) for rest in (8, 7, 6, 5, 4)),
)
CHUNKS_PER_PACE: Final = 10


def pace_after(chunks: int) -> Pace:
    """Return the pace after a number of full chunks in the same pass."""
    return PACES[min(chunks // CHUNKS_PER_PACE, len(PACES) - 1)]


class Retention:
    """Removes runs past their retention, at a pace that leaves time for other calls."""

    def __init__(
        self,
        writer: Writer,
        store: ReadingStore,
        lease_clock: LeaseClock,
        keep: timedelta,
        *,
        chunk: int = CHUNK,
        pace_after: Callable[[int], Pace] = pace_after,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._writer = writer
        self._store = store
        self._lease_clock = lease_clock
        self._keep = keep
        self._chunk = chunk
        self._pace_after = pace_after
        self._sleep = sleep

    async def run(self) -> None:
        """Remove all runs past their retention, and log their number."""
        if count := await self.remove():
            _log.info("Removed %d runs past retention", count)

    async def remove(self) -> int:
        """Remove all runs past their retention. Return their number."""
        by = ago(self._keep, await self._lease_clock.time_without_steps())
        count, chunks, last = 0, 0, ""
        while run_ids := await self._store.ended(by, last, self._chunk):
            pace = self._pace_after(chunks)
            for begin in range(0, len(run_ids), pace.batch):
                removed, duration = await self._remove_batch(run_ids[begin : begin + pace.batch])
                if removed:
                    _log.info("Removed past retention: %s", ", ".join(removed))
                await self._sleep(duration * pace.rest)
                count += len(removed)
            chunks, last = chunks + 1, run_ids[-1]
        return count

    async def _remove_batch(self, run_ids: Sequence[str]) -> tuple[Sequence[str], float]:
        """Remove runs. Return their ids and the seconds that the writer spent on them."""
        queries = tuple(map(RawById, run_ids))

        def decide(tx: ExclusiveTransaction, reading: Reading) -> tuple[Sequence[str], Reading]:
            return _remove_existing(tx, queries), reading

        command = timed_command(self._lease_clock, decide, queries)
        # The reading is taken within the transaction, so the wait for other commands before it does not count.
        removed, reading = await self._writer.submit(command)
        return removed, self._lease_clock.seconds_since(reading)


def _remove_existing(tx: ExclusiveTransaction, queries: Sequence[RawById]) -> Sequence[str]:
    removed = []
    for query in queries:
        # Another call may have removed the run meanwhile.
        with suppress(RunNotFound):
            tx.delete(tx.raw(query))
            removed.append(query.run_id)
    return removed
