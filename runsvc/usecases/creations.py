"""Creations: the commands that admit a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import MAX_COMMANDS, Command
from runsvc.commit.owner_room import OwnerRoom
from runsvc.core import admission, lifecycle
from runsvc.core.model import Handover, MultitaskStrategy
from runsvc.store.queries import ActiveCount, ActiveOnThread, ByRequest, NewestActive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Request, Run, RunSpec
    from runsvc.store.queries import Count, Query

#: Approximate bytes that a command adds to a batch, in addition to its payload.
COMMAND_COST: Final = 1_000


class Created(NamedTuple):
    """A new run, or the one that an earlier call with the same request_id created (`replayed`)."""

    run: Run
    replayed: bool = False
    #: The displaced runs, oldest first.
    superseded: Sequence[Run] = ()
    #: Of a replayed run that has ended with one.
    result: bytes | None = None


class Creations:
    """Makes the commands of creations, with the limits of this server."""

    def __init__(
        self,
        *,
        max_active_per_thread: int,
        max_active_per_owner: int | None,
        max_queued_per_thread: int,
    ) -> None:
        self._max_active_per_thread = max_active_per_thread
        self._owner_room = OwnerRoom(
            max_active_per_owner, max_active_per_thread + max_queued_per_thread
        )
        self._max_queued_per_thread = max_queued_per_thread

    def beside(self, owner: str, spec: RunSpec, request: Request | None) -> Command[Created]:
        """Admit a run beside the active and queued runs of its thread. Raise UnsupportedStrategy.

        The command raises ThreadFull, OwnerFull, RequestIdReused.
        """
        admission.check_supported(spec.multitask_strategy)
        room = ActiveCount(owner, spec.thread_id)
        reads: tuple[Query | Count, ...] = (room, *self._owner_room.reads(owner))

        def decide(tx: Transaction) -> Created:
            active = tx.count_active(room)
            admission.check_room(spec.thread_id, active, self._max_active_per_thread)
            self._owner_room.check(tx, owner)
            run_id = tx.new_run_id()
            run = tx.create(
                spec,
                run_id=run_id,
                owner=owner,
                request=request,
                max_queued=self._max_queued_per_thread,
            )
            return Created(run)

        return _creation(decide, reads, spec, request)

    def by_strategy(
        self, owner: str, spec: RunSpec, request: Request | None, requested_by: str
    ) -> Command[Created]:
        """Admit a run according to its strategy. `requested_by` is the name of the principal.

        The command raises ThreadBusy, ThreadFull, OwnerFull, RequestIdReused.
        """
        query = _active_query(owner, spec)
        reads: tuple[Query | Count, ...] = self._owner_room.reads(owner)
        if query is not None:
            reads = (query, *reads)

        def decide(tx: Transaction) -> Created:
            run_id = tx.new_run_id()
            superseded = _displace(tx, query, spec, by=run_id, requested_by=requested_by)
            self._owner_room.check(tx, owner, freed=len(superseded))
            run = tx.create(
                spec,
                run_id=run_id,
                owner=owner,
                request=request,
                max_queued=self._max_queued_per_thread,
            )
            return Created(run, superseded=superseded)

        return _creation(decide, reads, spec, request)


def _creation(
    decide: Callable[[Transaction], Created],
    reads: tuple[Query | Count, ...],
    spec: RunSpec,
    request: Request | None,
) -> Command[Created]:
    size = COMMAND_COST + len(spec.metadata) + len(spec.kwargs)
    if request is None:
        return Command(decide, reads, size)
    query, spec_hash = ByRequest(request.key), request.spec_hash

    def decide_once(tx: Transaction) -> Created:
        earlier = tx.replay(query, spec_hash)
        return decide(tx) if earlier is None else Created(earlier, replayed=True)

    return Command(decide_once, (*reads, query), size)


def _active_query(owner: str, spec: RunSpec) -> ActiveOnThread | NewestActive | None:
    """Return the query for the active and queued runs of a thread that a creation needs.

    It needs all to displace them, the newest to be refused, and none for ENQUEUE, which reads what its gates need.
    """
    if spec.multitask_strategy is MultitaskStrategy.ENQUEUE:
        return None
    if spec.multitask_strategy in admission.DISPLACING:
        return ActiveOnThread(owner, spec.thread_id)
    return NewestActive(owner, spec.thread_id, MAX_COMMANDS)


def _displace(
    tx: Transaction,
    query: ActiveOnThread | NewestActive | None,
    spec: RunSpec,
    *,
    by: str,
    requested_by: str,
) -> list[Run]:
    """Displace the active and queued runs of a thread, and return them oldest first. Raise ThreadBusy for REJECT."""
    if query is None:
        return []
    if isinstance(query, NewestActive):
        admission.check_free(tx.newest_active(query))
        if spec.handover is Handover.AFTER_STOP:
            admission.check_free(tx.stopping(query.owner, query.thread_id))
        return []
    action = admission.DISPLACING[spec.multitask_strategy]
    return [
        tx.save(run, lifecycle.supersede(run, action, tx.stamp(), by=by, requested_by=requested_by))
        for run in reversed(tx.active(query))
    ]
