"""Attachments: streams that count as clients of a run, and the cancel of runs that all clients have left.

While this server has a stream, it renews the stream's attachment. When the client leaves, the attachment lasts for the
grace period; when the server ended or lost the stream, for the reconnect grace period. A run is cancelled when its last
attachment ends. The single writer makes all these decisions, so a client that returns in time always keeps its run.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import Command
from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, RunNotFound
from runsvc.core.lines import end_line
from runsvc.maintenance.lease_clock import TOLERANCE
from runsvc.maintenance.timed_command import timed_command
from runsvc.settings import Settings
from runsvc.store.attachments import (
    Abandoned,
    AnyReleased,
    Attach,
    Detach,
    Release,
    ReleaseOthers,
    Renew,
)
from runsvc.store.queries import ById

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runsvc.commit.command import ExclusiveCommand
    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.transaction import Transaction
    from runsvc.commit.writer import Writer
    from runsvc.core.model import Run
    from runsvc.core.owners import Scope
    from runsvc.maintenance.elapsed import Elapsed
    from runsvc.maintenance.lease_clock import LeaseClock, Reading
    from runsvc.timekeeper import Timekeeper

_log = logging.getLogger(__name__)

#: Time between two updates.
INTERVAL: Final = timedelta(seconds=0.25)
#: Default time for a client to return after it left.
GRACE: Final = timedelta(seconds=Settings.attach_grace)
#: Default time for a client to return after the server ended or lost its stream.
RECONNECT_GRACE: Final = timedelta(seconds=Settings.reconnect_grace)
#: Time between two renewals of this server's attachments. A renewed attachment lasts for this time and the reconnect
#: grace period, because at least the latter must remain if this server is lost.
RENEWAL: Final = timedelta(seconds=20)
#: Time between two searches of an idle server for attachments that other servers have released.
SEARCH: Final = timedelta(seconds=1)
#: Maximum number of runs per transaction. Other commands then wait for milliseconds only.
LIMIT: Final = 50


class UpdateResult(NamedTuple):
    """The result of an update."""

    #: True if there may be attachments that this server does not hold.
    has_released: bool
    #: Number of abandoned runs, including corrupt ones.
    abandoned: int = 0
    #: Abandoned runs that cannot be read.
    corrupt: Sequence[CorruptRow] = ()
    #: Abandoned runs that were cancelled.
    cancelled: Sequence[Run] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The facts of an update, and the decision that follows from them."""

    server: str
    #: Attachments of ended streams, and the time for their clients to return.
    left: Mapping[str, timedelta]
    #: The first update of the only server: all other attachments belong to servers that are gone.
    is_first: bool
    is_renewal: bool
    reconnect_grace: timedelta
    elapsed: Elapsed | None
    any_released: AnyReleased
    #: None while clients may not have had the time to return.
    abandoned: Abandoned | None

    def decide(self, tx: ExclusiveTransaction, reading: Reading) -> UpdateResult:
        """Store the changes, and cancel abandoned runs."""
        has_released = tx.any_released(self.any_released)
        if self.is_first and has_released:
            tx.attach(ReleaseOthers(self.server, tx.time + self.reconnect_grace))
        tx.attach(*(Release(each, tx.time + grace) for each, grace in self.left.items()))
        if self.is_renewal:
            expires_at = tx.time + self.reconnect_grace + RENEWAL
            tx.attach(Renew(self.server, tx.time, expires_at))
        result = UpdateResult(has_released or bool(self.left))
        if self.abandoned is None or self._may_be_outage(reading):
            return result
        return _cancel_abandoned(tx, self.abandoned, result)

    def _may_be_outage(self, reading: Reading) -> bool:
        """Return True if attachments may seem to have ended because of an outage."""
        if reading.in_outage or self.elapsed is None:
            return True
        return reading.time - self.elapsed.now > TOLERANCE


