"""The use-cases of runs, one method each. Reads go to the store, changes through the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import Command, DeferrableCommand
from runsvc.core import lifecycle, queue, stopping
from runsvc.core.errors import RunNotFound
from runsvc.core.model import RunStatus
from runsvc.settings import Settings
from runsvc.store.queries import ById, PageKey, PageQuery
from runsvc.usecases.creations import COMMAND_COST, Created, Creations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from runsvc.commit.transaction import Transaction
    from runsvc.commit.writer import Writer
    from runsvc.core.model import (
        CancelAction,
        CancelOutcome,
        Progress,
        Report,
        Request,
        Run,
        RunSpec,
        Stamp,
    )
    from runsvc.core.owners import Scope
    from runsvc.core.queue import Queue
    from runsvc.store.base import Codec, ReadingStore
    from runsvc.store.values import Inflight, Record

#: Maximum bytes of the runs of a page, unless its first run alone is larger.
PAGE_BYTES: Final = 1 << 20


class Reported(NamedTuple):
    """A run after a report, and whether the report changed it."""

    run: Run
    changed: bool


class Cancelled(NamedTuple):
    """A run after a cancel, and the outcome."""

    run: Run
    outcome: CancelOutcome


class Page(NamedTuple):
    """A page of a thread's runs."""

    records: Sequence[Record]
    #: The position at which the next page starts; None on the last page.
    next: PageKey | None


