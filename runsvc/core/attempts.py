"""Attempts of a run: its start by a worker, and the ways back to PENDING. Pure functions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import InvalidTransition, NotHolder, RunEnded
from runsvc.core.model import Retry, RunStatus, StatusReason, evolve
from runsvc.core.progress import merge_progress
from runsvc.core.terms import lease_of

if TYPE_CHECKING:
    from runsvc.core.model import Progress, Run, Stamp

#: The longest time between two attempts.
LONGEST_BACKOFF: Final = timedelta(hours=1)


def check_holder(
    run: Run, worker_id: str | None, attempt: int | None = None, *, starts: bool = False
) -> None:
    """Raise NotHolder unless the worker may report on the run, as the attempt that it names.

    A run that was started and waits for another attempt takes no report but a new start.
    """
    if run.worker_id is not None and run.worker_id != worker_id:
        raise NotHolder(run.run_id)
    if attempt is not None and attempt != run.attempt:
        raise NotHolder(run.run_id)
    if run.attempt and run.status is RunStatus.PENDING and (attempt is not None or not starts):
        raise NotHolder(run.run_id)


def start(run: Run, at: Stamp, *, worker_id: str | None) -> Run:
    """Return the PENDING run as RUNNING. The worker, if named, becomes its holder."""
    return evolve(
        run,
        status=RunStatus.RUNNING,
        status_reason=StatusReason.UNSPECIFIED,
        revision=at.revision,
        updated_at=at.time,
        started_at=at.time,
        error=None,
        worker_id=worker_id or run.worker_id,
        attempt=run.attempt + 1,
        fencing_token=at.revision,
        turn=None,
    )


def awaits_claim(run: Run) -> bool:
    """Return True if any worker may claim the run now, or the one that holds it."""
    return run.status is RunStatus.PENDING and (run.turn is not None or run.worker_id is not None)


def is_claimable(run: Run, worker_id: str) -> bool:
    """Return True if this worker may claim the run now."""
    return awaits_claim(run) and run.worker_id in (None, worker_id)


def claim(run: Run, at: Stamp, *, worker_id: str, ttl: timedelta, claim_id: str | None) -> Run:
    """Hand a claimable run to a worker, with a lease."""
    started = start(run, at, worker_id=worker_id)
    return evolve(started, lease=lease_of(ttl, at), claim_id=claim_id)


def has_attempts_left(run: Run) -> bool:
    """Return True if a RUNNING run gets another attempt after this one has failed."""
    if run.retry is None or run.status is not RunStatus.RUNNING:
        return False
    return _counted(run, run.retry) < run.retry.max_attempts


def retry(run: Run, at: Stamp, *, reason: StatusReason, error: str | None) -> Run:
    """Return a run whose attempt has failed as PENDING, for the next attempt after the backoff."""
    pause = _backoff(run)
    again = _give_back(run, at, reason)
    return evolve(again, error=error, not_before=at.time + pause if pause else run.not_before)


def release(run: Run, at: Stamp, *, worker_id: str, attempt: int | None) -> Run:
    """Take a run back from its holder, who has not performed it: the attempt does not count.

    Raise NotHolder, InvalidTransition.
    """
    if run.status.terminal:
        raise RunEnded(run.run_id, run.status, RunStatus.PENDING, run.status.name)
    check_holder(run, worker_id, attempt)
    if run.status is not RunStatus.RUNNING:
        raise InvalidTransition(run.run_id, run.status, RunStatus.PENDING)
    if run.worker_id is None:
        raise NotHolder(run.run_id)
    again = _give_back(run, at, StatusReason.RELEASED)
    if run.retry is None:
        return again
    return evolve(again, retry=evolve(run.retry, released=run.retry.released + 1))


def add_progress(run: Run, progress: Progress | None) -> Run:
    """Return a run between two attempts with the usage that its last executor reported."""
    if progress is None:
        return run
    return evolve(run, progress=merge_progress(run.progress, progress, final=False))


def _give_back(run: Run, at: Stamp, reason: StatusReason) -> Run:
    progress = run.progress
    if progress is not None and progress.final:
        progress = evolve(progress, final=False)
    return evolve(
        run,
        status=RunStatus.PENDING,
        status_reason=reason,
        revision=at.revision,
        updated_at=at.time,
        pending_at=at.time,
        started_at=None,
        error=None,
        worker_id=None,
        lease=None,
        claim_id=None,
        progress=progress,
        # The next executor numbers its reports from the beginning.
        progress_sequence=None,
    )


def _counted(run: Run, rule: Retry) -> int:
    """The number of attempts that count."""
    return run.attempt - rule.released


def _backoff(run: Run) -> timedelta:
    """The time before the next attempt of a run."""
    if run.retry is None or run.retry.backoff is None:
        return timedelta(0)
    doublings = _counted(run, run.retry) - 1
    return min(run.retry.backoff * (1 << doublings), LONGEST_BACKOFF)
