"""Leases and timeouts: their start, renewal and end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core import lifecycle, terms
from runsvc.core.errors import InvalidTransition, NotHolder, RunEnded
from runsvc.core.lifecycle import cancel, heartbeat, renew, report
from runsvc.core.model import (
    CancelAction,
    Lease,
    Progress,
    Run,
    RunSpec,
    RunStatus,
    Stamp,
    StatusReason,
)
from runsvc.core.stopping import acknowledge_cancel

if TYPE_CHECKING:
    from collections.abc import Callable

PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED, QUEUED = RunStatus
BORN = Stamp(1, datetime(2026, 1, 1, tzinfo=UTC))
SECOND = timedelta(seconds=1)
MOMENT = timedelta(microseconds=1)
EVER = timedelta.max


def after(seconds: float) -> Stamp:
    return Stamp(7, BORN.time + timedelta(seconds=seconds))


def pending(**spec: Any) -> Run:
    return lifecycle.create(RunSpec(thread_id="t", **spec), run_id="r", owner="o", at=BORN)


def leased(ttl: float = 10, status: RunStatus = RUNNING) -> Run:
    """A run of worker w that was created with a lease and got its status after a second."""
    run = pending(worker_id="w", lease_ttl=timedelta(seconds=ttl))
    return run if status is PENDING else report(run, status, after(1), worker_id="w")


def limited(timeout: float = 10, start_timeout: float = 5) -> Run:
    return pending(
        timeout=timedelta(seconds=timeout), start_timeout=timedelta(seconds=start_timeout)
    )


def expire(
    run: Run, at: Stamp, late: timedelta = timedelta(0), shift: timedelta = timedelta(0)
) -> Run:
    """Expire the run, with a lease end that is `late` and a timeout end that is shifted."""
    lease_end = run.lease.expires_at + late if run.lease else None
    limit = terms.limit_of(run)
    limit_end = limit.since + limit.length + shift if limit else None
    return lifecycle.expire(run, at, by=at.time, lease_end=lease_end, limit_end=limit_end)


# Start of a lease.


def test_a_lease_starts_with_the_run() -> None:
    assert pending().lease is None
    assert leased(9, PENDING).lease == Lease(9 * SECOND, BORN.time + 9 * SECOND)


def test_a_start_sets_the_holder_whose_renewal_may_start_a_lease() -> None:
    run = report(pending(), RUNNING, after(2), worker_id="w")
    assert (run.worker_id, run.lease) == ("w", None)
    assert renew(run, after(2), ttl=9 * SECOND).lease == Lease(9 * SECOND, BORN.time + 11 * SECOND)


def test_a_start_keeps_the_lease() -> None:
    run = pending(worker_id="w", lease_ttl=9 * SECOND)
    assert report(run, RUNNING, after(2), worker_id="w").lease == run.lease


def test_a_repeated_start_changes_nothing() -> None:
    run = leased()
    assert report(run, RUNNING, after(2), worker_id="w") is run


# Renewal.


def test_a_renewal_changes_only_the_end_of_the_lease() -> None:
    run = leased(10)
    renewed = renew(run, after(4))
    assert renewed == replace(run, lease=Lease(10 * SECOND, BORN.time + 14 * SECOND))
    assert (renewed.revision, renewed.updated_at) == (run.revision, run.updated_at)


def test_a_renewal_may_change_the_length_of_the_lease() -> None:
    run = leased(10)
    renewed = renew(run, after(4), ttl=3 * SECOND)
    assert renewed == replace(run, lease=Lease(3 * SECOND, BORN.time + 7 * SECOND))


def test_a_run_without_a_lease_is_not_renewed() -> None:
    run = pending()
    assert renew(run, after(1)) is run


def test_a_run_without_a_holder_gets_no_lease() -> None:
    run = pending()
    assert renew(run, after(1), ttl=SECOND) is run


def test_a_lease_can_be_renewed_after_a_cancel_until_the_acknowledgement() -> None:
    run = cancel(leased(10), CancelAction.INTERRUPT, after(2))[0]
    assert renew(run, after(3)).lease == Lease(10 * SECOND, BORN.time + 13 * SECOND)
    stopped = acknowledge_cancel(run, after(4), worker_id="w")
    assert renew(stopped, after(5)) is stopped


@pytest.mark.parametrize("status", [SUCCESS, ERROR, TIMEOUT])
def test_a_lease_is_not_renewed_after_the_end_of_the_run(status: RunStatus) -> None:
    run = leased(10, status)
    assert renew(run, after(2)) is run


def test_the_lease_of_a_run_cancelled_before_its_start_is_not_renewed() -> None:
    run = cancel(leased(10, PENDING), CancelAction.INTERRUPT, after(2))[0]
    assert renew(run, after(3)) is run


@pytest.mark.parametrize("status", [PENDING, RUNNING, INTERRUPTED])
def test_a_heartbeat_is_accepted_from_the_holder_of_an_active_or_interrupted_run(
    status: RunStatus,
) -> None:
    run = leased(10, status)
    assert heartbeat(run, worker_id="w") is run
    for other in ("x", None):
        with pytest.raises(NotHolder):
            heartbeat(run, worker_id=other)


@pytest.mark.parametrize("status", [SUCCESS, ERROR, TIMEOUT])
def test_a_heartbeat_after_the_end_is_refused(status: RunStatus) -> None:
    with pytest.raises(RunEnded):
        heartbeat(leased(10, status), worker_id="w")


def test_a_run_without_a_holder_accepts_a_heartbeat_of_any_worker() -> None:
    run = pending()
    assert heartbeat(run, worker_id="w") is run


# End.


@pytest.mark.parametrize("status", [PENDING, RUNNING])
def test_a_lease_that_was_not_renewed_ends_the_run(status: RunStatus) -> None:
    run = leased(10, status)
    assert expire(run, Stamp(7, after(10).time - MOMENT)) is run
    ended = expire(run, after(10))
    assert (ended.status, ended.status_reason) == (ERROR, StatusReason.LEASE_EXPIRED)
    assert ended.error == "The worker did not renew its lease of 10 s."
    assert (ended.revision, ended.ended_at) == (7, after(10).time)
    assert ended.lease == run.lease


def test_a_lease_ends_at_the_given_lease_end() -> None:
    run = leased(10)
    assert expire(run, Stamp(7, after(15).time - MOMENT), late=5 * SECOND) is run
    assert expire(run, after(15), late=5 * SECOND).status is ERROR


def test_an_ended_run_does_not_expire() -> None:
    run = leased(1, SUCCESS)
    assert expire(run, after(1_000)) is run


def test_the_executor_of_a_cancelled_run_counts_as_stopped_after_its_lease() -> None:
    run = cancel(leased(1), CancelAction.INTERRUPT, after(2))[0]
    assert expire(run, Stamp(7, after(1).time - MOMENT)) is run
    stopped = expire(run, after(5))
    assert stopped.cancellation is not None
    assert stopped.cancellation.presumed_stopped_at == after(5).time
    assert (stopped.status, stopped.revision) == (run.status, run.revision)
    assert expire(stopped, after(9)) is stopped


def test_a_run_may_be_pending_for_its_start_timeout() -> None:
    run = limited(start_timeout=5)
    assert expire(run, Stamp(7, after(5).time - MOMENT)) is run
    ended = expire(run, after(5))
    assert (ended.status, ended.status_reason) == (TIMEOUT, StatusReason.START_TIMEOUT_EXCEEDED)
    assert ended.error == "The run was PENDING for longer than its timeout of 5 s."


def test_a_run_may_be_running_for_its_timeout() -> None:
    run = report(limited(timeout=10, start_timeout=5), RUNNING, after(4), worker_id=None)
    assert expire(run, after(13.9)) is run
    ended = expire(run, after(14))
    assert (ended.status, ended.status_reason) == (TIMEOUT, StatusReason.TIMEOUT_EXCEEDED)
    assert ended.error == "The run was RUNNING for longer than its timeout of 10 s."


def test_only_the_timeout_of_the_current_status_applies() -> None:
    run = pending(timeout=SECOND)
    assert expire(run, after(1_000)) is run
    started = report(pending(start_timeout=SECOND), RUNNING, after(0.5), worker_id=None)
    assert expire(started, after(1_000)) is started


def test_a_timeout_keeps_running_during_an_outage() -> None:
    assert expire(limited(start_timeout=5), after(5), late=EVER).status is TIMEOUT


def test_a_timeout_is_extended_by_forward_steps_of_the_clock() -> None:
    run = limited(start_timeout=5)
    assert expire(run, Stamp(7, after(3_605).time - MOMENT), shift=3_600 * SECOND) is run
    assert expire(run, after(3_605), shift=3_600 * SECOND).status is TIMEOUT


def test_a_timeout_takes_precedence_over_a_lease() -> None:
    run = pending(worker_id="w", lease_ttl=SECOND, start_timeout=SECOND)
    assert expire(run, after(9)).status is TIMEOUT


# Late executors.

LATE: dict[str, Callable[[Run], Run]] = {
    "SetStatus": partial(report, to=SUCCESS, at=after(99), worker_id="w"),
    "Complete": partial(lifecycle.complete, to=SUCCESS, at=after(99), worker_id="w"),
}


@pytest.mark.parametrize("send", LATE.values(), ids=LATE)
def test_a_late_executor_cannot_change_the_run(send: Callable[[Run], Run]) -> None:
    for run in (
        expire(leased(10), after(50)),
        cancel(leased(10), CancelAction.INTERRUPT, after(2))[0],
    ):
        with pytest.raises(InvalidTransition):
            send(run)


def test_a_late_heartbeat_gets_the_reason_of_the_end() -> None:
    with pytest.raises(RunEnded, match=r"as ERROR \(LEASE_EXPIRED\) and can no longer change"):
        lifecycle.heartbeat(expire(leased(10), after(50)), worker_id="w")


def test_the_final_usage_of_an_expired_run_is_accepted() -> None:
    lost = expire(leased(10), after(50))
    reported = lifecycle.report_progress(
        lost, Progress(total_tokens=9), after(60), worker_id="w", final=True
    )
    assert reported.progress == Progress(total_tokens=9, final=True)
    assert reported.status is ERROR
