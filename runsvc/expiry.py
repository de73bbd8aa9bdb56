"""The end of runs whose time is up: of leases that nobody renewed, and of timeouts."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc import lifecycle
from runsvc.errors import CorruptRow, OutcomeUnknown, Overloaded, StoreUnavailable
from runsvc.store.base import DueLeases, DueTimeouts
from runsvc.transaction import Command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.model import Run
    from runsvc.serving import Beat, Counted, Serving
    from runsvc.transaction import Transaction
    from runsvc.writer import Writer

_log = logging.getLogger(__name__)

#: Time between two looks.
INTERVAL: Final = timedelta(seconds=0.25)
#: Leases, and timeouts, that end in one transaction, so that other commands wait milliseconds.
LIMIT: Final = 100


class _Look(NamedTuple):
    """What came of a look: when it was, which runs ended, and which were due and could not be read."""

    beat: Beat
    ended: Sequence[Run] = ()
    corrupt: Sequence[CorruptRow] = ()


class Expiry:
    """Looks for what is due, in transactions of its own, which at the same time show that the service serves."""

    def __init__(self, writer: Writer, serving: Serving) -> None:
        self._writer = writer
        self._serving = serving
        #: Runs that are due and cannot be read. They stay first in line, so others are looked for behind them.
        self._corrupt: set[str] = set()

    async def look(self) -> bool:
        """End what is due; whether there may be more of it. StoreUnavailable, OutcomeUnknown, Overloaded."""
        try:
            look = await self._writer.submit(self._command(self._serving.counted()))
        except (StoreUnavailable, OutcomeUnknown, Overloaded):
            self._serving.interrupt()
            raise
        self._serving.beat(look.beat)
        self._report(look.corrupt)
        return len(look.ended) >= LIMIT

    def _command(self, counted: Counted | None) -> Command[_Look]:
        if counted is None:
            return Command(lambda tx: _Look(self._serving.moment(tx.time)))
        limit = LIMIT + len(self._corrupt)
        leases = DueLeases(counted.at, counted.served, limit)
        timeouts = DueTimeouts(counted.at, counted.steady, limit)

        def decide(tx: Transaction) -> _Look:
            beat = self._serving.moment(tx.time)
            if self._serving.broken:
                # What seems due may be so because of the break. A commit shows whether that is over.
                tx.keep_time()
                return _Look(beat)
            return _end(tx, beat, counted, list(tx.due(leases, timeouts)))

        return Command(decide, (leases, timeouts), alone=True)

    def _report(self, corrupt: Sequence[CorruptRow]) -> None:
        for each in corrupt:
            if each.run_id not in self._corrupt:
                self._corrupt.add(each.run_id)
                _log.error("A run whose time is up stays as it is: %s", each)


def _end(tx: Transaction, beat: Beat, counted: Counted, due: Sequence[Run | CorruptRow]) -> _Look:
    ended: list[Run] = []
    # What has passed since it was counted may be a delay. And nothing ends before its time by the store's own.
    by = min(counted.at, tx.time)
    for run in due:
        if isinstance(run, CorruptRow):
            continue
        lease_end = counted.end_of(run.lease) if run.lease else None
        after = lifecycle.expire(run, tx.stamp(), by=by, lease_end=lease_end, steady=counted.steady)
        if tx.save(run, after) is not run:
            ended.append(after)
    return _Look(beat, ended, [each for each in due if isinstance(each, CorruptRow)])
