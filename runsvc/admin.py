"""Care of the store as a whole, over every owner's runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc import __version__
from runsvc.commit.command import ExclusiveCommand
from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow
from runsvc.store.queries import Lapsed, Orphans, RawById

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.core.model import Run
    from runsvc.maintenance.attachments import Attachments
    from runsvc.maintenance.lease_clock import LeaseClock
    from runsvc.store.base import Clock, Codec, Record, Store
    from runsvc.watch.hub import StatusHub

#: Error of a reconciled run when none is given.
ORPHAN_ERROR: Final = "No executor was left to finish this run."


class Reconciled(NamedTuple):
    """Runs that became ERROR, oldest first, and whether there are more."""

    runs: Sequence[Run]
    more: bool


class ServerInfo(NamedTuple):
    """What a server is and what it holds."""

    version: str
    store_kind: str
    clock: Clock
    active_runs: int
    watchers: int
    #: Streams of this server that count as a client of their run.
    attachments: int


class Admin:
    """Reconciles, removes and reports."""

    def __init__(
        self,
        writer: Writer,
        store: Store,
        hub: StatusHub,
        codec: Codec,
        serving: LeaseClock,
        attachments: Attachments,
    ) -> None:
        self._writer = writer
        self._serving = serving
        self._attachments = attachments
        self._store = store
        self._hub = hub
        self._codec = codec

    async def reconcile_orphans(
        self, *, error: str, before: datetime | None, limit: int
    ) -> Reconciled:
        """End active runs that no living executor holds, oldest first. CorruptRow when one cannot be read.

        Whose lease holds, or had not its whole ttl since the service was interrupted, is left alone.
        """
        counted = self._serving.counted()
        lapsed = counted and Lapsed(counted.at, counted.prompt)
        query = Orphans(before, limit + 1, lapsed)

        def decide(tx: ExclusiveTransaction) -> Reconciled:
            found = tx.orphans(query)
            ended = [
                tx.save(run, lifecycle.orphan(run, tx.stamp(), error=error))
                for run in found[:limit]
                # A lease that seems over may be so because of a break.
                if run.lease is None or not self._serving.broken
            ]
            return Reconciled(ended, len(found) > limit)

        return await self._writer.submit(ExclusiveCommand(decide, (query,)))

    async def delete(self, run_id: str) -> None:
        """Remove a run that has ended, or that cannot be read. RunNotFound, InvalidTransition."""

        query = RawById(run_id)

        def decide(tx: ExclusiveTransaction) -> None:
            record = tx.raw(query)
            if self._readable(record):
                lifecycle.check_deletable(run_id, record.status)
            tx.delete(record)

        await self._writer.submit(ExclusiveCommand(decide, (query,)))

    async def server_info(self) -> ServerInfo:
        """What this server is and holds."""
        return ServerInfo(
            version=__version__,
            store_kind=self._store.kind,
            clock=await self._store.reading.clock(),
            active_runs=await self._store.reading.count_active(),
            watchers=self._hub.watchers,
            attachments=self._attachments.held,
        )

    def _readable(self, record: Record) -> bool:
        with suppress(CorruptRow):
            self._codec.decode(record)
            return True
        return False
