"""The rules of a run's life: pure functions from a run, a report and a stamp to the run after it.

A function returns the very run it was given when the report changes nothing. A new revision marks a change of status or
an acknowledgement; any other change keeps the revision.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runsvc.core.errors import InvalidTransition, NotCancelled, NotHolder, RunActive, RunEnded
from runsvc.core.model import (
    CancelAction,
    Cancellation,
    CancelOutcome,
    DisconnectMode,
    Lease,
    Progress,
    Run,
    RunStatus,
    StatusReason,
    evolve,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from runsvc.core.model import RunSpec, Stamp

_ENDINGS = frozenset({RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT, RunStatus.INTERRUPTED})

#: Every transition there is; a pair that is not here is refused.
TRANSITIONS: Final[Mapping[RunStatus, frozenset[RunStatus]]] = {
    RunStatus.PENDING: _ENDINGS | {RunStatus.RUNNING},
    RunStatus.RUNNING: _ENDINGS,
    **dict.fromkeys(_ENDINGS, frozenset()),
}

#: Longest preview of a message that is kept, in characters.
PREVIEW_LIMIT: Final = 2_000


class Limit(NamedTuple):
    """The longest time for which a run may have its status."""

    since: datetime
    length: timedelta
    #: What exceeding it is called.
    reason: StatusReason


def create(spec: RunSpec, *, run_id: str, owner: str, at: Stamp) -> Run:
    """The run that a spec begins as."""
    return Run(
        run_id=run_id,
        owner=owner,
        thread_id=spec.thread_id,
        status=RunStatus.PENDING,
        revision=at.revision,
        created_at=at.time,
        updated_at=at.time,
        on_disconnect=spec.on_disconnect,
        multitask_strategy=spec.multitask_strategy,
        assistant_id=spec.assistant_id,
        model_name=spec.model_name,
        metadata=spec.metadata,
        worker_id=spec.worker_id,
        lease=_lease(spec.lease_ttl, at),
        start_timeout=spec.start_timeout,
        timeout=spec.timeout,
    )


def report(
    run: Run,
    to: RunStatus,
    at: Stamp,
    *,
    worker_id: str | None,
    error: str | None = None,
) -> Run:
    """The run after its executor reported a status; RUNNING makes the worker the holder."""
    _check_holder(run, worker_id)
    if run.status is to:
        return run
    holder = worker_id if to is RunStatus.RUNNING else None
    return _advance(run, to, at, error=error, worker_id=holder)


def complete(
    run: Run,
    to: RunStatus,
    at: Stamp,
    *,
    worker_id: str | None,
    error: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """The run after its executor reported the end and, with it, the final usage."""
    ended = report(run, to, at, worker_id=worker_id, error=error)
    return _with_final(ended, progress, at)


def report_progress(
    run: Run,
    progress: Progress,
    at: Stamp,
    *,
    worker_id: str | None,
    sequence: int | None = None,
    final: bool = False,
) -> Run:
    """The run after a report of usage; the same run when the report is late, out of order or no longer accepted."""
    _check_holder(run, worker_id)
    if _is_late(run, sequence) or not _accepts_progress(run, final=final):
        return run
    return evolve(
        run,
        progress=merge(run.progress, progress, final=final),
        progress_sequence=run.progress_sequence if sequence is None else sequence,
        updated_at=at.time,
    )


def cancel(
    run: Run, action: CancelAction, at: Stamp, *, note: str | None = None
) -> tuple[Run, CancelOutcome]:
    """The run after a cancel, and what the cancel found."""
    if run.status is RunStatus.INTERRUPTED:
        return run, CancelOutcome.ALREADY_CANCELLED
    if run.status.terminal:
        return run, CancelOutcome.ALREADY_FINISHED
    cancelled = _advance(
        run,
        RunStatus.INTERRUPTED,
        at,
        reason=StatusReason.CANCEL_REQUESTED,
        cancellation=Cancellation(action, note, at.time),
    )
    return cancelled, CancelOutcome.CANCELLED


def supersede(run: Run, action: CancelAction, at: Stamp, *, by: str) -> Run:
    """The run after the newer run `by` displaced it."""
    return _advance(
        run,
        RunStatus.INTERRUPTED,
        at,
        reason=StatusReason.SUPERSEDED,
        cancellation=Cancellation(action, None, at.time),
        superseded_by=by,
    )


def acknowledge_cancel(
    run: Run, at: Stamp, *, worker_id: str | None, progress: Progress | None = None
) -> Run:
    """The run after its executor said that it has stopped; a second time it may add the usage that was missing."""
    _check_holder(run, worker_id)
    if run.cancellation is None:
        raise NotCancelled(run.run_id, run.status, RunStatus.INTERRUPTED)
    if run.cancellation.acknowledged_at is not None:
        return _with_final(run, progress, at)
    acknowledged = evolve(
        run,
        revision=at.revision,
        updated_at=at.time,
        cancellation=evolve(run.cancellation, acknowledged_at=at.time),
    )
    return _with_final(acknowledged, progress, at)


def heartbeat(run: Run, *, worker_id: str | None) -> Run:
    """The very run, when its executor may say that it is well: also one that was cancelled, so that it learns of it."""
    _check_holder(run, worker_id)
    if run.status.terminal and run.status is not RunStatus.INTERRUPTED:
        raise RunEnded(run.run_id, run.status, run.status, _ending(run))
    return run


def renew(run: Run, at: Stamp, *, ttl: timedelta | None = None) -> Run:
    """The run with its holder's lease renewed, for as long as it matters. No change that anyone is told of.

    With a ttl the lease is of that length from now on, also on a run that had none.
    """
    if ttl is None and run.lease is not None:
        ttl = run.lease.ttl
    if run.worker_id is None or (run.status.terminal and not awaits_acknowledgement(run)):
        return run
    return run if ttl is None else evolve(run, lease=_lease(ttl, at))


def expire(
    run: Run, at: Stamp, *, by: datetime, lease_end: datetime | None, limit_end: datetime | None
) -> Run:
    """The run after its time was up by then; the same run while it was not.

    A timeout strikes at its `limit_end`: later than its length says when the clock was set forward meanwhile. A lease
    is over when its `lease_end` has come: expires_at, or later when renewals could not be taken all the time.
    """
    if run.status.terminal:
        return run
    limit, lease = limit_of(run), run.lease
    if limit is not None and limit_end is not None and limit_end <= by:
        error = f"It was {run.status.name} for longer than {_seconds(limit.length)}."
        return _advance(run, RunStatus.TIMEOUT, at, reason=limit.reason, error=error)
    if lease is not None and lease_end is not None and lease_end <= by:
        error = f"Its worker gave no sign of life for {_seconds(lease.ttl)}."
        return _advance(run, RunStatus.ERROR, at, reason=StatusReason.LEASE_EXPIRED, error=error)
    return run


def limit_of(run: Run) -> Limit | None:
    """How long an active run may stay in its present status; None: as long as it takes."""
    if run.status is RunStatus.PENDING and run.start_timeout is not None:
        return Limit(run.created_at, run.start_timeout, StatusReason.START_TIMEOUT_EXCEEDED)
    if run.status is RunStatus.RUNNING and run.timeout is not None and run.started_at is not None:
        return Limit(run.started_at, run.timeout, StatusReason.TIMEOUT_EXCEEDED)
    return None


def is_bound(run: Run) -> bool:
    """Whether the run ends when its last client has left."""
    return not run.status.terminal and run.on_disconnect is DisconnectMode.CANCEL


def disconnect(run: Run, at: Stamp) -> Run:
    """The run after its last client had been gone for too long; the same run when that is nothing to it."""
    if not is_bound(run):
        return run
    return _advance(
        run,
        RunStatus.INTERRUPTED,
        at,
        reason=StatusReason.CLIENT_DISCONNECTED,
        cancellation=Cancellation(CancelAction.INTERRUPT, None, at.time),
    )


def orphan(run: Run, at: Stamp, *, error: str) -> Run:
    """The run after reconciliation found that no living executor holds it."""
    return _advance(run, RunStatus.ERROR, at, reason=StatusReason.ORPHANED, error=error)


def rename_model(run: Run, model_name: str | None, at: Stamp) -> Run:
    """The run with another model name, or with none."""
    if run.status.terminal:
        raise RunEnded(run.run_id, run.status, run.status, _ending(run))
    if run.model_name == model_name:
        return run
    return evolve(run, model_name=model_name, updated_at=at.time)


def check_deletable(run_id: str, status: RunStatus) -> None:
    """Refuse to delete a run that is still active. Takes no Run: what cannot be read must be deletable."""
    if not status.terminal:
        raise RunActive(run_id, status, status)


def awaits_acknowledgement(run: Run) -> bool:
    """Whether an acknowledgement of this run's cancel can still come: an executor had started and has not answered."""
    return (
        run.cancellation is not None
        and run.cancellation.acknowledged_at is None
        and run.started_at is not None
    )


