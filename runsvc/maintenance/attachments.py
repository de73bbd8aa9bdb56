"""Attachments: streams that count as their run's client, and the end of runs that no client holds any longer.

While this server holds a stream it renews its attachment. When the client leaves, the attachment stays for the grace;
when the server ended the stream, or was lost with it, for a minute. A run whose last attachment is over is cancelled.
All of it is decided in transactions of the one writer, so that a client that comes back in time is never too late.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import Command, ExclusiveCommand
from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, RunNotFound
from runsvc.maintenance.lease_clock import TOLERANCE
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

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.transaction import Transaction
    from runsvc.commit.writer import Writer
    from runsvc.maintenance.lease_clock import Elapsed, LeaseClock
    from runsvc.timekeeper import Timekeeper

_log = logging.getLogger(__name__)

#: Seconds between two looks.
INTERVAL: Final = 0.25
#: How long a client has to come back after it left.
GRACE: Final = timedelta(seconds=5)
#: How long it has after the server ended its stream, or was lost with it; no less than the grace.
COMEBACK: Final = timedelta(seconds=60)
#: How often attachments are renewed. Each is good for so much longer than a client has to come back: for that is what
#: remains of it when this server is lost.
RENEWAL: Final = timedelta(seconds=20)
#: Runs that are cancelled in one transaction, so that other commands wait milliseconds.
LIMIT: Final = 50


class _Look(NamedTuple):
    """What came of a look."""

    #: Whether there may be attachments that this server does not hold.
    released: bool
    #: Runs that had lost their last client, and those of them that cannot be read.
    abandoned: int = 0
    corrupt: Sequence[CorruptRow] = ()


class Attachments:
    """Those of the streams of this server, and the end of all others. Lives on the event loop."""

    def __init__(
        self,
        writer: Writer,
        serving: LeaseClock,
        timekeeper: Timekeeper,
        *,
        grace: timedelta = GRACE,
    ) -> None:
        self._writer = writer
        self._serving = serving
        self._timekeeper = timekeeper
        self._grace = grace
        self._comeback = max(COMEBACK, grace)
        self._server = token_hex(8)
        self._held: set[str] = set()
        #: Whose stream has ended, which the store has not heard yet, and how long each has to come back.
        self._left: dict[str, timedelta] = {}
        self._next_renewal = 0.0
        #: Whether the store may have attachments that this server does not hold; None before the first look.
        self._released: bool | None = None

    @property
    def held(self) -> int:
        """How many streams of this server are attached."""
        return len(self._held)

    async def attach(self, owner: str, run_id: str) -> str:
        """Count a stream that begins; leave with what this returns. A run that is over or gone needs no client."""
        attachment_id, query = token_hex(8), ById(run_id)

        def decide(tx: Transaction) -> None:
            with suppress(RunNotFound):
                if lifecycle.is_bound(tx.run(query, owner)):
                    expires_at = tx.time + self._comeback + RENEWAL
                    tx.attach(Attach(attachment_id, run_id, self._server, expires_at))

        if not self._held:
            self._next_renewal = self._timekeeper.monotonic() + RENEWAL.total_seconds()
        self._held.add(attachment_id)
        try:
            await self._writer.submit(Command(decide, (query,)))
        except BaseException:
            # It may have taken effect all the same.
            self.leave(attachment_id)
            raise
        return attachment_id

    def leave(self, attachment_id: str, *, ended_here: bool = False) -> None:
        """The stream is gone: its client left, or this server ended it. The store hears of it at the next look."""
        self._held.discard(attachment_id)
        self._left[attachment_id] = self._comeback if ended_here else self._grace

    async def look(self) -> bool:
        """Tell the store who left, renew what is held, and cancel runs without a client; whether there may be more.

        StoreUnavailable, OutcomeUnknown, Overloaded: the next look does what this one did not.
        """
        is_renewal = bool(self._held) and self._timekeeper.monotonic() >= self._next_renewal
        if self._released is False and not self._left and not is_renewal:
            return False
        left = dict(self._left)
        look = await self._writer.submit(self._command(left, is_renewal=is_renewal))
        for attachment_id in left:
            del self._left[attachment_id]
        if is_renewal:
            self._next_renewal = self._timekeeper.monotonic() + RENEWAL.total_seconds()
        self._released = look.released
        for corrupt in look.corrupt:
            _log.error("A run whose client left stays as it is: %s", corrupt)
        return look.abandoned >= LIMIT

    def _command(
        self, left: Mapping[str, timedelta], *, is_renewal: bool
    ) -> ExclusiveCommand[_Look]:
        counted, is_first = self._serving.counted(), self._released is None
        released = AnyReleased(self._server)
        abandoned = self._abandoned(counted) if counted and not is_first else None

        def decide(tx: ExclusiveTransaction) -> _Look:
            has_released = tx.any_released(released)
            if is_first and has_released:
                tx.attach(ReleaseOthers(self._server, tx.time + self._comeback))
            tx.attach(*(Release(each, tx.time + time) for each, time in left.items()))
            if is_renewal:
                expires_at = tx.time + self._comeback + RENEWAL
                tx.attach(Renew(self._server, tx.time, expires_at))
            look = _Look(has_released or bool(left))
            # What seems over may be so because of a break.
            if counted is None or abandoned is None or tx.time - counted.at > TOLERANCE:
                return look
            return look if self._serving.broken else _cancel(tx, abandoned, look)

        reads = (released,) if abandoned is None else (released, abandoned)
        return ExclusiveCommand(decide, reads)

    def _abandoned(self, counted: Elapsed) -> Abandoned | None:
        """What to ask for; None while clients may not have had the time to come back."""
        if counted.served < min(self._grace, GRACE):
            return None
        return Abandoned(counted.over_by(self._grace, self._comeback), self._server, LIMIT)


def _cancel(tx: ExclusiveTransaction, query: Abandoned, look: _Look) -> _Look:
    corrupt: list[CorruptRow] = []
    abandoned = 0
    for run in tx.due(query):
        abandoned += 1
        if isinstance(run, CorruptRow):
            corrupt.append(run)
        else:
            tx.save(run, lifecycle.disconnect(run, tx.stamp()))
        tx.attach(Detach(run.run_id))
    return look._replace(abandoned=abandoned, corrupt=corrupt)
