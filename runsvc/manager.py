"""The use-cases of a run: one short method each. Reads go to the store, changes through the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import MAX_COMMANDS, Command, DeferrableCommand
from runsvc.core import admission, lifecycle
from runsvc.core.errors import RunNotFound
from runsvc.store.queries import (
    ActiveCount,
    ActiveOnThread,
    ById,
    ByRequest,
    NewestActive,
    PageKey,
    PageQuery,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from runsvc.commit.transaction import Transaction
    from runsvc.commit.writer import Writer
    from runsvc.core.model import (
        CancelAction,
        CancelOutcome,
        Progress,
        Request,
        Run,
        RunSpec,
        RunStatus,
        Stamp,
    )
    from runsvc.store.base import Codec, ReadingStore, Record
    from runsvc.store.queries import Count, Query

#: Bytes of runs that a page holds at most, unless its first run alone is larger.
PAGE_BYTES: Final = 1 << 20
#: What a command adds to a batch beside its payload, in bytes.
COMMAND_COST: Final = 1_000


class Created(NamedTuple):
    """A run that a creation made, or found made by an earlier call with its request_id."""

    run: Run
    replayed: bool = False
    #: The runs that it displaced, oldest first.
    superseded: Sequence[Run] = ()


class Reported(NamedTuple):
    """A run after a report, and whether the report changed it."""

    run: Run
    changed: bool


class Cancelled(NamedTuple):
    """A run after a cancel, and what the cancel found."""

    run: Run
    outcome: CancelOutcome


class Page(NamedTuple):
    """A page of a thread's runs."""

    records: Sequence[Record]
    #: Where the next page starts; None on the last one.
    next: PageKey | None


