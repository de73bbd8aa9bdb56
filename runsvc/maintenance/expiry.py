"""The end of runs whose time is up: of leases that nobody renewed, and of timeouts."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import ExclusiveCommand
from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, OutcomeUnknown, Overloaded, StoreUnavailable
from runsvc.store.queries import DueLeases, DueTimeouts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.core.model import Run
    from runsvc.maintenance.lease_clock import Beat, Elapsed, LeaseClock

_log = logging.getLogger(__name__)

#: Time between two looks.
INTERVAL: Final = timedelta(seconds=0.25)
#: Leases, and timeouts, that end in one transaction, so that other commands wait milliseconds.
LIMIT: Final = 100


class _Look(NamedTuple):
    """What came of a look: when it was, how many runs ended, and which were due and could not be read."""

    beat: Beat
    ended: int = 0
    corrupt: Sequence[CorruptRow] = ()
    #: How many leases, and how many timeouts, the next look leaves out; None: as many as this one.
    skips: tuple[int, int] | None = None


class Expiry:
    """Looks for what is due, in transactions of its own, which at the same time show that the service serves."""

    def __init__(self, writer: Writer, serving: LeaseClock) -> None:
        self._writer = writer
        self._serving = serving
        #: Leases, and timeouts, that stay first in line: they cannot be read, or have time left for what was late. So
        #: others are looked for behind them, until all have had a look.
        self._skips = 0, 0
        #: Runs that are due and cannot be read, of which was told.
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
        self._skips = look.skips or self._skips
        return look.ended >= LIMIT

    def _command(self, counted: Elapsed | None) -> ExclusiveCommand[_Look]:
        if counted is None:
            return ExclusiveCommand(lambda tx: _Look(self._serving.moment(tx.time)))
        skip_leases, skip_timeouts = self._skips
        leases = DueLeases(counted.at, counted.served, LIMIT, skip_leases)
        timeouts = DueTimeouts(counted.at, LIMIT, skip_timeouts)

        def decide(tx: ExclusiveTransaction) -> _Look:
            beat = self._serving.moment(tx.time)
            if self._serving.broken:
                # What seems due may be so because of the break. A commit shows whether that is over.
                tx.keep_time()
                return _Look(beat)
            due = list(tx.due(leases, timeouts))
            ended = {each.run_id for each in due if _end(tx, counted, each)}
            corrupt = [each for each in due if isinstance(each, CorruptRow)]
            skips = _skip(tx, leases, ended), _skip(tx, timeouts, ended)
            return _Look(beat, len(ended), corrupt, skips)

        return ExclusiveCommand(decide, (leases, timeouts))

    def _report(self, corrupt: Sequence[CorruptRow]) -> None:
        for each in corrupt:
            if each.run_id not in self._corrupt:
                self._corrupt.add(each.run_id)
                _log.error("A run whose time is up stays as it is: %s", each)


def _end(tx: ExclusiveTransaction, counted: Elapsed, run: Run | CorruptRow) -> bool:
    """End a run if its time is up; whether this ended it."""
    if isinstance(run, CorruptRow):
        return False
    # What has passed since it was counted may be a delay. And nothing ends before its time by the store's own.
    by = min(counted.at, tx.time)
    lease_end = counted.end_of(run.lease) if run.lease else None
    limit = lifecycle.limit_of(run)
    limit_end = counted.end_of_limit(limit) if limit else None
    after = lifecycle.expire(run, tx.stamp(), by=by, lease_end=lease_end, limit_end=limit_end)
    return tx.save(run, after) is not run


def _skip(tx: ExclusiveTransaction, query: DueLeases | DueTimeouts, ended: Collection[str]) -> int:
    """How many the query is to leave out next time: all that stay, or none once it came to the last one."""
    found = list(tx.due(query))
    if len(found) < query.limit:
        return 0
    return query.skip + sum(each.run_id not in ended for each in found)
