"""Executions of both twins against a scripted server: from which answers they learn that the run is over."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import (
    AsyncRunClient,
    FailedPrecondition,
    NotFound,
    RunClient,
    RunError,
    Unavailable,
)
from runsvc.client.execution import KnownRun, ending
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Progress, Run, RunStatus
from tests.support.scripted import HOLD, Refusal
from tests.support.waiting import until
from tests.support.workers import WORKER, Work, working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.scripted import Script

USED = Progress(total_tokens=7)
GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
NOT_HOLDER = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "no", "NOT_HOLDER")
NO_SUCH_RUN = Refusal(grpc.StatusCode.NOT_FOUND, "no", "RUN_NOT_FOUND")


def run(status: str, revision: int, *, lease: bool = False, cancelled: bool = False) -> Run:
    told = Run(run_id="r1", status=f"RUN_STATUS_{status}", revision=revision, worker_id=WORKER)
    if lease:
        told.lease.ttl.FromMilliseconds(30)
    if cancelled:
        told.cancellation.action = 1  # type: ignore[assignment]
    return told


PENDING = run("PENDING", 1)
RUNNING = run("RUNNING", 2)
CANCELLED = run("INTERRUPTED", 3, cancelled=True)
TIMED_OUT = run("TIMEOUT", 3)


def refused(status: str) -> Refusal:
    facts = {"run_id": "r1", "from": status, "to": "SUCCESS"}
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, "no", "INVALID_TRANSITION", facts)


@pytest.fixture
async def client(kind: Any, target: str) -> AsyncIterator[Any]:
    """A client for executors, as it is."""
    client = kind(target, token=None, tls_ca=None, timeout=5)
    yield client
    if isinstance(client, AsyncRunClient):
        await client.close()
    else:
        client.close()


def script_of(script: Script, started: Run) -> Script:
    """A server that starts the run, and whose stream is silent."""
    script.will("SetStatus", pb.SetStatusResponse(run=started, changed=True))
    script.will("StreamStatus", [HOLD], [HOLD])
    return script


def asked(script: Script, kind: Any) -> list[Any]:
    return [request for request in script.asked if isinstance(request, kind)]


async def test_a_heartbeat_s_answer_tells_of_a_cancel(client: Any, script: Script) -> None:
    script_of(script, RUNNING)
    beating = pb.HeartbeatResponse(run=RUNNING)
    over = pb.HeartbeatResponse(run=CANCELLED)
    script.will("Heartbeat", beating, GONE, beating, *[over] * 100)
    script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=CANCELLED, changed=True))
    work = Work(PENDING, lease_ttl=0.03)
    await working(client, work)
    assert (work.stopped, work.execution.cancelled) == (True, True)
    assert asked(script, pb.AcknowledgeCancelRequest) == [
        pb.AcknowledgeCancelRequest(run_id="r1", worker_id=WORKER)
    ]
    assert asked(script, pb.CompleteRequest) == []


@pytest.mark.parametrize("refusal", [NOT_HOLDER, NO_SUCH_RUN, refused("TIMEOUT")])
async def test_a_heartbeat_that_is_refused_tells_that_the_run_is_lost(
    client: Any, script: Script, refusal: Refusal
) -> None:
    # Again and again: an answer that comes later than the next sign of life is due is not waited for.
    script_of(script, run("RUNNING", 2, lease=True)).will("Heartbeat", *[refusal] * 100)
    work = Work(PENDING, lease_ttl=None)
    await working(client, work)
    assert (work.stopped, work.execution.lost, work.went_on) == (True, True, True)
    # Nothing was reported. Whether it had begun to watch by then is a matter of time.
    assert {type(each) for each in script.asked} - {pb.StreamStatusRequest} == {
        pb.SetStatusRequest,
        pb.HeartbeatRequest,
    }


@pytest.mark.parametrize(("answer", "cancelled"), [(CANCELLED, True), (TIMED_OUT, False)])
async def test_the_answer_to_progress_tells_of_the_end(
    client: Any, script: Script, answer: Run, cancelled: bool
) -> None:
    told = pb.UpdateProgressResponse(run=answer)
    script_of(script, RUNNING).will("UpdateProgress", told, told)
    script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=answer, changed=True))
    work = Work(PENDING, usage=USED)
    await working(client, work)
    assert not work.begun.is_set()
    assert work.execution.cancelled is cancelled
    assert work.execution.lost is not cancelled
    if cancelled:
        (last,) = asked(script, pb.AcknowledgeCancelRequest)
        assert last.progress == USED
    else:
        first, last = asked(script, pb.UpdateProgressRequest)
        assert (first.final, last.final, last.progress) == (False, True, USED)


async def test_work_goes_on_while_its_server_is_away_for_longer_than_the_lease(
    client: Any, script: Script
) -> None:
    script_of(script, RUNNING).will("Heartbeat", *[GONE] * 1_000)
    script.will("UpdateProgress", GONE)
    script.will("Complete", GONE, pb.CompleteResponse(run=run("SUCCESS", 3)))
    work = Work(PENDING, lease_ttl=0.03, usage=USED)
    executing = working(client, work)
    await until(lambda: len(asked(script, pb.HeartbeatRequest)) > 9 or executing.done())
    assert (executing.done(), work.stopped, work.execution.lost) == (False, False, False)
    work.end.set()
    await executing
    assert work.execution.run.status == RunStatus.RUN_STATUS_SUCCESS
    # The report that nobody took is made up for.
    assert [each.progress for each in asked(script, pb.CompleteRequest)] == [USED, USED]


async def test_progress_that_is_refused_tells_that_the_run_is_lost(
    client: Any, script: Script
) -> None:
    script_of(script, RUNNING).will("UpdateProgress", NOT_HOLDER, NOT_HOLDER)
    work = Work(PENDING, usage=USED)
    await working(client, work)
    assert (work.begun.is_set(), work.execution.lost) == (False, True)


async def test_the_stream_tells_that_the_run_was_removed(client: Any, script: Script) -> None:
    deleted = pb.StreamStatusResponse(event="STATUS_EVENT_DELETED", revision=9, run=RUNNING)
    script.will("SetStatus", pb.SetStatusResponse(run=RUNNING, changed=True))
    script.will("StreamStatus", [deleted])
    work = Work(PENDING)
    await working(client, work)
    assert (work.stopped, work.execution.lost) == (True, True)


async def test_a_stream_that_is_refused_is_tried_again(client: Any, script: Script) -> None:
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "no", "PERMISSION_DENIED")
    script_of(script, RUNNING).will("Complete", pb.CompleteResponse(run=run("SUCCESS", 3)))
    script.answers["StreamStatus"].insert(0, [denied])
    work = Work(PENDING)
    executing = working(client, work)
    await until(lambda: script.held)
    work.end.set()
    await executing
    assert work.went_on


async def test_a_report_that_is_refused_for_a_cancel_acknowledges_it(
    client: Any, script: Script
) -> None:
    script_of(script, RUNNING).will("Complete", refused("INTERRUPTED"))
    script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=CANCELLED, changed=True))
    work = Work(PENDING)
    work.end.set()
    await working(client, work)
    assert (work.went_on, work.execution.cancelled) == (True, True)


async def test_an_interrupted_run_that_nobody_cancelled_is_lost(
    client: Any, script: Script
) -> None:
    script_of(script, RUNNING).will("Complete", refused("INTERRUPTED"))
    script.will("AcknowledgeCancel", refused("INTERRUPTED"))
    work = Work(PENDING)
    work.end.set()
    await working(client, work)
    assert (work.execution.cancelled, work.execution.lost) == (False, True)


@pytest.mark.parametrize(
    "code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED"]
)
async def test_reports_are_repeated(client: Any, script: Script, code: str) -> None:
    passing = Refusal(grpc.StatusCode[code], "again")
    started = pb.SetStatusResponse(run=RUNNING, changed=True)
    script.will("SetStatus", passing, started)
    script.will("StreamStatus", [HOLD])
    script.will("Complete", passing, passing, pb.CompleteResponse(run=run("SUCCESS", 3)))
    work = Work(PENDING)
    work.end.set()
    await working(client, work)
    first, *others = asked(script, pb.CompleteRequest)
    assert others == [first, first]


async def test_a_report_that_is_refused_for_another_reason_is_told(
    client: Any, script: Script
) -> None:
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "no", "PERMISSION_DENIED")
    script_of(script, RUNNING).will("Complete", denied)
    work = Work(PENDING)
    work.end.set()
    with pytest.raises(RunError) as refusal:
        await working(client, work)
    assert refusal.value.reason == "PERMISSION_DENIED"


async def test_a_run_is_not_begun_without_a_server(kind: Any) -> None:
    client = kind("127.0.0.1:1", timeout=0.2)
    work = Work(PENDING)
    with pytest.raises(Unavailable):
        await working(client, work)
    with pytest.raises(RuntimeError, match=r"use (async )?with"):
        _ = client.executing(PENDING, worker_id=WORKER).run
    await client.close() if isinstance(client, AsyncRunClient) else client.close()


async def test_a_program_that_fails_in_the_background_stops_the_work(
    kind: Any, target: str, script: Script
) -> None:
    tokens = iter(["first", "second"])

    def token() -> str:
        try:
            return next(tokens)
        except StopIteration:
            raise LookupError("no token") from None

    script.will("SetStatus", pb.SetStatusResponse(run=RUNNING))
    script.will("StreamStatus", [HOLD])
    client = kind(target, token=token, timeout=1)
    work = Work(PENDING, lease_ttl=0.03)
    with pytest.raises(LookupError, match="no token"):
        await working(client, work)
    assert (work.stopped, work.went_on) == (True, False)
    await client.close() if isinstance(client, AsyncRunClient) else client.close()


async def test_a_task_that_is_cancelled_while_it_starts_ends_what_it_started(
    target: str, script: Script
) -> None:
    answers = threading.Event()

    def started() -> pb.SetStatusResponse:
        answers.wait(20)
        return pb.SetStatusResponse(run=RUNNING, changed=True)

    script.will("SetStatus", started)
    script.will("Complete", pb.CompleteResponse(run=run("ERROR", 3)))
    async with AsyncRunClient(target, token=None) as client:
        executing = working(client, work := Work(PENDING))
        await until(lambda: script.asked)
        executing.cancel()
        answers.set()
        with pytest.raises(asyncio.CancelledError):
            await executing
    assert not work.begun.is_set()
    (report,) = asked(script, pb.CompleteRequest)
    assert report.status == RunStatus.RUN_STATUS_ERROR


@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
def test_a_thread_that_is_interrupted_while_it_starts_ends_what_it_started(
    target: str, script: Script, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    def interrupted(*_: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    script.will("Get", pb.GetResponse(run=run(status, 2)))
    script.will("Complete", pb.CompleteResponse(run=run("ERROR", 3)))
    with RunClient(target, token=None) as client:
        monkeypatch.setattr(client, "set_status", interrupted)
        executing = client.executing(PENDING, worker_id=WORKER)
        with pytest.raises(KeyboardInterrupt):
            executing.__enter__()
    reports = [each.status for each in asked(script, pb.CompleteRequest)]
    assert reports == ([RunStatus.RUN_STATUS_ERROR] if status == "RUNNING" else [])


def test_answers_may_come_in_any_order() -> None:
    standing = KnownRun(Run(run_id="r1", revision=2, kwargs={"input": 1}), WORKER)
    standing.learn(CANCELLED)
    standing.learn(RUNNING)
    assert (standing.run.status, standing.cancelled) == (RunStatus.RUN_STATUS_INTERRUPTED, True)
    assert standing.run.kwargs["input"] == 1


def test_an_end_is_one_also_in_a_store_that_was_restored() -> None:
    standing = KnownRun(run("RUNNING", 20), WORKER)
    standing.learn(run("PENDING", 1))
    assert not standing.is_over
    standing.learn(CANCELLED)
    assert standing.cancelled


def test_another_worker_s_run_is_lost() -> None:
    standing = KnownRun(RUNNING, WORKER)
    standing.learn(Run(run_id="r1", revision=3, status="RUN_STATUS_RUNNING", worker_id="other"))
    assert standing.lost


@pytest.mark.parametrize(
    ("error", "cancelled", "lost"),
    [
        (NotFound(grpc.StatusCode.NOT_FOUND), False, True),
        (FailedPrecondition(grpc.StatusCode.FAILED_PRECONDITION, "NOT_HOLDER"), False, True),
    ],
)
def test_a_refusal_behind_a_cancel(error: RunError, cancelled: bool, lost: bool) -> None:
    standing = KnownRun(RUNNING, WORKER)
    standing.learn(CANCELLED)
    standing.refused(error)
    assert (standing.cancelled, standing.lost) == (cancelled, lost)


def test_usage_adds_up() -> None:
    standing = KnownRun(RUNNING, WORKER)
    assert standing.usage is None
    standing.progress = standing.with_progress(Progress(total_tokens=1, llm_call_count=1))
    standing.progress = standing.with_progress(Progress(total_tokens=2))
    assert standing.usage == Progress(total_tokens=2, llm_call_count=1)


def test_a_heartbeat_every_third_of_the_lease() -> None:
    assert KnownRun(run("RUNNING", 1, lease=True), WORKER).heartbeat_interval == 0.01
    assert KnownRun(RUNNING, WORKER, lease_ttl=3).heartbeat_interval == 1
    assert KnownRun(RUNNING, WORKER).heartbeat_interval is None


def test_reports_are_repeated_for_as_long_as_the_lease_but_at_least_a_minute() -> None:
    assert KnownRun(RUNNING, WORKER, lease_ttl=300).outage == 300
    assert KnownRun(run("RUNNING", 1, lease=True), WORKER).outage == 60
    assert KnownRun(RUNNING, WORKER).outage == 60


def test_an_error_of_the_longest_size_is_not_cut() -> None:
    _, error = ending(ValueError("x" * 16_384))
    assert error is not None
    assert (len(error), error[-1]) == (16_384, "x")