class RunManager:
    """Creates, reads, reports on and cancels runs. Every run belongs to an owner; another's is RunNotFound."""

    def __init__(
        self, writer: Writer, store: ReadingStore, codec: Codec, *, max_active_per_thread: int
    ) -> None:
        self._writer = writer
        self._store = store
        self._codec = codec
        self._max_active_per_thread = max_active_per_thread

    async def create(self, owner: str, spec: RunSpec, request: Request | None) -> Created:
        """Admit a run beside those that the thread has. ThreadFull, UnsupportedStrategy, RequestIdReused."""
        admission.check_supported(spec.multitask_strategy)

        room = ActiveCount(owner, spec.thread_id)

        def decide(tx: Transaction) -> Created:
            active = tx.count_active(room)
            admission.check_room(spec.thread_id, active, self._max_active_per_thread)
            run_id = tx.new_run_id()
            return Created(tx.create(spec, run_id=run_id, owner=owner, request=request))

        return await self._writer.submit(_creation(decide, room, spec, request))

    async def create_or_reject(self, owner: str, spec: RunSpec, request: Request | None) -> Created:
        """Admit a run by its strategy. ThreadBusy, UnsupportedStrategy, RequestIdReused."""
        admission.check_supported(spec.multitask_strategy)

        query = _in_the_way(owner, spec)

        def decide(tx: Transaction) -> Created:
            run_id = tx.new_run_id()
            superseded = _make_way(tx, query, spec, run_id)
            run = tx.create(spec, run_id=run_id, owner=owner, request=request)
            return Created(run, superseded=superseded)

        created = await self._writer.submit(_creation(decide, query, spec, request))
        if not created.replayed:
            return created
        records = await self._store.displaced_by(created.run.run_id)
        return created._replace(superseded=[self._codec.decode(record) for record in records])

    async def get(self, owner: str, run_id: str) -> Record:
        """A run with its kwargs."""
        record = await self._store.get(run_id)
        if record is None or record.owner != owner:
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
        """A thread's runs, newest first, from a position on."""
        records = await self._store.page(
            PageQuery(
                owner=owner,
                thread_id=thread_id,
                statuses=statuses,
                after=after,
                limit=page_size + 1,
                max_bytes=PAGE_BYTES,
            )
        )
        if len(records) <= page_size and _size(records) <= PAGE_BYTES:
            return Page(records, None)
        # What is too much, by number or by bytes, is the last one: a page that it is alone on keeps it.
        fitting = records[:-1] or records
        return Page(fitting, PageKey(fitting[-1].created_at, fitting[-1].run_id))

    async def has_inflight(self, owner: str, thread_id: str) -> Sequence[str]:
        """Ids of a thread's active runs, newest first."""
        return await self._store.active_on_thread(owner, thread_id)

    async def set_status(
        self,
        owner: str,
        run_id: str,
        to: RunStatus,
        *,
        error: str | None,
        worker_id: str | None,
        lease_ttl: timedelta | None = None,
    ) -> Reported:
        """Take an executor's report of a status. NotHolder, InvalidTransition."""
        return await self._report(
            owner,
            run_id,
            lambda run, at: lifecycle.report(run, to, at, worker_id=worker_id, error=error),
            lease_ttl=lease_ttl,
        )

    async def complete(
        self,
        owner: str,
        run_id: str,
        to: RunStatus,
        *,
        error: str | None,
        progress: Progress | None,
        worker_id: str | None,
    ) -> Reported:
        """Take an executor's last report: status, error and usage at once. NotHolder, InvalidTransition."""
        return await self._report(
            owner,
            run_id,
            lambda run, at: lifecycle.complete(
                run, to, at, worker_id=worker_id, error=error, progress=progress
            ),
        )

    async def update_progress(
        self,
        owner: str,
        run_id: str,
        progress: Progress,
        *,
        sequence: int | None,
        final: bool,
        worker_id: str | None,
    ) -> Reported:
        """Take an executor's report of its usage. NotHolder."""
        return await self._report(
            owner,
            run_id,
            lambda run, at: lifecycle.report_progress(
                run, progress, at, worker_id=worker_id, sequence=sequence, final=final
            ),
        )

    async def update_model_name(self, owner: str, run_id: str, model_name: str | None) -> Run:
        """Set or clear the model name. InvalidTransition once the run has ended."""

        query = ById(run_id)

        def decide(tx: Transaction) -> Run:
            before = tx.run(query, owner)
            return tx.save(before, lifecycle.rename_model(before, model_name, tx.stamp()))

        return await self._writer.submit(Command(decide, (query,), COMMAND_COST))

    async def heartbeat(self, owner: str, run_id: str, worker_id: str) -> Run:
        """Take an executor's word that it is well. NotHolder, InvalidTransition."""
        reported = await self._report(
            owner,
            run_id,
            lambda run, at: lifecycle.heartbeat(run, worker_id=worker_id),
            is_sign_of_life=True,
        )
        return reported.run

    async def cancel(
        self, owner: str, run_id: str, action: CancelAction, note: str | None
    ) -> Cancelled:
        """Cancel a run, or find out that it is over."""

        query = ById(run_id)

        def decide(tx: Transaction) -> Cancelled:
            before = tx.run(query, owner)
            after, outcome = lifecycle.cancel(before, action, tx.stamp(), note=note)
            return Cancelled(tx.save(before, after), outcome)

        return await self._writer.submit(Command(decide, (query,), COMMAND_COST))

    async def acknowledge_cancel(
        self, owner: str, run_id: str, *, worker_id: str | None, progress: Progress | None
    ) -> Reported:
        """Take an executor's report that it has stopped. NotHolder, InvalidTransition."""
        return await self._report(
            owner,
            run_id,
            lambda run, at: lifecycle.acknowledge_cancel(
                run, at, worker_id=worker_id, progress=progress
            ),
        )

    async def _report(
        self,
        owner: str,
        run_id: str,
        advance: Callable[[Run, Stamp], Run],
        *,
        lease_ttl: timedelta | None = None,
        is_sign_of_life: bool = False,
    ) -> Reported:
        """Take a report of the run's holder, which renews its lease whatever else it does.

        What is nothing but a sign of life may wait, and was given even if its worker does not wait for the answer.
        """

        query = ById(run_id)

        def decide(tx: Transaction) -> Reported:
            before, at = tx.run(query, owner), tx.stamp()
            after = advance(before, at)
            renewed = tx.save(before, lifecycle.renew(after, at, ttl=lease_ttl))
            return Reported(renewed, after is not before)

        kind = DeferrableCommand if is_sign_of_life else Command
        return await self._writer.submit(kind(decide, (query,), COMMAND_COST))


def _creation(
    decide: Callable[[Transaction], Created],
    thread: Query | Count,
    spec: RunSpec,
    request: Request | None,
) -> Command[Created]:
    size = COMMAND_COST + len(spec.metadata) + len(spec.kwargs)
    if request is None:
        return Command(decide, (thread,), size)
    query, spec_hash = ByRequest(request.key), request.spec_hash

    def decide_once(tx: Transaction) -> Created:
        earlier = tx.replay(query, spec_hash)
        return decide(tx) if earlier is None else Created(earlier, replayed=True)

    return Command(decide_once, (thread, query), size)


def _in_the_way(owner: str, spec: RunSpec) -> ActiveOnThread | NewestActive:
    """What a creation must know of its thread: to displace runs takes all of them, to be refused the newest."""
    if spec.multitask_strategy in admission.DISPLACING:
        return ActiveOnThread(owner, spec.thread_id)
    return NewestActive(owner, spec.thread_id, MAX_COMMANDS)


def _make_way(
    tx: Transaction, query: ActiveOnThread | NewestActive, spec: RunSpec, run_id: str
) -> list[Run]:
    """The runs that a new one displaces, oldest first. ThreadBusy when it may displace none."""
    if isinstance(query, NewestActive):
        admission.check_free(tx.newest_active(query))
        return []
    action = admission.DISPLACING[spec.multitask_strategy]
    return [
        tx.save(run, lifecycle.supersede(run, action, tx.stamp(), by=run_id))
        for run in reversed(tx.active(query))
    ]


def _size(records: Sequence[Record]) -> int:
    return sum(record.size for record in records)
