"""The life of a run: pure functions that take a run, a report and a stamp, and return the run after the report.

A report without effect returns the same object. A change of status, an acknowledgement and final usage after the end
get a new revision; any other change keeps the revision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.core import attempts, stopping
from runsvc.core.attempts import check_holder
from runsvc.core.errors import InvalidTransition, RunActive, RunEnded
from runsvc.core.model import (
    ACTIVE,
    CancelAction,
    Cancellation,
    CancelOutcome,
    DisconnectMode,
    Run,
    RunStatus,
    StatusReason,
    evolve,
)
from runsvc.core.progress import (
    accepts_progress,
    add_final_progress,
    is_stale,
    merge_progress,
)
from runsvc.core.terms import lease_of, limit_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from runsvc.core.model import Progress, RunSpec, Stamp

_ENDINGS = frozenset({RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT, RunStatus.INTERRUPTED})

#: The transitions that an executor may report, and those that only the server makes.
TRANSITIONS: Final[Mapping[RunStatus, frozenset[RunStatus]]] = {
    RunStatus.PENDING: _ENDINGS | {RunStatus.RUNNING},
    RunStatus.RUNNING: _ENDINGS,
    RunStatus.QUEUED: frozenset(),
    **dict.fromkeys(_ENDINGS, frozenset()),
}


BY_SERVER: Final[Mapping[RunStatus, frozenset[RunStatus]]] = {
    **TRANSITIONS,
    RunStatus.QUEUED: frozenset({RunStatus.TIMEOUT, RunStatus.INTERRUPTED}),
}


def create(
    spec: RunSpec,
    *,
    run_id: str,
    owner: str,
    at: Stamp,
    status: RunStatus = RunStatus.PENDING,
    turn: int | None = None,
) -> Run:
    """Return a new run, PENDING or QUEUED; `turn` is its place if any worker may claim it."""
    return Run(
        run_id=run_id,
        owner=owner,
        thread_id=spec.thread_id,
        status=status,
        revision=at.revision,
        created_at=at.time,
        updated_at=at.time,
        on_disconnect=spec.on_disconnect,
        multitask_strategy=spec.multitask_strategy,
        assistant_id=spec.assistant_id,
        model_name=spec.model_name,
        metadata=spec.metadata,
        worker_id=spec.worker_id,
        lease=lease_of(spec.lease_ttl, at),
        start_timeout=spec.start_timeout,
        timeout=spec.timeout,
        priority=spec.priority,
        retry=spec.retry,
        not_before=spec.not_before,
        concurrency_key=spec.concurrency_key,
        handover=spec.handover,
        pending_at=at.time if status is RunStatus.PENDING else None,
        queue_timeout=spec.queue_timeout,
        turn=turn,
    )


def report(
    run: Run,
    to: RunStatus,
    at: Stamp,
    *,
    worker_id: str | None,
    error: str | None = None,
    stop_reason: str | None = None,
    attempt: int | None = None,
    retryable: bool = False,
) -> Run:
    """Apply the status that the executor reports; RUNNING makes the worker the holder.

    INTERRUPTED acknowledges the cancel of a run. A `retryable` ERROR makes a run PENDING again that has attempts left.
    Raise NotHolder, InvalidTransition.
    """
    check_holder(run, worker_id, attempt, starts=to is RunStatus.RUNNING)
    if run.status is to:
        return stopping.acknowledge(run, at, error=error, stop_reason=stop_reason)
    if to not in TRANSITIONS[run.status]:
        raise InvalidTransition(run.run_id, run.status, to)
    if to is RunStatus.RUNNING:
        return attempts.start(run, at, worker_id=worker_id)
    if retryable and to is RunStatus.ERROR and attempts.has_attempts_left(run):
        return attempts.retry(run, at, reason=StatusReason.RETRYABLE_ERROR, error=error)
    return _advance(run, to, at, error=error, stop_reason=stop_reason)


def complete(
    run: Run,
    to: RunStatus,
    at: Stamp,
    *,
    worker_id: str | None,
    error: str | None = None,
    stop_reason: str | None = None,
    progress: Progress | None = None,
    attempt: int | None = None,
    retryable: bool = False,
) -> Run:
    """Apply the end that the executor reports, with the final usage.

    Raise NotHolder, InvalidTransition, InvalidRequest.
    """
    ended = report(
        run,
        to,
        at,
        worker_id=worker_id,
        error=error,
        stop_reason=stop_reason,
        attempt=attempt,
        retryable=retryable,
    )
    if not ended.status.terminal:
        return attempts.add_progress(ended, progress)
    return add_final_progress(ended, progress, at)


def report_progress(
    run: Run,
    progress: Progress,
    at: Stamp,
    *,
    worker_id: str | None,
    sequence: int | None = None,
    final: bool = False,
    attempt: int | None = None,
) -> Run:
    """Apply a report of usage, unless it is stale or no longer accepted. Raise NotHolder, InvalidRequest."""
    check_holder(run, worker_id, attempt)
    if is_stale(run, sequence) or not accepts_progress(run, final=final):
        return run
    return evolve(
        run,
        # Watchers who count the usage of runs that are over find it in the log.
        revision=at.revision if run.status.terminal else run.revision,
        progress=merge_progress(run.progress, progress, final=final),
        progress_sequence=run.progress_sequence if sequence is None else sequence,
        updated_at=at.time,
    )


def cancel(
    run: Run, action: CancelAction, at: Stamp, *, note: str | None = None, requested_by: str = ""
) -> tuple[Run, CancelOutcome]:
    """Cancel a run that has not ended. Return the run and the outcome."""
    if run.status is RunStatus.INTERRUPTED:
        return run, CancelOutcome.ALREADY_CANCELLED
    if run.status.terminal:
        return run, CancelOutcome.ALREADY_FINISHED
    cancelled = _advance(
        run,
        RunStatus.INTERRUPTED,
        at,
        reason=StatusReason.CANCEL_REQUESTED,
        cancellation=Cancellation(action, note, at.time, requested_by=requested_by),
    )
    return cancelled, CancelOutcome.CANCELLED


def supersede(run: Run, action: CancelAction, at: Stamp, *, by: str, requested_by: str = "") -> Run:
    """End a run that the newer run `by` displaces. Raise InvalidTransition.

    `requested_by` is the name of the principal that created the newer run.
    """
    return _advance(
        run,
        RunStatus.INTERRUPTED,
        at,
        reason=StatusReason.SUPERSEDED,
        cancellation=Cancellation(action, None, at.time, requested_by=requested_by),
        superseded_by=by,
    )


def heartbeat(run: Run, *, worker_id: str | None, attempt: int | None = None) -> Run:
    """Accept a heartbeat: return the same run. Raise NotHolder, RunEnded.

    An INTERRUPTED run accepts it too, because the answer informs the executor of a cancel.
    """
    check_holder(run, worker_id, attempt)
    if run.status.terminal and run.status is not RunStatus.INTERRUPTED:
        raise RunEnded(run.run_id, run.status, run.status, _ending(run))
    return run


def renew(run: Run, at: Stamp, *, ttl: timedelta | None = None) -> Run:
    """Renew the holder's lease, unless the run no longer needs one. Watchers are not notified.

    A ttl sets the length of the lease from now on; a run without a lease gets one.
    """
    if ttl is None and run.lease is not None:
        ttl = run.lease.ttl
    if run.worker_id is None or (run.status.terminal and not stopping.awaits_acknowledgement(run)):
        return run
    return run if ttl is None else evolve(run, lease=lease_of(ttl, at))


def expire(
    run: Run, at: Stamp, *, by: datetime, lease_end: datetime | None, limit_end: datetime | None
) -> Run:
    """End a run if its timeout or its lease is over at the time `by`.

    After its lease, a run with attempts left becomes PENDING again. The executor of a cancelled run counts as stopped.
    `limit_end` is the end of the timeout, which is later than its length implies if the clock was set forward.
    `lease_end` is the end of the lease: expires_at, or later if the service did not accept renewals all the time.
    """
    if run.status.terminal:
        return stopping.presume_stopped(run, at) if lease_end and lease_end <= by else run
    limit, lease = limit_of(run), run.lease
    if limit is not None and limit_end is not None and limit_end <= by:
        error = f"The run was {run.status.name} for longer than its timeout of {_seconds(limit.length)}."
        return _advance(run, RunStatus.TIMEOUT, at, reason=limit.reason, error=error)
    if run.status in ACTIVE and lease is not None and lease_end is not None and lease_end <= by:
        error = f"The worker did not renew its lease of {_seconds(lease.ttl)}."
        if attempts.has_attempts_left(run):
            return attempts.retry(run, at, reason=StatusReason.LEASE_EXPIRED, error=error)
        return _advance(run, RunStatus.ERROR, at, reason=StatusReason.LEASE_EXPIRED, error=error)
    return run


def ends_without_clients(run: Run) -> bool:
    """Return True if the run ends when its last client leaves."""
    return not run.status.terminal and run.on_disconnect is DisconnectMode.CANCEL


def disconnect(run: Run, at: Stamp) -> Run:
    """End a run after its last client left and did not return in time, unless it continues without clients."""
    if not ends_without_clients(run):
        return run
    return _advance(
        run,
        RunStatus.INTERRUPTED,
        at,
        reason=StatusReason.CLIENT_DISCONNECTED,
        cancellation=Cancellation(CancelAction.INTERRUPT, None, at.time),
    )


def orphan(run: Run, at: Stamp, *, error: str) -> Run:
    """End an active run that no living executor holds. Raise InvalidTransition."""
    return _advance(run, RunStatus.ERROR, at, reason=StatusReason.ORPHANED, error=error)


def rename_model(run: Run, model_name: str | None, at: Stamp) -> Run:
    """Set or clear the model name. Raise RunEnded."""
    if run.status.terminal:
        raise RunEnded(run.run_id, run.status, run.status, _ending(run))
    if run.model_name == model_name:
        return run
    return evolve(run, model_name=model_name, updated_at=at.time)


def replace_metadata(run: Run, metadata: bytes, at: Stamp) -> Run:
    """Replace the metadata, in any status."""
    if run.metadata == metadata:
        return run
    return evolve(run, metadata=metadata, updated_at=at.time)


def check_deletable(run_id: str, status: RunStatus) -> None:
    """Raise RunActive if the status is active. Takes no Run, because a corrupt run must be deletable too."""
    if not status.terminal:
        raise RunActive(run_id, status, status)


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():g} s"


def _advance(
    run: Run,
    to: RunStatus,
    at: Stamp,
    *,
    reason: StatusReason = StatusReason.UNSPECIFIED,
    error: str | None = None,
    stop_reason: str | None = None,
    cancellation: Cancellation | None = None,
    superseded_by: str | None = None,
) -> Run:
    if to not in BY_SERVER[run.status]:
        raise InvalidTransition(run.run_id, run.status, to)
    return evolve(
        run,
        status=to,
        status_reason=reason,
        revision=at.revision,
        updated_at=at.time,
        ended_at=at.time,
        error=error,
        stop_reason=stop_reason,
        cancellation=cancellation,
        superseded_by=superseded_by,
        turn=None,
        claim_id=None,
    )


def _ending(run: Run) -> str:
    """The status of an ended run, with the reason if the service ended it."""
    reason = run.status_reason
    return f"{run.status.name} ({reason.name})" if reason else run.status.name
