"""Registration: which servers of a shared store are alive.

Each server registers itself at intervals. One that has not done so for a while is dead: it is forgotten, and its
attachments are released. The rule is that of leases, so only time counts in which the judging server itself could
write: after an outage of the database, no server takes the others for dead.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core.errors import RunsvcError
from runsvc.core.model import Lease
from runsvc.maintenance.timed_command import timed_command
from runsvc.store.attachments import Extend, Register, Unregister

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.maintenance.attachments import Attachments
    from runsvc.maintenance.elapsed import Elapsed
    from runsvc.maintenance.lease_clock import LeaseClock, Reading
    from runsvc.store.attachments import Server

_log = logging.getLogger(__name__)

#: Time between two registrations.
INTERVAL: Final = timedelta(seconds=4)
#: Time without a registration after which a server is dead.
TTL: Final = timedelta(seconds=15)
#: Seconds that a server has at its stop to forget itself. Otherwise the others do so.
_LAST_WORD: Final = 2.0


class Registered(NamedTuple):
    """The result of a registration."""

    #: This server was registered already.
    was_known: bool
    #: Other servers that registered within TTL.
    alive: Sequence[str]
    #: Servers that were forgotten.
    dead: Sequence[str]


class Registration:
    """Registers this server, and forgets dead ones."""

    def __init__(
        self,
        writer: Writer,
        lease_clock: LeaseClock,
        attachments: Attachments,
        *,
        ttl: timedelta = TTL,
    ) -> None:
        self._writer = writer
        self._lease_clock = lease_clock
        self._attachments = attachments
        self._ttl = ttl

    async def start(self) -> Sequence[str]:
        """Register before the first client comes, and return the other servers that are alive.

        Without any, there was an outage of all: clients that left before it have their time to return again. Errors as
        in `run`.
        """

        def decide(tx: ExclusiveTransaction, _: Reading) -> Registered:
            found = self._register(tx, None)
            if not found.alive:
                tx.attach(Extend(self._attachments.return_by(tx.time)))
            return found

        return (await self._writer.submit(timed_command(self._lease_clock, decide))).alive

    async def run(self) -> None:
        """Register again. Raise StoreUnavailable, OutcomeUnknown, Overloaded."""
        elapsed = self._lease_clock.elapsed()

        def decide(tx: ExclusiveTransaction, reading: Reading) -> Registered:
            return self._register(tx, None if reading.in_outage else elapsed)

        result = await self._writer.submit(timed_command(self._lease_clock, decide))
        for server in result.dead:
            _log.warning("Server %s is dead: its attachments are released.", server)
        if not result.was_known:
            _log.warning("Another server took this one for dead: its attachments are renewed.")
            await self._attachments.renew_all()

    async def close(self) -> None:
        """Forget this server, and release its attachments, if the store works."""

        def decide(tx: ExclusiveTransaction, _: Reading) -> None:
            own = (self._attachments.server,)
            tx.attach(Unregister(own, self._attachments.return_by(tx.time)))

        with suppress(RunsvcError, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._writer.submit(timed_command(self._lease_clock, decide))

    def _register(self, tx: ExclusiveTransaction, elapsed: Elapsed | None) -> Registered:
        own = self._attachments.server
        servers = tx.reads.servers()
        others = [each for each in servers if each.server != own]
        dead = [each.server for each in others if elapsed and self._is_dead(each, elapsed, tx)]
        tx.attach(Register(own, tx.time))
        if dead:
            tx.attach(Unregister(tuple(dead), self._attachments.return_by(tx.time)))
        alive = [each.server for each in others if each.seen_at + self._ttl > tx.time]
        return Registered(len(others) < len(servers), alive, dead)

    def _is_dead(self, server: Server, elapsed: Elapsed, tx: ExclusiveTransaction) -> bool:
        promise = Lease(self._ttl, server.seen_at + self._ttl)
        return elapsed.lease_end(promise) <= min(elapsed.now, tx.time)