class RunManager:
    """Creates, reads, updates and cancels runs.

    Calls on one run take a scope, outside of which a run does not exist: RunNotFound. Calls on a thread, and creations,
    take the owner.
    """

    def __init__(
        self,
        writer: Writer,
        store: ReadingStore,
        codec: Codec,
        *,
        max_active_per_thread: int,
        max_active_per_owner: int | None = None,
        max_queued_per_thread: int = Settings.max_queued_per_thread,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        self._writer = writer
        self._store = store
        self._codec = codec
        self._creations = Creations(
            max_active_per_thread=max_active_per_thread,
            max_active_per_owner=max_active_per_owner,
            max_queued_per_thread=max_queued_per_thread,
        )
        self._page_bytes = page_bytes

    async def create(self, owner: str, spec: RunSpec, request: Request | None) -> Created:
        """Admit a run beside the active and queued runs of its thread.

        Raise ThreadFull, OwnerFull, UnsupportedStrategy, RequestIdReused.
        """
        return await self._create(self._creations.beside(owner, spec, request))

    async def create_or_reject(
        self, owner: str, spec: RunSpec, request: Request | None, *, requested_by: str = ""
    ) -> Created:
        """Admit a run according to its strategy. `requested_by` is the name of the principal.

        Raise ThreadBusy, ThreadFull, OwnerFull, RequestIdReused.
        """
        command = self._creations.by_strategy(owner, spec, request, requested_by)
        return await self._create(command)

    async def get(self, scope: Scope, run_id: str) -> Record:
        """Return a run with its kwargs and its result. Raise RunNotFound."""
        record = await self._store.get(run_id, scope)
        if record is None:
            raise RunNotFound(run_id)
        return record

    async def list_by_thread(
        self,
        owner: str,
        thread_id: str,
        *,
        statuses: frozenset[RunStatus],
        after: PageKey | None,
        page_size: int,
    ) -> Page:
        """Return a page of a thread's runs, newest first, after a position."""
        records = await self._store.page(
            PageQuery(
                owner=owner,
                thread_id=thread_id,
                statuses=statuses,
                after=after,
                limit=page_size + 1,
                max_bytes=self._page_bytes,
            )
        )
        if len(records) <= page_size and _size(records) <= self._page_bytes:
            return Page(records, None)
        # The last record exceeds the page, by number or by bytes. It moves to the next page, unless it is the only one.
        fitting = records[:-1] or records
        return Page(fitting, PageKey(fitting[-1].created_at, fitting[-1].run_id))

    async def queues(self, records: Sequence[Record]) -> Mapping[str, Queue]:
        """Return what each of the queued runs among these waits for, by id."""
        if not any(record.status is RunStatus.QUEUED for record in records):
            return {}
        found = await self._store.waits(records)
        return {
            run_id: queue.explain(
                waits.gated,
                run_id,
                waits.now,
                active=waits.active,
                queued=waits.queued,
                stopping=waits.stopping,
                ahead=waits.ahead,
            )
            for run_id, waits in found.items()
        }

    async def has_inflight(self, owner: str, thread_id: str) -> Inflight:
        """Return the ids of a thread's active runs, newest first, and of its queued runs, oldest first."""
        return await self._store.inflight(owner, thread_id)

    async def report_status(
        self, scope: Scope, run_id: str, to: RunStatus, report: Report
    ) -> Reported:
        """Apply a status that the executor reports. Raise NotHolder, InvalidTransition, InvalidRequest."""
        return await self._report(
            scope,
            run_id,
            lambda run, at: lifecycle.complete(
                run,
                to,
                at,
                worker_id=report.worker_id,
                error=report.error,
                stop_reason=report.stop_reason,
                progress=report.progress,
                attempt=report.attempt,
                retryable=report.retryable,
            ),
            lease_ttl=report.lease_ttl,
            result=report.result,
        )

    async def update_progress(
        self,
        scope: Scope,
        run_id: str,
        progress: Progress,
        *,
        sequence: int | None,
        final: bool,
        worker_id: str | None,
        attempt: int | None = None,
    ) -> Reported:
        """Apply the usage that the executor reports. Raise NotHolder, InvalidRequest."""
        return await self._report(
            scope,
            run_id,
            lambda run, at: lifecycle.report_progress(
                run,
                progress,
                at,
                worker_id=worker_id,
                sequence=sequence,
                final=final,
                attempt=attempt,
            ),
        )

    async def update_model_name(self, scope: Scope, run_id: str, model_name: str | None) -> Run:
        """Set or clear the model name. Raise RunEnded."""
        renamed = await self._report(
            scope,
            run_id,
            lambda run, at: lifecycle.rename_model(run, model_name, at),
            renews=False,
        )
        return renamed.run

    async def update_metadata(
        self, scope: Scope, run_id: str, change: Callable[[bytes], bytes], size: int
    ) -> Reported:
        """Replace the metadata, which adds at most `size` bytes. Raise InvalidRequest if it would be too large."""
        return await self._report(
            scope,
            run_id,
            lambda run, at: lifecycle.replace_metadata(run, change(run.metadata), at),
            renews=False,
            size=size,
        )

    async def heartbeat(
        self, scope: Scope, run_id: str, worker_id: str, *, attempt: int | None = None
    ) -> Run:
        """Renew the lease of a living executor. Raise NotHolder, RunEnded."""
        reported = await self._report(
            scope,
            run_id,
            lambda run, at: lifecycle.heartbeat(run, worker_id=worker_id, attempt=attempt),
            is_heartbeat=True,
        )
        return reported.run

    async def cancel(
        self,
        scope: Scope,
        run_id: str,
        action: CancelAction,
        note: str | None,
        *,
        requested_by: str = "",
    ) -> Cancelled:
        """Cancel a run, unless it has ended. `requested_by` is the name of the principal."""
        query = ById(run_id, scope)

        def decide(tx: Transaction) -> Cancelled:
            before = tx.run(query)
            after, outcome = lifecycle.cancel(
                before, action, tx.stamp(), note=note, requested_by=requested_by
            )
            return Cancelled(tx.save(before, after), outcome)

        return await self._writer.submit(Command(decide, (query,), COMMAND_COST))

    async def acknowledge_cancel(
        self,
        scope: Scope,
        run_id: str,
        *,
        worker_id: str | None,
        progress: Progress | None,
        stop_reason: str | None = None,
        attempt: int | None = None,
    ) -> Reported:
        """Record that the executor of a cancelled run has stopped. Raise NotHolder, NotCancelled, InvalidRequest."""
        return await self._report(
            scope,
            run_id,
            lambda run, at: stopping.acknowledge_cancel(
                run,
                at,
                worker_id=worker_id,
                stop_reason=stop_reason,
                progress=progress,
                attempt=attempt,
            ),
        )

    async def _create(self, command: Command[Created]) -> Created:
        """Carry out a creation. A replay is read from the store: a transaction has no displaced runs and no result."""
        while (created := await self._writer.submit(command)).replayed:
            # Otherwise the run was removed in between, and its request_id with it.
            if (replay := await self._replay(created.run)) is not None:
                return replay
        return created

    async def _replay(self, replayed: Run) -> Created | None:
        run_id = replayed.run_id
        records = await self._store.with_displaced(run_id)
        record = await self._store.get(run_id, replayed.owner)
        if record is None or not records or records[0].run_id != run_id:
            return None
        run, *displaced = map(self._codec.decode, records)
        # `record` is the later read. A result is there as soon as the run is SUCCESS, and never changes.
        result = record.result if run.status is RunStatus.SUCCESS else None
        return Created(run, replayed=True, superseded=displaced, result=result)

    async def _report(
        self,
        scope: Scope,
        run_id: str,
        advance: Callable[[Run, Stamp], Run],
        *,
        lease_ttl: timedelta | None = None,
        result: bytes | None = None,
        renews: bool = True,
        size: int = 0,
        is_heartbeat: bool = False,
    ) -> Reported:
        """Apply a report. Every report of the run's holder renews the lease.

        A result is kept from the report that ends the run. A heartbeat may wait for its batch to fill, and takes
        effect even if its caller gives up.
        """
        query = ById(run_id, scope)

        def decide(tx: Transaction) -> Reported:
            before, at = tx.run(query), tx.stamp()
            after = advance(before, at)
            saved = lifecycle.renew(after, at, ttl=lease_ttl) if renews else after
            tx.save(before, saved, None if before.status.terminal else result)
            return Reported(saved, after is not before)

        kind = DeferrableCommand if is_heartbeat else Command
        size += COMMAND_COST + len(result or b"")
        return await self._writer.submit(kind(decide, (query,), size))


def _size(records: Sequence[Record]) -> int:
    return sum(record.size for record in records)
