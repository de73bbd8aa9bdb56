"""The state of a run that its executor knows: how answers and refusals change it."""

from __future__ import annotations

import grpc
import pytest

from runsvc.client import (
    FailedPrecondition,
    NotFound,
    RunError,
)
from runsvc.client.known_run import KnownRun
from runsvc.client.outcome import outcome
from runsvc.v1.run_pb2 import Progress, Run, RunStatus
from tests.support.workers import WORKER


def run(status: str, revision: int, *, lease: bool = False, cancelled: bool = False) -> Run:
    made = Run(run_id="r1", status=f"RUN_STATUS_{status}", revision=revision, worker_id=WORKER)
    if lease:
        made.lease.ttl.FromMilliseconds(30)
    if cancelled:
        made.cancellation.action = 1  # type: ignore[assignment]
    return made


RUNNING = run("RUNNING", 2)


CANCELLED = run("INTERRUPTED", 3, cancelled=True)


def test_answers_may_arrive_in_any_order() -> None:
    known = KnownRun(Run(run_id="r1", revision=2, kwargs={"input": 1}), WORKER)
    known.update(CANCELLED)
    known.update(RUNNING)
    assert (known.run.status, known.cancelled) == (RunStatus.RUN_STATUS_INTERRUPTED, True)
    assert known.run.kwargs["input"] == 1


def test_terminal_status_counts_in_restored_store() -> None:
    known = KnownRun(run("RUNNING", 20), WORKER)
    known.update(run("PENDING", 1))
    assert not known.must_stop
    known.update(CANCELLED)
    assert known.cancelled


def test_run_with_another_holder_is_lost() -> None:
    known = KnownRun(RUNNING, WORKER)
    known.update(Run(run_id="r1", revision=3, status="RUN_STATUS_RUNNING", worker_id="other"))
    assert known.lost


@pytest.mark.parametrize(
    ("error", "cancelled", "lost"),
    [
        (NotFound(grpc.StatusCode.NOT_FOUND), False, True),
        (FailedPrecondition(grpc.StatusCode.FAILED_PRECONDITION, "NOT_HOLDER"), False, True),
    ],
)
def test_rejection_after_cancel_means_lost_run(
    error: RunError, cancelled: bool, lost: bool
) -> None:
    known = KnownRun(RUNNING, WORKER)
    known.update(CANCELLED)
    known.record_refusal(error)
    assert (known.cancelled, known.lost) == (cancelled, lost)


def test_usage_is_merged() -> None:
    known = KnownRun(RUNNING, WORKER)
    assert known.usage is None
    known.progress = known.merged_progress(Progress(total_tokens=1, llm_call_count=1))
    known.progress = known.merged_progress(Progress(total_tokens=2))
    assert known.usage == Progress(total_tokens=2, llm_call_count=1)


def test_heartbeat_interval_is_a_third_of_the_lease() -> None:
    assert KnownRun(run("RUNNING", 1, lease=True), WORKER).heartbeat_interval == 0.01
    assert KnownRun(RUNNING, WORKER, lease_ttl=3).heartbeat_interval == 1
    assert KnownRun(RUNNING, WORKER).heartbeat_interval is None


def test_outage_is_the_lease_but_at_least_a_minute() -> None:
    assert KnownRun(RUNNING, WORKER, lease_ttl=300).outage == 300
    assert KnownRun(run("RUNNING", 1, lease=True), WORKER).outage == 60
    assert KnownRun(RUNNING, WORKER).outage == 60


def test_error_of_maximum_length_is_not_cut() -> None:
    _, error = outcome(ValueError("x" * 16_384))
    assert error is not None
    assert (len(error), error[-1]) == (16_384, "x")
