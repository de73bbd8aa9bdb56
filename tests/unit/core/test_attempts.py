"""The attempts of a run, as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runsvc.core import attempts, lifecycle
from runsvc.core.errors import InvalidTransition, NotHolder, RunEnded, RunsvcError
from runsvc.core.model import Lease, Progress, Retry, Run, RunSpec, RunStatus, Stamp, StatusReason

PENDING, RUNNING, SUCCESS, INTERRUPTED, QUEUED = (
    RunStatus.PENDING,
    RunStatus.RUNNING,
    RunStatus.SUCCESS,
    RunStatus.INTERRUPTED,
    RunStatus.QUEUED,
)
BORN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
AT = Stamp(9, BORN + 60 * SECOND)


def a_run(**fields: Any) -> Run:
    run = lifecycle.create(RunSpec(thread_id="t"), run_id="r", owner="o", at=Stamp(1, BORN))
    return replace(run, **fields)


def running(**fields: Any) -> Run:
    common = {"status": RUNNING, "worker_id": "w", "attempt": 1, "started_at": BORN}
    return a_run(**common | fields)


BETWEEN = a_run(attempt=1)


@pytest.mark.parametrize(
    ("run", "worker_id", "attempt", "starts", "is_holder"),
    [
        (a_run(), None, None, False, True),
        (a_run(), "w", None, True, True),
        (a_run(), "w", 0, True, True),
        (a_run(worker_id="w"), "w", None, True, True),
        (a_run(worker_id="w"), "v", None, True, False),
        (a_run(worker_id="w"), None, None, True, False),
        (running(), "w", None, False, True),
        (running(), "w", 1, False, True),
        (running(), "w", 2, False, False),
        (running(attempt=2), "w", 1, False, False),
        (running(), "v", 1, False, False),
        # Between two attempts only a new start counts, and not one that names the attempt that has failed.
        (BETWEEN, "w", None, True, True),
        (BETWEEN, None, None, True, True),
        (BETWEEN, "w", None, False, False),
        (BETWEEN, "w", 1, True, False),
    ],
)
def test_the_holder_reports_on_its_own_attempt(
    run: Run, worker_id: str | None, attempt: int | None, starts: bool, is_holder: bool
) -> None:
    if is_holder:
        attempts.check_holder(run, worker_id, attempt, starts=starts)
    else:
        with pytest.raises(NotHolder):
            attempts.check_holder(run, worker_id, attempt, starts=starts)


def test_a_start_counts_an_attempt_and_forgets_the_failure_before_it() -> None:
    failed = a_run(
        status_reason=StatusReason.RETRYABLE_ERROR, error="e", attempt=1, fencing_token=4, turn=3
    )
    assert attempts.start(failed, AT, worker_id="w") == replace(
        failed,
        status=RUNNING,
        status_reason=StatusReason.UNSPECIFIED,
        revision=9,
        updated_at=AT.time,
        started_at=AT.time,
        error=None,
        worker_id="w",
        attempt=2,
        fencing_token=9,
        turn=None,
    )


@pytest.mark.parametrize(
    ("known", "named", "holder"), [(None, None, None), (None, "w", "w"), ("w", None, "w")]
)
def test_a_start_without_a_worker_keeps_the_holder(
    known: str | None, named: str | None, holder: str | None
) -> None:
    assert attempts.start(a_run(worker_id=known), AT, worker_id=named).worker_id == holder


@pytest.mark.parametrize(
    ("fields", "claimable_by"),
    [
        ({"turn": 0}, {"w", "v"}),
        ({"worker_id": "w"}, {"w"}),
        ({"turn": 1, "worker_id": "w"}, {"w"}),
        ({}, set()),
        ({"status": QUEUED, "worker_id": "w"}, set()),
        ({"status": RUNNING, "worker_id": "w"}, set()),
        ({"status": SUCCESS, "turn": 1}, set()),
    ],
)
def test_a_pending_run_is_claimable_in_its_turn_or_by_its_holder(
    fields: dict[str, Any], claimable_by: set[str]
) -> None:
    run = a_run(**fields)
    assert {worker for worker in ("w", "v") if attempts.is_claimable(run, worker)} == claimable_by
    assert attempts.awaits_claim(run) is bool(claimable_by)


def test_a_claim_starts_a_run_with_a_lease_and_the_id_of_the_call() -> None:
    run = a_run(turn=2)
    claimed = attempts.claim(run, AT, worker_id="w", ttl=5 * SECOND, claim_id="c")
    assert claimed == replace(
        attempts.start(run, AT, worker_id="w"),
        lease=Lease(5 * SECOND, AT.time + 5 * SECOND),
        claim_id="c",
    )


@pytest.mark.parametrize(
    ("retry", "attempt", "is_left"),
    [
        (None, 1, False),
        (Retry(1), 1, False),
        (Retry(2), 1, True),
        (Retry(2), 2, False),
        (Retry(3), 2, True),
        # Released attempts do not count.
        (Retry(2, released=1), 2, True),
        (Retry(2, released=1), 3, False),
    ],
)
def test_attempts_are_left_below_the_maximum(
    retry: Retry | None, attempt: int, is_left: bool
) -> None:
    assert attempts.has_attempts_left(running(retry=retry, attempt=attempt)) is is_left
    for status in (PENDING, QUEUED, SUCCESS, INTERRUPTED):
        run = running(status=status, retry=retry, attempt=attempt)
        assert not attempts.has_attempts_left(run)


@pytest.mark.parametrize(
    ("backoff", "attempt", "released", "pause"),
    [
        (None, 1, 0, None),
        (timedelta(0), 1, 0, None),
        (SECOND, 1, 0, SECOND),
        (SECOND, 2, 0, 2 * SECOND),
        (SECOND, 5, 0, 16 * SECOND),
        (SECOND, 5, 3, 2 * SECOND),
        (timedelta(minutes=50), 2, 0, attempts.LONGEST_BACKOFF),
        (60 * SECOND, 10, 0, attempts.LONGEST_BACKOFF),
    ],
)
def test_the_backoff_doubles_with_each_attempt_that_counts(
    backoff: timedelta | None, attempt: int, released: int, pause: timedelta | None
) -> None:
    run = running(retry=Retry(100, backoff, released), attempt=attempt, not_before=BORN)
    again = attempts.retry(run, AT, reason=StatusReason.LEASE_EXPIRED, error="e")
    assert again.not_before == (BORN if pause is None else AT.time + pause)


def test_a_run_between_two_attempts_keeps_its_usage_and_loses_its_holder() -> None:
    run = running(
        retry=Retry(3),
        lease=Lease(SECOND, AT.time),
        claim_id="c",
        fencing_token=5,
        progress=Progress(total_tokens=3, final=True),
        progress_sequence=8,
    )
    again = attempts.retry(run, AT, reason=StatusReason.LEASE_EXPIRED, error="e")
    assert again == replace(
        run,
        status=PENDING,
        status_reason=StatusReason.LEASE_EXPIRED,
        revision=9,
        updated_at=AT.time,
        pending_at=AT.time,
        started_at=None,
        error="e",
        worker_id=None,
        lease=None,
        claim_id=None,
        progress=Progress(total_tokens=3),
        progress_sequence=None,
    )


@pytest.mark.parametrize("retry", [None, Retry(2), Retry(2, SECOND, released=4)])
def test_a_released_attempt_does_not_count(retry: Retry | None) -> None:
    run = running(retry=retry, attempt=2)
    released = attempts.release(run, AT, worker_id="w", attempt=2)
    assert (released.status, released.status_reason) == (PENDING, StatusReason.RELEASED)
    assert (released.worker_id, released.error, released.not_before) == (None, None, None)
    expected = retry and replace(retry, released=retry.released + 1)
    assert released.retry == expected
    if retry is not None:
        started = attempts.start(released, AT, worker_id="v")
        assert attempts.has_attempts_left(started) is attempts.has_attempts_left(run)


@pytest.mark.parametrize(
    ("run", "worker_id", "attempt", "error"),
    [
        (running(), "v", None, NotHolder),
        (running(), "w", 2, NotHolder),
        (running(worker_id=None), "w", None, NotHolder),
        (a_run(worker_id="w"), "w", None, InvalidTransition),
        (a_run(status=QUEUED, worker_id="w"), "w", None, InvalidTransition),
        (running(status=SUCCESS), "w", None, RunEnded),
        (running(status=INTERRUPTED), "v", None, RunEnded),
    ],
)
def test_only_the_holder_of_a_running_run_gives_it_back(
    run: Run, worker_id: str, attempt: int | None, error: type[RunsvcError]
) -> None:
    with pytest.raises(error):
        attempts.release(run, AT, worker_id=worker_id, attempt=attempt)


def test_usage_between_two_attempts_is_not_final() -> None:
    run = a_run(progress=Progress(total_tokens=3, total_input_tokens=1))
    assert attempts.add_progress(run, None) is run
    added = attempts.add_progress(run, Progress(total_tokens=5))
    assert added.progress == Progress(total_tokens=5, total_input_tokens=1)
