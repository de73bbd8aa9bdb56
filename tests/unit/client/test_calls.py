"""Calls of both clients: requests, answers, deadlines and retries."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    RunError,
    ThreadBusy,
    Unavailable,
)
from runsvc.v1 import admin_service_pb2 as admin
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import CancelAction, Progress, Run, RunSpec, RunStatus
from tests.support.both_clients import make_client
from tests.support.ports import free_port
from tests.support.scripted import Refusal, scripted
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.support.scripted import Script

RUN = Run(run_id="r1", thread_id="chat-1", status="RUN_STATUS_RUNNING")
SPEC = RunSpec(thread_id="chat-1", kwargs={"input": "hello"})
USED = Progress(total_tokens=3)
RUNNING, SUCCESS = RunStatus.RUN_STATUS_RUNNING, RunStatus.RUN_STATUS_SUCCESS
GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")


@pytest.mark.parametrize(
    ("method", "arguments", "expected", "answer"),
    [
        (
            "create",
            {"spec": SPEC, "request_id": "q"},
            pb.CreateRequest(spec=SPEC, request_id="q"),
            pb.CreateResponse(run=RUN, replayed=True),
        ),
        (
            "create_or_reject",
            {"spec": SPEC},
            pb.CreateOrRejectRequest(spec=SPEC),
            pb.CreateOrRejectResponse(run=RUN, superseded=[RUN]),
        ),
        (
            "set_status",
            {"run_id": "r1", "status": RUNNING, "worker_id": "w", "lease_ttl": 1.5},
            pb.SetStatusRequest(
                run_id="r1", status=RUNNING, worker_id="w", lease_ttl=timedelta(seconds=1.5)
            ),
            pb.SetStatusResponse(run=RUN, changed=True),
        ),
        (
            "complete",
            {"run_id": "r1", "status": SUCCESS, "progress": USED, "error": "e", "worker_id": "w"},
            pb.CompleteRequest(
                run_id="r1", status=SUCCESS, progress=USED, error="e", worker_id="w"
            ),
            pb.CompleteResponse(run=RUN, changed=True),
        ),
        (
            "update_progress",
            {"run_id": "r1", "progress": USED, "sequence": 2, "final": True, "worker_id": "w"},
            pb.UpdateProgressRequest(
                run_id="r1", progress=USED, sequence=2, final=True, worker_id="w"
            ),
            pb.UpdateProgressResponse(run=RUN, applied=True),
        ),
        (
            "cancel",
            {"run_id": "r1", "action": CancelAction.CANCEL_ACTION_ROLLBACK, "note": "n"},
            pb.CancelRequest(run_id="r1", action="CANCEL_ACTION_ROLLBACK", note="n"),
            pb.CancelResponse(run=RUN, outcome="CANCEL_OUTCOME_CANCELLED"),
        ),
        (
            "acknowledge_cancel",
            {"run_id": "r1", "worker_id": "w", "progress": USED},
            pb.AcknowledgeCancelRequest(run_id="r1", worker_id="w", progress=USED),
            pb.AcknowledgeCancelResponse(run=RUN, changed=True),
        ),
        (
            "reconcile_orphans",
            {"error": "lost", "limit": 2},
            admin.ReconcileOrphansRequest(error="lost", limit=2),
            admin.ReconcileOrphansResponse(runs=[RUN], more=True),
        ),
        (
            "reconcile_orphans",
            {"dry_run": True, "statuses": ["RUN_STATUS_RUNNING"], "assistant_id": "a"},
            admin.ReconcileOrphansRequest(
                dry_run=True, statuses=["RUN_STATUS_RUNNING"], assistant_id="a"
            ),
            admin.ReconcileOrphansResponse(runs=[RUN]),
        ),
        (
            "get_server_info",
            {},
            admin.GetServerInfoRequest(),
            admin.GetServerInfoResponse(version="9"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_request_and_answer(
    client: Any, script: Script, method: str, arguments: Any, expected: Any, answer: Any
) -> None:
    script.will(type(expected).__name__.removesuffix("Request"), answer)
    assert await getattr(client, method)(**arguments) == answer
    assert script.asked == [expected]


async def test_single_value_of_an_answer_is_returned(client: Any, script: Script) -> None:
    script.will("Get", pb.GetResponse(run=RUN))
    script.will("Heartbeat", pb.HeartbeatResponse(run=RUN))
    script.will("UpdateModelName", pb.UpdateModelNameResponse(run=RUN))
    script.will("HasInflight", pb.HasInflightResponse(has_inflight=True, run_ids=["b", "a"]))
    script.will("Delete", admin.DeleteResponse())
    assert await client.get("r1") == RUN
    assert await client.heartbeat("r1", "w") == RUN
    assert await client.update_model_name("r1", None) == RUN
    assert await client.has_inflight("chat-1") == ("b", "a")
    assert await client.delete("r1") is None
    assert script.asked[1] == pb.HeartbeatRequest(run_id="r1", worker_id="w")
    assert script.asked[2] == pb.UpdateModelNameRequest(run_id="r1")


async def test_pages_are_fetched_on_demand(client: Any, script: Script) -> None:
    first = pb.ListByThreadResponse(runs=[RUN], next_page_token="2")
    last = pb.ListByThreadResponse(runs=[RUN])
    script.will("ListByThread", first, GONE, last, first)
    pages = [page async for page in client.list_by_thread("chat-1", statuses=[RUNNING])]
    assert pages == [first, last]
    assert [each.page_token for each in script.asked] == ["", "2", "2"]
    async for page in client.list_by_thread("chat-1", page_size=1, page_token="1"):
        assert page == first
        break
    assert script.asked[3:] == [
        pb.ListByThreadRequest(thread_id="chat-1", page_size=1, page_token="1")
    ]


async def test_deadline_is_ten_seconds_or_the_given_one(client: Any, script: Script) -> None:
    script.will("Get", *[pb.GetResponse(run=RUN)] * 3)
    await client.get("r1")
    await client.get("r1", timeout=100)
    await client.get("r1", timeout=math.inf)
    default, given, none = script.time_left
    # grpc rounds deadlines up.
    assert 0 < default < 12 < given < 120
    assert none > 1e6


async def test_client_has_its_own_default_deadline(kind: Any, target: str, script: Script) -> None:
    script.will("Get", pb.GetResponse(run=RUN))
    async with make_client(kind, target, timeout=1_000) as client:
        assert client.timeout == 1_000
        await client.get("r1")
    assert 12 < script.time_left[0] < 1_200


async def test_stub_is_available(client: Any, script: Script) -> None:
    script.will("Get", pb.GetResponse(run=RUN))
    call = client.stub.Get(pb.GetRequest(run_id="r1"), timeout=5)
    assert (await call if hasattr(call, "__await__") else call).run == RUN


@pytest.mark.parametrize(
    ("code", "reason", "kind_of_error"),
    [
        (grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND", NotFound),
        (grpc.StatusCode.ABORTED, "THREAD_BUSY", ThreadBusy),
        (grpc.StatusCode.ABORTED, "", RunError),
        (grpc.StatusCode.FAILED_PRECONDITION, "NOT_HOLDER", FailedPrecondition),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", InvalidArgument),
        (grpc.StatusCode.INTERNAL, "", RunError),
    ],
)
async def test_errors_have_a_class(
    client: Any, script: Script, code: grpc.StatusCode, reason: str, kind_of_error: Any
) -> None:
    script.will("Get", Refusal(code, "no", reason, {"run_id": "r1"}))
    with pytest.raises(RunError) as refusal:
        await client.get("r1")
    error = refusal.value
    assert type(error) is kind_of_error
    assert (error.code, error.reason, error.message) == (code, reason, "no")
    assert error.metadata == ({"run_id": "r1"} if reason else {})
    assert isinstance(error.__cause__, grpc.RpcError)


CREATED = pb.CreateOrRejectResponse(run=RUN)


@pytest.mark.parametrize(
    ("method", "arguments", "answer"),
    [
        ("Get", ("get", "r1"), pb.GetResponse(run=RUN)),
        ("HasInflight", ("has_inflight", "chat-1"), pb.HasInflightResponse()),
        ("GetServerInfo", ("get_server_info",), admin.GetServerInfoResponse()),
    ],
)
async def test_reads_are_retried(
    client: Any, script: Script, method: str, arguments: tuple[str, ...], answer: Any
) -> None:
    script.will(method, GONE, GONE, GONE, answer, GONE, GONE, GONE, GONE, answer)
    name, *rest = arguments
    await getattr(client, name)(*rest)
    assert len(script.asked) == 4
    with pytest.raises(Unavailable):
        await getattr(client, name)(*rest)
    assert len(script.asked) == 8


async def test_creations_with_request_id_are_retried(client: Any, script: Script) -> None:
    script.will("CreateOrReject", GONE, CREATED, GONE)
    script.will("Create", GONE, pb.CreateResponse(run=RUN), GONE)
    for create in (client.create_or_reject, client.create):
        script.asked.clear()
        await create(SPEC, request_id="q")
        assert [each.request_id for each in script.asked] == ["q", "q"]
        with pytest.raises(Unavailable):
            await create(SPEC)
        assert len(script.asked) == 3


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(grpc.StatusCode.CANCELLED, "CANCELLED"),
        Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "later", "OVERLOADED", retry=1),
    ],
    ids=lambda refusal: refusal.code.name,
)
async def test_calls_that_an_overloaded_server_ends_are_retried_if_safe(
    client: Any, script: Script, refusal: Refusal
) -> None:
    script.will("Get", refusal, pb.GetResponse(run=RUN))
    script.will("Cancel", refusal)
    assert await client.get("r1") == RUN
    with pytest.raises(RunError) as caught:
        await client.cancel("r1")
    assert len(script.asked) == 3
    if refusal.code is grpc.StatusCode.CANCELLED:
        # The caller did not cancel.
        assert isinstance(caught.value, Unavailable)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_other_calls_are_not_retried(client: Any, script: Script) -> None:
    script.will("SetStatus", GONE)
    script.will("UpdateProgress", GONE)
    script.will("Cancel", GONE)
    script.will("Get", Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "later", "OVERLOADED"))
    for call in (
        client.set_status("r1", RUNNING),
        client.update_progress("r1", USED),
        client.cancel("r1"),
        client.get("r1"),
    ):
        with pytest.raises(RunError):
            await call
    assert len(script.asked) == 4


async def test_requested_pause_beyond_the_deadline_ends_retries(
    client: Any, script: Script
) -> None:
    # One second longer than the deadline: the call fails at once.
    draining = Refusal(grpc.StatusCode.UNAVAILABLE, "Stopping.", "SERVER_DRAINING", retry=11)
    script.will("Get", draining)
    with pytest.raises(Unavailable) as refusal:
        await client.get("r1")
    assert (refusal.value.retry_after, len(script.asked)) == (11, 1)


async def test_restarted_server_answers(kind: Any, script: Script) -> None:
    script.will("Get", pb.GetResponse(run=RUN), pb.GetResponse(run=RUN))
    target = f"127.0.0.1:{free_port()}"
    with scripted(script, listen=target):
        client = make_client(kind, target, timeout=PATIENCE)
        await client.get("r1")
    with scripted(script, listen=target):
        # The first attempt finds a broken connection, the second one reconnects.
        assert await client.get("r1") == RUN
    await client.close()


async def test_missing_server_is_unavailable_before_the_deadline(kind: Any) -> None:
    async with make_client(kind, "127.0.0.1:1", timeout=20) as client:
        with pytest.raises(Unavailable) as failure:
            await client.get("r1")
        assert failure.value.from_transport
        with pytest.raises(Unavailable):
            await client.cancel("r1")