class Attachments:
    """The attachments of this server's streams, and the end of all others. Belongs to the event loop."""

    def __init__(
        self,
        writer: Writer,
        lease_clock: LeaseClock,
        timekeeper: Timekeeper,
        *,
        grace: timedelta = GRACE,
        reconnect_grace: timedelta = RECONNECT_GRACE,
        limit: int = LIMIT,
        is_shared: bool = False,
    ) -> None:
        """is_shared: other servers may hold attachments in the store, and find out who is dead (Registration)."""
        self._is_shared = is_shared
        self._writer = writer
        self._lease_clock = lease_clock
        self._timekeeper = timekeeper
        self._grace = grace
        # After a stop of the server, a client needs at least the time that it has otherwise.
        self._reconnect_grace = max(reconnect_grace, grace)
        self._limit = limit
        #: The id of this server among those that hold attachments.
        self.server = token_hex(8)
        #: The runs of the streams of this server, by attachment id.
        self._held: dict[str, str] = {}
        #: Attachments of streams that have ended, not yet stored, and the time for each client to return.
        self._left: dict[str, timedelta] = {}
        self._next_renewal = 0.0
        #: When this server searches for attachments that others have released.
        self._next_search = 0.0
        #: True if the store may have attachments that this server does not hold; None before the first update.
        self._has_released: bool | None = None

    @property
    def held(self) -> int:
        """Number of attached streams of this server."""
        return len(self._held)

    async def attach(self, scope: Scope, run_id: str) -> str:
        """Attach a stream. Return the id for `leave`. Without effect on a run that has ended or does not exist."""
        attachment_id, query = token_hex(8), ById(run_id, scope)

        def decide(tx: Transaction) -> None:
            with suppress(RunNotFound):
                if lifecycle.ends_without_clients(tx.run(query)):
                    tx.attach(self._attach(tx, attachment_id, run_id))

        if not self._held:
            self._next_renewal = self._timekeeper.monotonic() + RENEWAL.total_seconds()
        self._held[attachment_id] = run_id
        try:
            await self._writer.submit(Command(decide, (query,)))
        except BaseException:
            # The command may have taken effect nevertheless.
            self.leave(attachment_id)
            raise
        return attachment_id

    def leave(self, attachment_id: str, *, ended_here: bool = False) -> None:
        """Note the end of a stream, by its client or (`ended_here`) by this server. The next update stores it."""
        self._held.pop(attachment_id, None)
        self._left[attachment_id] = self._reconnect_grace if ended_here else self._grace

    def return_by(self, time: datetime) -> datetime:
        """The end of the time to return for clients whose server was lost at this time."""
        return time + self._reconnect_grace

    async def renew_all(self) -> None:
        """Attach all streams of this server again: another server has released them. Errors as in `run`."""
        ids = list(self._held)
        for begin in range(0, len(ids), self._limit):
            # A stream that ends while this is under way is released by a later command.
            part = ids[begin : begin + self._limit]
            chunk = {each: self._held[each] for each in part if each in self._held}
            queries = {each: ById(run_id, None) for each, run_id in chunk.items()}
            decide = partial(self._attach_again, queries=queries)
            await self._writer.submit(Command(decide, tuple(queries.values())))

    def _attach_again(self, tx: Transaction, queries: Mapping[str, ById]) -> None:
        for attachment_id, query in queries.items():
            with suppress(RunNotFound, CorruptRow):
                if lifecycle.ends_without_clients(tx.run(query)):
                    tx.attach(self._attach(tx, attachment_id, query.run_id))

    def _attach(self, tx: Transaction, attachment_id: str, run_id: str) -> Attach:
        expires_at = tx.time + self._reconnect_grace + RENEWAL
        return Attach(attachment_id, run_id, self.server, expires_at)

    async def run(self) -> None:
        """Update until all abandoned runs are cancelled. Raise StoreUnavailable, OutcomeUnknown, Overloaded."""
        while await self.update():
            pass

    async def update(self) -> bool:
        """Store ended streams, renew held ones, and cancel some abandoned runs. Return True if there may be more.

        Errors as in `run`; the next update then repeats the work.
        """
        is_renewal = bool(self._held) and self._timekeeper.monotonic() >= self._next_renewal
        is_idle = self._has_released is False and not self._left and not is_renewal
        if is_idle and not self._may_be_released():
            return False
        left = dict(self._left)
        result = await self._writer.submit(self._command(left, is_renewal=is_renewal))
        for attachment_id in left:
            del self._left[attachment_id]
        if is_renewal:
            self._next_renewal = self._timekeeper.monotonic() + RENEWAL.total_seconds()
        self._has_released = result.has_released
        for run in result.cancelled:
            _log.info("%s", end_line(run))
        for corrupt in result.corrupt:
            _log.error("A run that all clients left cannot be cancelled: %s", corrupt)
        return result.abandoned >= self._limit

    def _may_be_released(self) -> bool:
        """Return True, at intervals, if another server may have released attachments."""
        now = self._timekeeper.monotonic()
        if not self._is_shared or now < self._next_search:
            return False
        self._next_search = now + SEARCH.total_seconds()
        return True

    def _command(
        self, left: Mapping[str, timedelta], *, is_renewal: bool
    ) -> ExclusiveCommand[UpdateResult]:
        elapsed, is_first = self._lease_clock.elapsed(), self._has_released is None
        any_released = AnyReleased(self.server)
        abandoned = self._abandoned(elapsed) if elapsed and not is_first else None
        update = Update(
            server=self.server,
            left=left,
            is_first=is_first and not self._is_shared,
            is_renewal=is_renewal,
            reconnect_grace=self._reconnect_grace,
            elapsed=elapsed,
            any_released=any_released,
            abandoned=abandoned,
        )
        reads = (any_released,) if abandoned is None else (any_released, abandoned)
        return timed_command(self._lease_clock, update.decide, reads)

    def _abandoned(self, elapsed: Elapsed) -> Abandoned | None:
        """Return the query for abandoned runs; None while clients may not have had the time to return."""
        if elapsed.since_outage < min(self._grace, GRACE):
            return None
        cutoff = elapsed.cutoff(self._grace, self._reconnect_grace)
        return Abandoned(cutoff, self.server, self._limit)


def _cancel_abandoned(
    tx: ExclusiveTransaction, query: Abandoned, result: UpdateResult
) -> UpdateResult:
    corrupt: list[CorruptRow] = []
    cancelled: list[Run] = []
    abandoned = 0
    for run in tx.due(query):
        abandoned += 1
        if isinstance(run, CorruptRow):
            corrupt.append(run)
        else:
            after = tx.save(run, lifecycle.disconnect(run, tx.stamp()))
            if after is not run:
                cancelled.append(after)
        tx.attach(Detach(run.run_id))
    return result._replace(abandoned=abandoned, corrupt=corrupt, cancelled=cancelled)
