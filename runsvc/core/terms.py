"""Terms: how long a run may keep its status or its lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runsvc.core.model import Lease, RunStatus, StatusReason

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from runsvc.core.model import Run, Stamp


class Limit(NamedTuple):
    """The timeout of a run's current status."""

    since: datetime
    length: timedelta
    #: The status reason of a run that exceeds the limit.
    reason: StatusReason


def limit_of(run: Run) -> Limit | None:
    """Return the timeout of a run's current status; None if it has none."""
    if run.status is RunStatus.PENDING and run.start_timeout is not None:
        return Limit(_claimable_at(run), run.start_timeout, StatusReason.START_TIMEOUT_EXCEEDED)
    if run.status is RunStatus.RUNNING and run.timeout is not None and run.started_at is not None:
        return Limit(run.started_at, run.timeout, StatusReason.TIMEOUT_EXCEEDED)
    if run.status is RunStatus.QUEUED and run.queue_timeout is not None:
        return Limit(run.created_at, run.queue_timeout, StatusReason.QUEUE_TIMEOUT_EXCEEDED)
    return None


def lease_of(ttl: timedelta | None, at: Stamp) -> Lease | None:
    """Return a lease that starts now; None without a ttl."""
    return None if ttl is None else Lease(ttl, at.time + ttl)


def _claimable_at(run: Run) -> datetime:
    """The time from which the start of a PENDING run is possible."""
    since = run.pending_at or run.created_at
    return since if run.not_before is None else max(since, run.not_before)
