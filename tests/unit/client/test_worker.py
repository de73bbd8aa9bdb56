"""Workers of both clients against a scripted server."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest

from runsvc.client import (
    AsyncRunClient,
    AsyncWorker,
    RetryableError,
    RunClient,
    RunError,
    Worker,
    WorkerState,
)
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Progress, Run, RunStatus
from tests.support.handlers import HANDLER_KINDS, WORKER, Handler, running
from tests.support.scripted import HOLD, Refusal
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from tests.support.scripted import Script

GONE: Final = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
REFUSED: Final = Refusal(grpc.StatusCode.PERMISSION_DENIED, "no", "PERMISSION_DENIED")
EXPIRED: Final = Refusal(grpc.StatusCode.UNAUTHENTICATED, "no", "UNAUTHENTICATED")
DONE: Final = pb.CompleteResponse()


def claimed(run_id: str = "r1", *, attempt: int = 1, status: str = "RUNNING") -> Run:
    made = Run(
        run_id=run_id,
        status=f"RUN_STATUS_{status}",
        revision=2,
        worker_id=WORKER,
        attempt=attempt,
        kwargs={"input": "hello"},
    )
    made.lease.ttl.FromMilliseconds(30_000)
    return made


def nothing() -> pb.ClaimResponse:
    time.sleep(0.02)
    return pb.ClaimResponse()


def will_claim(script: Script, *answers: Any) -> None:
    """Let these answers to claims be followed by many without runs."""
    script.will("Claim", *answers, *[nothing] * 2_000)
    script.will("StreamStatus", *[[HOLD]] * 50)


def requests(script: Script, kind: Any) -> list[Any]:
    return [request for request in tuple(script.asked) if isinstance(request, kind)]


def claims(script: Script) -> list[pb.ClaimRequest]:
    return requests(script, pb.ClaimRequest)


@pytest.fixture(params=HANDLER_KINDS)
def handler(request: pytest.FixtureRequest) -> Handler:
    return Handler(request.param)


async def test_claimed_run_is_executed(script: Script, target: str, handler: Handler) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.will("Complete", DONE)
    handler.outcome = {"output": "HELLO"}
    handler.end.set()
    async with running(target, handler, lease_ttl=7, assistants=["a", "b"]) as worker:
        await until(lambda: requests(script, pb.CompleteRequest))
        await until(lambda: worker.health.running == 0)
        assert worker.health.state == "working"
        assert worker.health.last_claim_at is not None
        assert worker.health.disconnected_since is None
    assert worker.health.state == "stopped"
    assert handler.begun[0].kwargs["input"] == "hello"
    first = claims(script)[0]
    assert (first.worker_id, list(first.assistant_ids)) == (WORKER, ["a", "b"])
    assert (first.max_runs, first.lease_ttl.seconds, first.any_assistant) == (1, 7, False)
    # The run was started by the claim.
    assert not requests(script, (pb.SetStatusRequest, pb.GetRequest, pb.HeartbeatRequest))
    report = requests(script, pb.CompleteRequest)[0]
    assert report.status == RunStatus.RUN_STATUS_SUCCESS
    assert (report.worker_id, report.attempt, report.retryable) == (WORKER, 1, False)
    assert dict(report.result.items()) == {"output": "HELLO"}


async def test_first_claim_does_not_wait(script: Script, target: str, handler: Handler) -> None:
    will_claim(script)
    async with running(target, handler, wait=9):
        await until(lambda: len(claims(script)) > 1)
    assert [each.wait.seconds for each in claims(script)[:2]] == [0, 9]


async def test_no_more_runs_are_claimed_than_slots_are_free(
    script: Script, target: str, handler: Handler
) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed("r1")]))
    script.will("Complete", DONE)
    async with running(target, handler, concurrency=2) as worker:
        await until(lambda: len(claims(script)) > 1)
        assert [each.max_runs for each in claims(script)[:2]] == [2, 1]
        assert worker.health.running == 1
        handler.end.set()
        await until(lambda: claims(script)[-1].max_runs == 2)
        made = claims(script)
    assert len({each.request_id for each in made}) == len(made)


async def test_full_worker_claims_nothing(script: Script, target: str, handler: Handler) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed("r1"), claimed("r2")]))
    script.will("Complete", DONE, DONE)
    async with running(target, handler, concurrency=2):
        await until(lambda: len(handler.begun) == 2)
        await asyncio.sleep(0.1)
        assert len(claims(script)) == 1
        handler.end.set()
        await until(lambda: len(claims(script)) > 1)


async def test_lost_answer_is_asked_for_again(
    script: Script, target: str, handler: Handler
) -> None:
    will_claim(script, *[GONE] * 6, pb.ClaimResponse(runs=[claimed()]))
    script.will("Heartbeat", pb.HeartbeatResponse(run=claimed()))
    script.will("Complete", DONE)
    handler.end.set()
    # The lease may count from the first claim, and is so short that it must be renewed before the work.
    async with running(target, handler, lease_ttl=1) as worker:
        await until(lambda: worker.health.disconnected_since is not None)
        assert worker.health.state == "disconnected"
        assert worker.health.failure is not None
        await until(lambda: requests(script, pb.CompleteRequest))
        assert worker.health.disconnected_since is None
    assert len({each.request_id for each in claims(script)[:7]}) == 1
    assert requests(script, pb.HeartbeatRequest)[0].attempt == 1


@pytest.mark.parametrize("refusal", [REFUSED, EXPIRED])
async def test_worker_that_is_never_admitted_fails(
    script: Script, target: str, handler: Handler, refusal: Refusal
) -> None:
    will_claim(script, *[refusal] * 9)
    with pytest.raises(RunError) as failure:
        async with running(target, handler) as worker:
            await until(lambda: worker.health.state is WorkerState.STOPPED)
    assert failure.value.reason == refusal.reason


async def test_expired_credential_is_an_outage(
    script: Script, target: str, handler: Handler
) -> None:
    will_claim(script, nothing, EXPIRED, EXPIRED, pb.ClaimResponse(runs=[claimed()]))
    script.will("Complete", DONE)
    handler.end.set()
    async with running(target, handler):
        await until(lambda: requests(script, pb.CompleteRequest))


async def test_refused_worker_finishes_its_runs(
    script: Script, target: str, handler: Handler
) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed()]), *[REFUSED] * 9)
    script.will("Complete", DONE)
    with pytest.raises(RunError, match="PERMISSION_DENIED"):  # noqa: PT012
        async with running(target, handler, concurrency=2, grace=60) as worker:
            await until(lambda: worker.health.state is WorkerState.DRAINING)
            assert worker.health.running == 1
            handler.end.set()
            await until(lambda: worker.health.state is WorkerState.STOPPED)
    assert requests(script, pb.CompleteRequest)


async def test_cancel_reaches_the_handler(script: Script, target: str, handler: Handler) -> None:
    interrupted = claimed(status="INTERRUPTED")
    interrupted.revision = 3
    interrupted.cancellation.action = 1  # type: ignore[assignment]
    changed = pb.StreamStatusResponse(event=3, revision=3, run=interrupted)  # type: ignore[arg-type]
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.answers["StreamStatus"] = [[changed]]
    script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=interrupted))
    async with running(target, handler):
        await until(lambda: requests(script, pb.AcknowledgeCancelRequest))
    assert handler.stopped == ["r1"]
    assert requests(script, pb.AcknowledgeCancelRequest)[0].attempt == 1


@pytest.mark.parametrize(
    ("failure", "retryable"),
    [(RetryableError("busy"), True), (ConnectionError("busy"), True), (ValueError("busy"), False)],
)
async def test_failure_is_reported(
    script: Script, target: str, handler: Handler, failure: Exception, retryable: bool
) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed(attempt=2)]))
    script.will("Complete", DONE)
    handler.outcome = failure
    handler.end.set()
    async with running(target, handler, retry_on=(ConnectionError,)):
        await until(lambda: requests(script, pb.CompleteRequest))
    report = requests(script, pb.CompleteRequest)[0]
    assert (report.status, report.error) == (RunStatus.RUN_STATUS_ERROR, "busy")
    assert (report.attempt, report.retryable) == (2, retryable)


async def test_result_that_is_no_object_is_an_error(
    script: Script, target: str, handler: Handler
) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.will("Complete", DONE)
    handler.outcome = "HELLO"
    handler.end.set()
    async with running(target, handler):
        await until(lambda: requests(script, pb.CompleteRequest))
    report = requests(script, pb.CompleteRequest)[0]
    assert report.status == RunStatus.RUN_STATUS_ERROR
    assert report.error.startswith("The handler returned str. Return a dict")


async def test_handler_reports_progress(script: Script, target: str, handler: Handler) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.will("UpdateProgress", pb.UpdateProgressResponse(run=claimed(), applied=True))
    script.will("Complete", DONE)
    handler.report = Progress(total_tokens=7)
    handler.end.set()
    async with running(target, handler):
        await until(lambda: requests(script, pb.CompleteRequest))
    reports = requests(script, (pb.UpdateProgressRequest, pb.CompleteRequest))
    assert [each.progress.total_tokens for each in reports] == [7, 7]
    assert [each.attempt for each in reports] == [1, 1]


async def test_stop_without_grace_gives_runs_back(
    script: Script, target: str, handler: Handler
) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed(attempt=3)]))
    script.will("Release", GONE, pb.ReleaseResponse(run=claimed(status="PENDING")))
    async with running(target, handler) as worker:
        await until(lambda: handler.begun)
        worker.stop(60)
        await until(lambda: worker.health.state is WorkerState.DRAINING)
        assert handler.stopped == []
        worker.stop(0)
        await until(lambda: worker.health.state is WorkerState.STOPPED)
    assert handler.stopped == ["r1"]
    released = requests(script, pb.ReleaseRequest)[-1]
    assert (released.run_id, released.worker_id, released.attempt) == ("r1", WORKER, 3)
    assert not requests(script, pb.CompleteRequest)


async def test_runs_finish_within_the_grace(script: Script, target: str, handler: Handler) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.will("Complete", DONE)
    async with running(target, handler, grace=60) as worker:
        await until(lambda: handler.begun)
        worker.stop()
        await until(lambda: worker.health.state is WorkerState.DRAINING)
        handler.end.set()
        await until(lambda: worker.health.state is WorkerState.STOPPED)
    assert not requests(script, pb.ReleaseRequest)
    assert requests(script, pb.CompleteRequest)


async def test_work_that_ends_despite_the_stop_is_reported(
    script: Script, target: str, handler: Handler
) -> None:
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.will("Complete", DONE)
    handler.stubborn = True
    async with running(target, handler):
        await until(lambda: handler.begun)
    assert handler.stopped == ["r1"]
    assert requests(script, pb.CompleteRequest)[0].status == RunStatus.RUN_STATUS_SUCCESS


async def test_run_that_was_cancelled_is_not_given_back(
    script: Script, target: str, handler: Handler
) -> None:
    interrupted = claimed(status="INTERRUPTED")
    interrupted.cancellation.action = 1  # type: ignore[assignment]
    facts = {"run_id": "r1", "from": "INTERRUPTED", "to": "PENDING"}
    refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "no", "INVALID_TRANSITION", facts)
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.will("Release", refusal)
    script.will("AcknowledgeCancel", pb.AcknowledgeCancelResponse(run=interrupted))
    async with running(target, handler):
        await until(lambda: handler.begun)
    assert requests(script, pb.AcknowledgeCancelRequest)


async def test_runs_of_an_unanswered_claim_are_given_back(
    script: Script, target: str, handler: Handler
) -> None:
    ending = threading.Event()

    def unanswered() -> pb.ClaimResponse:
        ending.wait(30)
        return pb.ClaimResponse()

    will_claim(script, nothing, unanswered, pb.ClaimResponse(runs=[claimed("r7")]))
    script.will("Release", pb.ReleaseResponse())
    async with running(target, handler):
        await until(lambda: len(claims(script)) == 2)
    ending.set()
    repeated = claims(script)[2]
    assert repeated.request_id == claims(script)[1].request_id
    assert (repeated.max_runs, repeated.wait.seconds) == (1, 0)
    assert [each.run_id for each in requests(script, pb.ReleaseRequest)] == ["r7"]
    assert handler.begun == []


async def test_another_attempt_under_the_same_worker_is_lost(
    script: Script, target: str, handler: Handler
) -> None:
    later = claimed(attempt=2)
    later.revision = 9
    changed = pb.StreamStatusResponse(event=3, revision=9, run=later)  # type: ignore[arg-type]
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.answers["StreamStatus"] = [[changed, HOLD]]
    async with running(target, handler) as worker:
        await until(lambda: handler.stopped)
        await until(lambda: worker.health.running == 0)
    assert not requests(script, (pb.CompleteRequest, pb.ReleaseRequest))


async def test_cancelled_worker_gives_runs_back(script: Script, target: str) -> None:
    handler = Handler("task")
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.will("Release", pb.ReleaseResponse())
    async with AsyncRunClient(target, token=None, timeout=PATIENCE) as client:
        worker = AsyncWorker(client, handler.function, assistants=["a"], worker_id=WORKER)
        working = asyncio.create_task(worker.run())
        await until(lambda: handler.begun)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
    assert requests(script, pb.ReleaseRequest)
    assert worker.health.state == "stopped"
    with pytest.raises(RuntimeError, match="run already"):
        await worker.run()


async def test_worker_runs_beside_a_block(script: Script, target: str) -> None:
    handler = Handler("task")
    handler.end.set()
    will_claim(script, pb.ClaimResponse(runs=[claimed()]))
    script.will("Complete", DONE)
    async with (
        AsyncRunClient(target, token=None, timeout=PATIENCE) as client,
        AsyncWorker(client, handler.function, any_assistant=True, worker_id=WORKER) as worker,
    ):
        await until(lambda: requests(script, pb.CompleteRequest))
    assert worker.health.state == "stopped"
    assert claims(script)[0].any_assistant


async def test_worker_for_threads_runs_beside_a_block(script: Script, target: str) -> None:
    handler = Handler("thread")
    handler.end.set()
    will_claim(script, pb.ClaimResponse(runs=[claimed()]), *[REFUSED] * 9)
    script.will("Complete", DONE)

    def block() -> None:
        with (
            RunClient(target, token=None, timeout=PATIENCE) as client,
            Worker(client, handler.function, any_assistant=True, worker_id=WORKER) as worker,
        ):
            while worker.health.state is not WorkerState.STOPPED:
                time.sleep(0.01)

    with pytest.raises(RunError, match="PERMISSION_DENIED"):
        await asyncio.to_thread(block)
    assert requests(script, pb.CompleteRequest)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "assistants has 0 names"),
        ({"assistants": ["a"] * 17}, "assistants has 17 names"),
        ({"assistants": ["a"], "any_assistant": True}, "Omit assistants"),
        ({"assistants": ["a"], "concurrency": 0}, "concurrency is 0"),
        ({"assistants": ["a"], "lease_ttl": 0.5}, "lease_ttl is 0.5"),
        ({"assistants": ["a"], "wait": 61}, "wait is 61"),
        ({"assistants": ["a"], "grace": -1}, "grace is -1"),
    ],
)
def test_options_that_the_server_would_refuse(options: dict[str, Any], text: str) -> None:
    with RunClient("127.0.0.1:1") as client, pytest.raises(ValueError, match=text):
        Worker(client, lambda _: None, **options)


async def test_worker_for_threads_uses_the_settings_of_its_client(
    script: Script, target: str
) -> None:
    will_claim(script)
    callers: list[threading.Thread] = []

    def token() -> str:
        callers.append(threading.current_thread())
        return "secret"

    def work() -> None:
        with (
            RunClient(target, token=token, timeout=PATIENCE) as client,
            Worker(client.for_owner("alice"), lambda _: None, any_assistant=True) as worker,
        ):
            while worker.health.last_claim_at is None:
                time.sleep(0.01)

    await asyncio.to_thread(work)
    (first, *_) = script.metadata
    assert (first["authorization"], first["runsvc-owner"]) == ("Bearer secret", "alice")
    # A function for threads may block, and must not do so in the event loop.
    assert not any(each.name.startswith("worker ") for each in callers)


def test_worker_for_threads_refuses_interceptors() -> None:
    class Interceptor(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc,unused-ignore]
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return continuation(details, request)

    with (
        RunClient("127.0.0.1:1", interceptors=[Interceptor()]) as client,
        pytest.raises(ValueError, match="Use AsyncWorker"),
    ):
        Worker(client, lambda _: None, any_assistant=True)
