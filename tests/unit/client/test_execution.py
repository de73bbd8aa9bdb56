"""Executions of both clients against a scripted server: which answers stop the work."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import (
    AsyncRunClient,
    RunClient,
    RunError,
    Unavailable,
)
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Progress, Run, RunStatus
from tests.support.scripted import HOLD, Refusal
from tests.support.waiting import PATIENCE, until
from tests.support.workers import WORKER, Work, working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.scripted import Script

USED = Progress(total_tokens=7)
GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
NOT_HOLDER = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "no", "NOT_HOLDER")
NO_SUCH_RUN = Refusal(grpc.StatusCode.NOT_FOUND, "no", "RUN_NOT_FOUND")


def run(status: str, revision: int, *, lease: bool = False, cancelled: bool = False) -> Run:
    made = Run(run_id="r1", status=f"RUN_STATUS_{status}", revision=revision, worker_id=WORKER)
    if lease:
        made.lease.ttl.FromMilliseconds(30)
    if cancelled:
        made.cancellation.action = 1  # type: ignore[assignment]
    return made


PENDING = run("PENDING", 1)
# With its input: otherwise the execution reads it.
PENDING.kwargs.SetInParent()
RUNNING = run("RUNNING", 2)
CANCELLED = run("INTERRUPTED", 3, cancelled=True)
TIMED_OUT = run("TIMEOUT", 3)


def refused(status: str) -> Refusal:
    facts = {"run_id": "r1", "from": status, "to": "SUCCESS"}
    return Refusal(grpc.StatusCode.FAILED_PRECONDITION, "no", "INVALID_TRANSITION", facts)


@pytest.fixture
async def client(kind: Any, target: str) -> AsyncIterator[Any]:
    """A client of the scripted server, not wrapped."""
    client = kind(target, token=None, tls_ca=None, timeout=PATIENCE)
    yield client
    if isinstance(client, AsyncRunClient):
        await client.close()
    else:
        client.close()


def started_script(script: Script, started: Run) -> Script:
    """Return the script of a server that starts the run and sends no events."""
    script.will("SetStatus", pb.SetStatusResponse(run=started, changed=True))
    script.will("StreamStatus", [HOLD], [HOLD])
    return script


def requests(script: Script, kind: Any) -> list[Any]:
    return [request for request in script.asked if isinstance(request, kind)]


async def test_heartbeat_answer_reports_cancel(client: Any, script: Script) -> None:
    started_script(script, RUNNING)
    beating = pb.HeartbeatResponse(run=RUNNING)
    cancelled = pb.HeartbeatResponse(run=CANCELLED)
    script.will("Heartbeat", beating, GONE, beating, *[cancelled] * 100)
    script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=CANCELLED, changed=True))
    work = Work(PENDING, lease_ttl=0.03)
    await working(client, work)
    assert (work.stopped, work.execution.cancelled) == (True, True)
    assert requests(script, pb.AcknowledgeCancelRequest) == [
        pb.AcknowledgeCancelRequest(run_id="r1", worker_id=WORKER)
    ]
    assert requests(script, pb.CompleteRequest) == []


@pytest.mark.parametrize("refusal", [NOT_HOLDER, NO_SUCH_RUN, refused("TIMEOUT")])
async def test_rejected_heartbeat_means_lost_run(
    client: Any, script: Script, refusal: Refusal
) -> None:
    # Repeated: an answer that arrives after the next heartbeat is due is not awaited.
    started_script(script, run("RUNNING", 2, lease=True)).will("Heartbeat", *[refusal] * 100)
    work = Work(PENDING, lease_ttl=None)
    await working(client, work)
    assert (work.stopped, work.execution.lost, work.went_on) == (True, True, True)
    # No report was made. The watch may or may not have started by then.
    assert {type(each) for each in script.asked} - {pb.StreamStatusRequest} == {
        pb.SetStatusRequest,
        pb.HeartbeatRequest,
    }


@pytest.mark.parametrize(("answer", "cancelled"), [(CANCELLED, True), (TIMED_OUT, False)])
async def test_progress_answer_reports_end_of_run(
    client: Any, script: Script, answer: Run, cancelled: bool
) -> None:
    response = pb.UpdateProgressResponse(run=answer)
    started_script(script, RUNNING).will("UpdateProgress", response, response)
    script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=answer, changed=True))
    work = Work(PENDING, usage=USED)
    await working(client, work)
    assert not work.begun.is_set()
    assert work.execution.cancelled is cancelled
    assert work.execution.lost is not cancelled
    if cancelled:
        (last,) = requests(script, pb.AcknowledgeCancelRequest)
        assert last.progress == USED
    else:
        first, last = requests(script, pb.UpdateProgressRequest)
        assert (first.final, last.final, last.progress) == (False, True, USED)


class Panic(BaseException):
    """A failure that is no Exception."""


@pytest.mark.parametrize(
    ("failure", "is_reported"),
    [(RuntimeError("no"), True), (Panic(), True), (GeneratorExit(), True), (SystemExit(1), False)],
    ids=["exception", "base exception", "generator", "exit"],
)
async def test_the_end_is_reported_for_longer_than_a_call_unless_the_program_is_stopped(
    target: str, script: Script, failure: BaseException, is_reported: bool
) -> None:
    started_script(script, RUNNING)
    script.will("Complete", *[GONE] * 7, pb.CompleteResponse(run=run("ERROR", 3)))
    client = RunClient(target, token=None, tls_ca=None, timeout=0.6)

    def work() -> None:
        with client, client.execute(PENDING, worker_id=WORKER):
            raise failure

    with pytest.raises(type(failure)):
        await asyncio.to_thread(work)
    # The pauses before the last attempt are longer than the timeout of a call.
    assert (len(requests(script, pb.CompleteRequest)) == 8) is is_reported


async def test_work_continues_during_outage_longer_than_lease(client: Any, script: Script) -> None:
    started_script(script, RUNNING).will("Heartbeat", *[GONE] * 1_000)
    script.will("UpdateProgress", GONE)
    script.will("Complete", GONE, pb.CompleteResponse(run=run("SUCCESS", 3)))
    work = Work(PENDING, lease_ttl=0.03, usage=USED)
    executing = working(client, work)
    await until(lambda: len(requests(script, pb.HeartbeatRequest)) > 9 or executing.done())
    assert (executing.done(), work.stopped, work.execution.lost) == (False, False, False)
    work.end.set()
    await executing
    assert work.execution.run.status == RunStatus.RUN_STATUS_SUCCESS
    # The lost progress report is included in the report of the end.
    assert [each.progress for each in requests(script, pb.CompleteRequest)] == [USED, USED]


async def test_rejected_progress_means_lost_run(client: Any, script: Script) -> None:
    started_script(script, RUNNING).will("UpdateProgress", NOT_HOLDER, NOT_HOLDER)
    work = Work(PENDING, usage=USED)
    await working(client, work)
    assert (work.begun.is_set(), work.execution.lost) == (False, True)


async def test_stream_reports_removed_run(client: Any, script: Script) -> None:
    deleted = pb.StreamStatusResponse(event="STATUS_EVENT_DELETED", revision=9, run=RUNNING)
    script.will("SetStatus", pb.SetStatusResponse(run=RUNNING, changed=True))
    script.will("StreamStatus", [deleted])
    work = Work(PENDING)
    await working(client, work)
    assert (work.stopped, work.execution.lost) == (True, True)


async def test_rejected_stream_is_retried(client: Any, script: Script) -> None:
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "no", "PERMISSION_DENIED")
    started_script(script, RUNNING).will("Complete", pb.CompleteResponse(run=run("SUCCESS", 3)))
    script.answers["StreamStatus"].insert(0, [denied])
    work = Work(PENDING)
    executing = working(client, work)
    await until(lambda: script.held)
    work.end.set()
    await executing
    assert work.went_on


async def test_report_rejected_after_cancel_is_acknowledged(client: Any, script: Script) -> None:
    started_script(script, RUNNING).will("Complete", refused("INTERRUPTED"))
    script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=CANCELLED, changed=True))
    work = Work(PENDING)
    work.end.set()
    await working(client, work)
    assert (work.went_on, work.execution.cancelled) == (True, True)


async def test_interrupted_run_without_cancel_is_lost(client: Any, script: Script) -> None:
    started_script(script, RUNNING).will("Complete", refused("INTERRUPTED"))
    script.will("AcknowledgeCancel", refused("INTERRUPTED"))
    work = Work(PENDING)
    work.end.set()
    await working(client, work)
    assert (work.execution.cancelled, work.execution.lost) == (False, True)


@pytest.mark.parametrize(
    "code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED"]
)
async def test_report_is_repeated_after_transient_error(
    client: Any, script: Script, code: str
) -> None:
    transient = Refusal(grpc.StatusCode[code], "again")
    started = pb.SetStatusResponse(run=RUNNING, changed=True)
    script.will("SetStatus", transient, started)
    script.will("StreamStatus", [HOLD])
    script.will("Complete", transient, transient, pb.CompleteResponse(run=run("SUCCESS", 3)))
    work = Work(PENDING)
    work.end.set()
    await working(client, work)
    first, *others = requests(script, pb.CompleteRequest)
    assert others == [first, first]


async def test_report_rejected_for_another_reason_raises(client: Any, script: Script) -> None:
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "no", "PERMISSION_DENIED")
    started_script(script, RUNNING).will("Complete", denied)
    work = Work(PENDING)
    work.end.set()
    with pytest.raises(RunError) as refusal:
        await working(client, work)
    assert refusal.value.reason == "PERMISSION_DENIED"


async def test_run_is_not_started_without_server(kind: Any) -> None:
    client = kind("127.0.0.1:1", timeout=2)
    work = Work(PENDING)
    with pytest.raises(Unavailable):
        await working(client, work)
    with pytest.raises(RuntimeError, match="enter the execution's block first"):
        _ = client.execute(PENDING, worker_id=WORKER).run
    await client.close() if isinstance(client, AsyncRunClient) else client.close()


async def test_unexpected_background_failure_stops_work(
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
    client = kind(target, token=token, timeout=PATIENCE)
    work = Work(PENDING, lease_ttl=0.03)
    with pytest.raises(LookupError, match="no token"):
        await working(client, work)
    assert (work.stopped, work.went_on) == (True, False)
    await client.close() if isinstance(client, AsyncRunClient) else client.close()


async def test_task_cancelled_while_starting_ends_its_run(target: str, script: Script) -> None:
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
    (report,) = requests(script, pb.CompleteRequest)
    assert report.status == RunStatus.RUN_STATUS_ERROR


@pytest.mark.parametrize("status", ["RUNNING", "PENDING"])
def test_thread_interrupted_while_starting_ends_its_run(
    target: str, script: Script, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    def interrupted(*_: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    script.will("Get", pb.GetResponse(run=run(status, 2)))
    script.will("Complete", pb.CompleteResponse(run=run("ERROR", 3)))
    with RunClient(target, token=None) as client:
        monkeypatch.setattr(client, "set_status", interrupted)
        execution = client.execute(PENDING, worker_id=WORKER)
        with pytest.raises(KeyboardInterrupt):
            execution.__enter__()
    reports = [each.status for each in requests(script, pb.CompleteRequest)]
    assert reports == ([RunStatus.RUN_STATUS_ERROR] if status == "RUNNING" else [])
