"""The use-cases of administration, over the runs of all owners."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc import __version__
from runsvc.commit.command import ExclusiveCommand
from runsvc.core import admission, lifecycle
from runsvc.core.errors import CorruptRow, RunNotFound
from runsvc.core.lines import end_line
from runsvc.core.model import ACTIVE
from runsvc.core.owners import covers
from runsvc.maintenance.timed_command import timed_command
from runsvc.store.queries import Lapsed, Orphans, RawById
from runsvc.store.queue import LimitChange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import TypeAlias

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.core.model import Run, RunStatus
    from runsvc.core.owners import Scope
    from runsvc.core.queue import Limit
    from runsvc.maintenance.attachments import Attachments
    from runsvc.maintenance.lease_clock import LeaseClock, Reading
    from runsvc.store.base import Codec, Store
    from runsvc.store.values import Clock, Record
    from runsvc.watch.hub import StatusHub

    End: TypeAlias = Callable[[ExclusiveTransaction, Run], Run]

_log = logging.getLogger(__name__)

#: Maximum number of runs that `reconcile_all` ends in one transaction.
RECONCILE_LIMIT: Final = 1_000


class Reconciled(NamedTuple):
    """The runs that became ERROR, oldest first."""

    runs: Sequence[Run]
    #: True if there are more orphans.
    more: bool


class Selection(NamedTuple):
    """The orphans that a reconciliation considers."""

    #: Created at or before this time; None for any.
    before: datetime | None = None
    #: Some of the active statuses.
    statuses: frozenset[RunStatus] = ACTIVE
    #: None for every assistant, or none.
    assistant_id: str | None = None
    #: Of one owner, or of every owner.
    scope: Scope = None


class ServerInfo(NamedTuple):
    """Facts about a server and its store."""

    version: str
    store_kind: str
    clock: Clock
    active_runs: int
    watchers: int
    #: Streams of this server that count as a client of their run.
    attachments: int
    #: Size of the store's write-ahead log.
    write_ahead_log_bytes: int = 0
    queued_runs: int = 0


class Admin:
    """Reconciles orphans, deletes runs and describes the server."""

    def __init__(
        self,
        writer: Writer,
        store: Store,
        hub: StatusHub,
        codec: Codec,
        lease_clock: LeaseClock,
        attachments: Attachments,
    ) -> None:
        self._writer = writer
        self._lease_clock = lease_clock
        self._attachments = attachments
        self._store = store
        self._hub = hub
        self._codec = codec

    async def reconcile_orphans(
        self, selection: Selection, *, error: str, limit: int, dry_run: bool = False
    ) -> Reconciled:
        """End some active runs that no living executor holds, oldest first. Raise CorruptRow.

        A dry run returns the runs that would end, as they are.

        A run with a valid lease is not an orphan, nor is one with a lease that has not had its full ttl since the
        last outage or delay of the service.
        """
        elapsed = self._lease_clock.elapsed()
        lapsed = elapsed and Lapsed(elapsed.now, elapsed.since_delay)
        before, statuses, assistant_id, scope = selection
        query = Orphans(before, limit + 1, lapsed, statuses, assistant_id, scope)
        end = _kept if dry_run else partial(_ended, error=error)
        decide = partial(_reconciled, query=query, end=end, limit=limit)
        return await self._writer.submit(timed_command(self._lease_clock, decide, (query,)))

    async def reconcile_all(self, error: str, *, limit: int = RECONCILE_LIMIT) -> int:
        """End all orphans, `limit` in a transaction, and return their number. A corrupt run stops it, with a log line.

        It is meant for the start of a server, which must be able to start with a corrupt run: only a running server
        can delete that run.
        """
        count, more = 0, True
        while more:
            try:
                ended, more = await self.reconcile_orphans(Selection(), error=error, limit=limit)
            except CorruptRow as corrupt:
                _log.error("Reconciliation stopped: %s Then run `runsvc admin reconcile`.", corrupt)
                break
            for run in ended:
                _log.info("%s", end_line(run))
            count += len(ended)
        return count

    async def delete(self, run_id: str, scope: Scope = None) -> None:
        """Remove a run in the scope that has ended or is corrupt. Raise RunNotFound, RunActive."""
        query = RawById(run_id)

        def decide(tx: ExclusiveTransaction) -> None:
            record = tx.raw(query)
            if not covers(scope, record.owner):
                raise RunNotFound(run_id)
            if self._is_readable(record):
                lifecycle.check_deletable(run_id, record.status)
            tx.delete(record)

        await self._writer.submit(ExclusiveCommand(decide, (query,)))

    async def set_limit(self, prefix: str, width: int | None) -> None:
        """Set the concurrency limit of a prefix, or remove it. Raise TooManyLimits."""

        def decide(tx: ExclusiveTransaction) -> None:
            admission.check_limits(tx.reads.limits(), prefix, width)
            tx.set_limit(LimitChange(prefix, width))

        await self._writer.submit(ExclusiveCommand(decide))

    async def limits(self) -> Sequence[Limit]:
        """Return all concurrency limits, in the order of their prefixes."""
        return await self._store.reading.limits()

    async def server_info(self) -> ServerInfo:
        """Describe this server and its store."""
        census = await self._store.reading.census()
        return ServerInfo(
            version=__version__,
            store_kind=self._store.kind,
            clock=census.clock,
            active_runs=census.active_runs,
            queued_runs=census.queued_runs,
            watchers=self._hub.watchers,
            attachments=self._attachments.held,
            write_ahead_log_bytes=self._store.log_bytes(),
        )

    def _is_readable(self, record: Record) -> bool:
        with suppress(CorruptRow):
            self._codec.decode(record)
            return True
        return False


def _reconciled(
    tx: ExclusiveTransaction, reading: Reading, *, query: Orphans, end: End, limit: int
) -> Reconciled:
    found = tx.orphans(query)
    ended = [
        end(tx, run)
        for run in found[:limit]
        # A lease may seem over because of the outage.
        if run.lease is None or not reading.in_outage
    ]
    return Reconciled(ended, len(found) > limit)


def _ended(tx: ExclusiveTransaction, run: Run, *, error: str) -> Run:
    return tx.save(run, lifecycle.orphan(run, tx.stamp(), error=error))


def _kept(_: ExclusiveTransaction, run: Run) -> Run:
    return run
