"""Stopping: after a cancel, a run has ended, but its executor may still be at work. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.core.attempts import check_holder
from runsvc.core.errors import NotCancelled
from runsvc.core.model import RunStatus, evolve
from runsvc.core.progress import add_final_progress

if TYPE_CHECKING:
    from datetime import datetime

    from runsvc.core.model import Progress, Run, Stamp


def awaits_acknowledgement(run: Run) -> bool:
    """Return True if the executor of a cancelled run had started and has not acknowledged yet."""
    return (
        run.cancellation is not None
        and run.cancellation.acknowledged_at is None
        and run.started_at is not None
    )


def is_stopping(run: Run) -> bool:
    """Return True if the executor of a cancelled run may still be at work."""
    return (
        awaits_acknowledgement(run)
        and run.cancellation is not None
        and run.cancellation.presumed_stopped_at is None
    )


def stopping_since(run: Run) -> datetime | None:
    """The time of the cancel of a run whose executor may still be at work."""
    return run.cancellation.requested_at if run.cancellation and is_stopping(run) else None


def acknowledge(
    run: Run, at: Stamp, *, error: str | None = None, stop_reason: str | None = None
) -> Run:
    """Record that the executor of a cancelled run has stopped. Any other run stays as it is."""
    if run.cancellation is None or run.cancellation.acknowledged_at is not None:
        return run
    return evolve(
        run,
        revision=at.revision,
        updated_at=at.time,
        error=error,
        stop_reason=stop_reason,
        cancellation=evolve(run.cancellation, acknowledged_at=at.time),
    )


def acknowledge_cancel(
    run: Run,
    at: Stamp,
    *,
    worker_id: str | None,
    stop_reason: str | None = None,
    progress: Progress | None = None,
    attempt: int | None = None,
) -> Run:
    """Record that the executor of a cancelled run has stopped, with the final usage.

    A repeated acknowledgement only adds final usage that is missing. Raise NotHolder, NotCancelled, InvalidRequest.
    """
    check_holder(run, worker_id, attempt)
    if run.cancellation is None:
        raise NotCancelled(run.run_id, run.status, RunStatus.INTERRUPTED)
    return add_final_progress(acknowledge(run, at, stop_reason=stop_reason), progress, at)


def presume_stopped(run: Run, at: Stamp) -> Run:
    """Take the executor of a cancelled run as stopped without its word. Any other run stays as it is."""
    if not is_stopping(run) or run.cancellation is None:
        return run
    return evolve(
        run,
        updated_at=at.time,
        cancellation=evolve(run.cancellation, presumed_stopped_at=at.time),
    )


def give_up(run: Run, at: Stamp, *, by: datetime) -> Run:
    """Take the executor of a cancelled run without a lease as stopped, if the cancel came at or before the time."""
    since = stopping_since(run)
    if since is None or since > by or run.lease is not None:
        return run
    return presume_stopped(run, at)
