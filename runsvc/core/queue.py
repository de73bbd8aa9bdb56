"""The gates of queued runs. A run is QUEUED while one of its gates is closed. Pure decisions.

Every gate is derived from the runs of the store: nothing is reserved, so nothing can be lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core.model import Handover, MultitaskStrategy, QueueGate, RunStatus, evolve
from runsvc.core.terms import lease_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from runsvc.core.model import Run, RunSpec, Stamp


class Limit(NamedTuple):
    """The number of runs with the same concurrency key that may be active, for all keys with a prefix."""

    prefix: str
    width: int


class Gated(NamedTuple):
    """The facts of a run that its gates depend on."""

    #: Waits for the runs before it on the thread.
    in_thread_order: bool
    after_stop: bool
    not_before: datetime | None
    concurrency_key: str | None


#: The facts of a run whose gates are always open.
NO_GATES: Final = Gated(
    in_thread_order=False, after_stop=False, not_before=None, concurrency_key=None
)


class Waiting(NamedTuple):
    """A queued run."""

    run_id: str
    owner: str
    thread_id: str
    created_at: datetime
    gated: Gated


class ThreadState(NamedTuple):
    """The facts of a thread that gates depend on."""

    #: Active runs.
    active: int
    #: The oldest queued run; None if there is none.
    first_queued: str | None
    #: There is a cancelled run whose executor may still be at work.
    is_stopping: bool


class Queue(NamedTuple):
    """The answer to why a run is queued."""

    gate: QueueGate
    #: From 1; 0 if the gate has no order.
    position: int
    blocked_by: str | None


def gated(subject: Run | RunSpec) -> Gated | None:
    """The facts of a run or of a spec; None if it has no gates."""
    in_order = subject.multitask_strategy is MultitaskStrategy.ENQUEUE
    after_stop = subject.handover is Handover.AFTER_STOP
    not_before, key = subject.not_before, subject.concurrency_key
    if not in_order and not after_stop and not_before is None and key is None:
        return None
    return Gated(in_order, after_stop, not_before, key)


def wakes_at(run: Run) -> datetime | None:
    """The not_before of a run that waits for it; it may have come, if another gate is closed."""
    waits = run.status is RunStatus.QUEUED or (
        run.status is RunStatus.PENDING and run.turn is None and run.worker_id is None
    )
    return run.not_before if waits else None


def width_of(key: str | None, limits: Iterable[Limit]) -> int | None:
    """The number of runs with this key that may be active; None if it is not limited. The longest prefix counts."""
    if key is None:
        return None
    found = [limit for limit in limits if key.startswith(limit.prefix)]
    return max(found, key=lambda limit: len(limit.prefix)).width if found else None


def is_time_open(facts: Gated, now: datetime) -> bool:
    """True if the run need not wait for its time."""
    return facts.not_before is None or facts.not_before <= now


def thread_gate(facts: Gated, run_id: str | None, thread: ThreadState) -> QueueGate | None:
    """The first closed gate of a run that depends on its thread. `run_id` is None for a run that is being created."""
    if facts.in_thread_order and (thread.active or thread.first_queued not in (run_id, None)):
        return QueueGate.THREAD
    if facts.after_stop and thread.is_stopping:
        return QueueGate.HANDOVER
    return None


def has_room(active: int, width: int | None) -> bool:
    """True if one more run with a key may be active."""
    return width is None or active < width


def promote(run: Run, at: Stamp) -> Run:
    """Return a queued run, whose gates are all open, as PENDING. Its lease, if it has one, begins."""
    return evolve(
        run,
        status=RunStatus.PENDING,
        revision=at.revision,
        updated_at=at.time,
        pending_at=at.time,
        lease=lease_of(run.lease.ttl, at) if run.lease else None,
    )


def next_turn(last: int | None, head: int) -> int:
    """The turn of an owner's next claimable run: after the owner's last one, but not before the head of the line.

    Runs are handed out by turn. So owners alternate, however many runs each of them has, and an owner who comes later
    does not wait behind all runs of the others.
    """
    return head if last is None else max(last + 1, head)


def explain(
    facts: Gated,
    run_id: str,
    now: datetime,
    *,
    active: Sequence[str],
    queued: Sequence[str],
    stopping: Sequence[str],
    ahead: int,
) -> Queue:
    """Why a run is queued: its first closed gate.

    `active` holds the thread's active runs, newest first, `queued` its queued ones, oldest first, `stopping` the runs
    whose executors may still be at work, and `ahead` counts the runs that wait for the same key before this one.
    """
    if not is_time_open(facts, now):
        return Queue(QueueGate.TIME, 0, None)
    position = queued.index(run_id) if run_id in queued else 0
    if facts.in_thread_order and (active or position):
        blocker = active[0] if active and not position else queued[position - 1]
        return Queue(QueueGate.THREAD, position + 1, blocker)
    if facts.after_stop and stopping:
        return Queue(QueueGate.HANDOVER, 0, stopping[0])
    return Queue(QueueGate.CONCURRENCY, ahead + 1, None)
