"""Expiry: ends runs after their timeout, or when their lease was not renewed."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core import lifecycle, stopping
from runsvc.core.errors import CorruptRow, OutcomeUnknown, Overloaded, StoreUnavailable
from runsvc.core.lines import end_line
from runsvc.core.terms import limit_of
from runsvc.maintenance.timed_command import timed_command
from runsvc.settings import Settings
from runsvc.store.queries import DueLeases, DueTimeouts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from runsvc.commit.command import ExclusiveCommand
    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.core.model import Run
    from runsvc.maintenance.elapsed import Elapsed
    from runsvc.maintenance.lease_clock import LeaseClock, Reading

_log = logging.getLogger(__name__)

#: Time between two passes, which are also the beats of the lease clock.
INTERVAL: Final = timedelta(seconds=0.25)
#: Maximum number of leases, and of timeouts, per transaction. Other commands then wait for milliseconds only.
LIMIT: Final = 100
#: Default time after a cancel in which the executor of a run without a lease counts as still at work.
STOP_GRACE: Final = timedelta(seconds=Settings.stop_grace)


class Pass(NamedTuple):
    """The result of a pass."""

    beat: Reading
    #: Number of runs that were ended.
    ended: int = 0
    #: Expired runs that cannot be read.
    corrupt: Sequence[CorruptRow] = ()
    #: Numbers of leases and of timeouts that the next pass skips; None: the same as in this pass.
    skips: tuple[int, int] | None = None
    #: The runs that were ended.
    runs: Sequence[Run] = ()


class Expiry:
    """Ends expired runs in its own transactions, which also serve as beats of the lease clock."""

    def __init__(
        self,
        writer: Writer,
        lease_clock: LeaseClock,
        *,
        limit: int = LIMIT,
        stop_grace: timedelta = STOP_GRACE,
    ) -> None:
        self._writer = writer
        self._stop_grace = stop_grace
        self._lease_clock = lease_clock
        self._limit = limit
        #: Numbers of leases and of timeouts that stay at the front of the query although they are due: the run is
        #: corrupt, or has time left because of delays. The next pass skips them to reach the rest of the queue.
        self._skips = 0, 0
        #: Ids of corrupt runs that were logged.
        self._logged: set[str] = set()

    async def run(self) -> None:
        """End all expired runs. Raise StoreUnavailable, OutcomeUnknown, Overloaded."""
        while await self.end_expired():
            pass

    async def end_expired(self) -> bool:
        """End some expired runs. Return True if there may be more. Errors as in `run`."""
        try:
            result = await self._writer.submit(self._command(self._lease_clock.elapsed()))
        except (StoreUnavailable, OutcomeUnknown, Overloaded):
            self._lease_clock.begin_outage()
            raise
        self._lease_clock.record_beat(result.beat)
        self._report(result.corrupt)
        for run in result.runs:
            if run.cancellation is not None:
                # Its executor counts as stopped, and the run has ended before.
                continue
            _log.info("%s", end_line(run))
        self._skips = result.skips or self._skips
        return result.ended >= self._limit

    def _command(self, elapsed: Elapsed | None) -> ExclusiveCommand[Pass]:
        if elapsed is None:
            return timed_command(self._lease_clock, lambda _, reading: Pass(reading))
        skip_leases, skip_timeouts = self._skips
        leases = DueLeases(elapsed.now, elapsed.since_outage, self._limit, skip_leases)
        timeouts = DueTimeouts(elapsed.now, self._limit, skip_timeouts)
        decide = partial(
            end_expired_runs,
            elapsed=elapsed,
            leases=leases,
            timeouts=timeouts,
            stop_grace=self._stop_grace,
        )
        return timed_command(self._lease_clock, decide, (leases, timeouts))

    def _report(self, corrupt: Sequence[CorruptRow]) -> None:
        for each in corrupt:
            if each.run_id not in self._logged:
                self._logged.add(each.run_id)
                _log.error("An expired run cannot be ended: %s", each)


def end_expired_runs(
    tx: ExclusiveTransaction,
    reading: Reading,
    *,
    elapsed: Elapsed,
    leases: DueLeases,
    timeouts: DueTimeouts,
    stop_grace: timedelta = STOP_GRACE,
) -> Pass:
    """Decide which of the due runs have expired, and end them. During an outage, none has."""
    if reading.in_outage:
        # Runs may seem expired because of the outage. A successful commit proves that it is over.
        tx.keep_time()
        return Pass(reading)
    due = list(tx.due(leases, timeouts))
    runs = [run for each in due if (run := _end_if_expired(tx, elapsed, each))]
    ended = {run.run_id for run in runs}
    corrupt = [each for each in due if isinstance(each, CorruptRow)]
    skips = _next_skip(tx, leases, ended), _next_skip(tx, timeouts, ended)
    _give_up_silent(tx, elapsed, stop_grace, leases.limit)
    return Pass(reading, len(ended), corrupt, skips, runs)


def _give_up_silent(
    tx: ExclusiveTransaction, elapsed: Elapsed, stop_grace: timedelta, limit: int
) -> None:
    """Take executors without a lease as stopped, after a cancel and the grace period in which they could report."""
    if elapsed.since_outage < stop_grace:
        return
    by = min(elapsed.now, tx.time) - stop_grace
    for run_id in tx.reads.silent(by, limit):
        # A run that cannot be read stays as it is until an operator removes it.
        with suppress(CorruptRow):
            if (run := tx.find(run_id)) is not None:
                tx.save(run, stopping.give_up(run, tx.stamp(), by=by))


def _end_if_expired(
    tx: ExclusiveTransaction, elapsed: Elapsed, run: Run | CorruptRow
) -> Run | None:
    """End a run if it has expired. Return it if it was ended."""
    if isinstance(run, CorruptRow):
        return None
    # The time since `elapsed` was computed may be a delay, so it does not count. Nor does a run end before the store's
    # own time reaches its end.
    by = min(elapsed.now, tx.time)
    lease_end = elapsed.lease_end(run.lease) if run.lease else None
    limit = limit_of(run)
    limit_end = elapsed.limit_end(limit) if limit else None
    after = lifecycle.expire(run, tx.stamp(), by=by, lease_end=lease_end, limit_end=limit_end)
    return saved if (saved := tx.save(run, after)) is not run else None


def _next_skip(
    tx: ExclusiveTransaction, query: DueLeases | DueTimeouts, ended: Collection[str]
) -> int:
    """Return the number of runs that the next query skips: all that stay due, or 0 after the end of the queue."""
    found = list(tx.due(query))
    if len(found) < query.limit:
        return 0
    return query.skip + sum(each.run_id not in ended for each in found)
