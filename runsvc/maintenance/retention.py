"""The end of what was kept for long enough: runs that are over, with their request ids."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import ExclusiveCommand
from runsvc.core.errors import RunNotFound
from runsvc.store.queries import RawById
from runsvc.timekeeper import ago

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.maintenance.lease_clock import LeaseClock
    from runsvc.store.base import ReadingStore

#: Runs that are looked up in one read.
STRETCH: Final = 500


class Pace(NamedTuple):
    """How fast runs go."""

    #: Runs that are removed in one transaction.
    chunk: int
    #: How long traffic is left alone after a transaction, in multiples of what that took.
    rest: float


#: One for every GEAR full stretches, so that a service removes as fast as it creates, and not much faster. First the
#: transactions grow, for a flush is most of what a small one takes; then traffic gets less of the time.
PACES: Final = (
    *(Pace(chunk, 9) for chunk in (20, 40, 60, 80, 100)),
    *(Pace(100, rest) for rest in (8, 7, 6, 5, 4)),
)
GEAR: Final = 10


def pace_of(stretches: int) -> Pace:
    """The pace when so many stretches were full and there is more."""
    return PACES[min(stretches // GEAR, len(PACES) - 1)]


class Retention:
    """Removes runs some time after their end, beside the traffic."""

    def __init__(
        self, writer: Writer, store: ReadingStore, serving: LeaseClock, keep: timedelta
    ) -> None:
        self._writer = writer
        self._store = store
        self._serving = serving
        self._keep = keep

    async def remove(self) -> int:
        """Remove every run that ended long enough ago; how many there were."""
        by = ago(self._keep, await self._serving.time_without_jumps())
        count, stretches, last = 0, 0, ""
        while run_ids := await self._store.ended(by, last, STRETCH):
            pace = pace_of(stretches)
            for begin in range(0, len(run_ids), pace.chunk):
                removed, took = await self._remove(run_ids[begin : begin + pace.chunk])
                await asyncio.sleep(took * pace.rest)
                count += removed
            stretches, last = stretches + 1, run_ids[-1]
        return count

    async def _remove(self, run_ids: Sequence[str]) -> tuple[int, float]:
        """How many were there to remove, and for how many seconds the writer was busy with them."""

        queries = tuple(map(RawById, run_ids))

        def decide(tx: ExclusiveTransaction) -> tuple[int, float]:
            # Only from here on: what it had to wait before is the traffic's doing.
            begin, count = time.monotonic(), 0
            for query in queries:
                # Somebody else may have been quicker.
                with suppress(RunNotFound):
                    tx.delete(tx.raw(query))
                    count += 1
            return count, begin

        count, begin = await self._writer.submit(ExclusiveCommand(decide, queries))
        return count, time.monotonic() - begin