def merge(present: Progress | None, report: Progress, *, final: bool) -> Progress:
    """The fields that the report sets over those that are present, previews cut."""
    known: dict[str, Any] = {
        name: _preview(value)
        for name in _PROGRESS_FIELDS
        if (value := getattr(report, name)) is not None
    }
    return evolve(present or Progress(), **known, final=final)


_PROGRESS_FIELDS = tuple(field.name for field in fields(Progress) if field.name != "final")


def _preview(value: int | str) -> int | str:
    return value[:PREVIEW_LIMIT] if isinstance(value, str) else value


def _with_final(run: Run, progress: Progress | None, at: Stamp) -> Run:
    if progress is None or (run.progress is not None and run.progress.final):
        return run
    return evolve(run, progress=merge(run.progress, progress, final=True), updated_at=at.time)


def _is_late(run: Run, sequence: int | None) -> bool:
    return (
        sequence is not None
        and run.progress_sequence is not None
        and sequence <= run.progress_sequence
    )


def _accepts_progress(run: Run, *, final: bool) -> bool:
    if run.progress is not None and run.progress.final:
        return False
    return run.status is RunStatus.RUNNING or (final and run.status.terminal)


def _lease(ttl: timedelta | None, at: Stamp) -> Lease | None:
    return None if ttl is None else Lease(ttl, at.time + ttl)


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():g} s"


def _check_holder(run: Run, worker_id: str | None) -> None:
    if run.worker_id is not None and run.worker_id != worker_id:
        raise NotHolder(run.run_id)


def _advance(
    run: Run,
    to: RunStatus,
    at: Stamp,
    *,
    reason: StatusReason = StatusReason.UNSPECIFIED,
    error: str | None = None,
    worker_id: str | None = None,
    cancellation: Cancellation | None = None,
    superseded_by: str | None = None,
) -> Run:
    if to not in TRANSITIONS[run.status]:
        raise InvalidTransition(run.run_id, run.status, to)
    return evolve(
        run,
        status=to,
        status_reason=reason,
        revision=at.revision,
        updated_at=at.time,
        started_at=at.time if to is RunStatus.RUNNING else run.started_at,
        ended_at=at.time if to.terminal else None,
        error=error,
        worker_id=worker_id or run.worker_id,
        cancellation=cancellation,
        superseded_by=superseded_by,
    )


def _ending(run: Run) -> str:
    """The status of a run that has ended, and why where the service itself ended it."""
    why = run.status_reason
    return f"{run.status.name} ({why.name})" if why else run.status.name
