"""Refused requests: limits at their edges, violations of every field, hostile bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runsvc.client import error_of
from tests.support.calls import ERROR, PENDING, RUNNING, SUCCESS, call, created, refused
from tests.support.engines import EVERY_ENGINE

if TYPE_CHECKING:
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

HUGE = "x" * 200_000
SERVICE = "/runsvc.v1.RunService/"
CLAIM: dict[str, Any] = {"worker_id": "w", "assistant_ids": ["a"], "lease_ttl": {"seconds": 9}}


def nested(levels: int) -> Struct:
    """A Struct with this many levels of objects, itself included."""
    outer = Struct()
    inner = outer
    for _ in range(levels - 1):
        inner = inner.get_or_create_struct("a")
    return outer


def spec(**fields: Any) -> dict[str, Any]:
    """A spec in a creation."""
    return {"spec": {"thread_id": "t", **fields}}


def text_of(size: int) -> Struct:
    """A Struct of exactly this many bytes."""
    made = Struct()
    made["k"] = ""
    empty = made.ByteSize()
    made["k"] = "x" * (size - empty - 16)
    made["k"] = "x" * (size - 16 - empty + (size - made.ByteSize()))
    assert made.ByteSize() == size
    return made


ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("Create", spec(thread_id="x" * 128)),
    ("Create", spec(metadata=text_of(64 << 10))),
    ("Create", spec(kwargs=text_of(1 << 20))),
    ("Create", spec(metadata=nested(16), kwargs=nested(16))),
    ("Create", spec(model_name="m" * 128)),
    ("Create", {"request_id": "é" * 255, **spec()}),
    ("Create", spec(worker_id="w", lease_ttl={"seconds": 3_600}, timeout={"nanos": 1_000})),
    ("Create", spec(start_timeout={"seconds": 30 * 86_400}, timeout={"seconds": 30 * 86_400})),
    ("ListByThread", {"thread_id": "t", "page_size": 2**31 - 1}),
    ("ReconcileOrphans", {"error": "e" * (16 << 10), "limit": 2**31 - 1}),
]

FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("Create", {}, "spec"),
    ("Create", spec(thread_id=""), "spec.thread_id"),
    ("Create", spec(thread_id="x" * 129), "spec.thread_id"),
    ("Create", spec(thread_id=HUGE), "spec.thread_id"),
    ("Create", spec(thread_id="a\x00"), "spec.thread_id"),
    ("Create", spec(thread_id="a\n"), "spec.thread_id"),
    ("Create", spec(thread_id=".a"), "spec.thread_id"),
    ("Create", spec(thread_id="ä"), "spec.thread_id"),
    ("Create", spec(assistant_id=""), "spec.assistant_id"),
    ("Create", spec(worker_id=" "), "spec.worker_id"),
    ("Create", spec(on_disconnect=9), "spec.on_disconnect"),
    ("Create", spec(multitask_strategy=99), "spec.multitask_strategy"),
    ("Create", spec(model_name="m" * 129), "spec.model_name"),
    ("Create", spec(model_name="a\x1b[31m"), "spec.model_name"),
    ("Create", spec(metadata=text_of((64 << 10) + 1)), "spec.metadata"),
    ("Create", spec(kwargs=text_of((1 << 20) + 1)), "spec.kwargs"),
    ("Create", spec(metadata=nested(17)), "spec.metadata"),
    ("Create", spec(metadata={"n": float("nan")}), "spec.metadata"),
    ("Create", spec(kwargs={"n": [float("-inf")]}), "spec.kwargs"),
    ("Create", spec(lease_ttl={"seconds": 5}), "spec.lease_ttl"),
    ("Create", spec(worker_id="w", lease_ttl={"seconds": 3_601}), "spec.lease_ttl"),
    ("Create", spec(timeout={"seconds": -1}), "spec.timeout"),
    ("Create", spec(start_timeout={"seconds": 31 * 86_400}), "spec.start_timeout"),
    ("CreateOrReject", {"request_id": "r" * 256, **spec()}, "request_id"),
    ("CreateOrReject", {"request_id": "\x07", **spec()}, "request_id"),
    ("Get", {"run_id": ""}, "run_id"),
    ("Get", {"run_id": HUGE}, "run_id"),
    ("ListByThread", {"thread_id": "t", "page_size": -1}, "page_size"),
    ("ListByThread", {"thread_id": "t", "page_token": "forged"}, "page_token"),
    ("ListByThread", {"thread_id": "t", "page_token": HUGE}, "page_token"),
    ("ListByThread", {"thread_id": "t", "statuses": [1, 77]}, "statuses"),
    ("HasInflight", {"thread_id": ""}, "thread_id"),
    ("SetStatus", {"run_id": "r"}, "status"),
    ("SetStatus", {"run_id": "r", "status": 8}, "status"),
    ("SetStatus", {"run_id": "r", "status": RUNNING, "error": "e"}, "error"),
    ("SetStatus", {"run_id": "r", "status": RUNNING, "lease_ttl": {"seconds": 5}}, "lease_ttl"),
    ("Complete", {"run_id": "r", "status": RUNNING}, "status"),
    ("UpdateProgress", {"run_id": "r", "progress": {"total_tokens": -1}}, "progress.total_tokens"),
    ("UpdateProgress", {"run_id": "r", "sequence": 2**64 - 1}, "sequence"),
    ("UpdateModelName", {"run_id": "r", "model_name": "m" * 129}, "model_name"),
    ("Heartbeat", {"run_id": "r"}, "worker_id"),
    ("Cancel", {"run_id": "r", "action": 3}, "action"),
    ("Cancel", {"run_id": "r", "note": "n" * 1_025}, "note"),
    ("ReconcileOrphans", {"limit": -1}, "limit"),
    ("ReconcileOrphans", {"statuses": [PENDING, SUCCESS]}, "statuses"),
    ("ReconcileOrphans", {"statuses": [99]}, "statuses"),
    ("ReconcileOrphans", {"assistant_id": ""}, "assistant_id"),
    ("ReconcileOrphans", {"error": "e" * 16_385}, "error"),
    ("ReconcileOrphans", {"before": {"seconds": 2**62}}, "before"),
    ("Delete", {"run_id": "\x00"}, "run_id"),
    ("Create", spec(priority=6), "spec.priority"),
    ("Create", spec(not_before={"seconds": 2**62}), "spec.not_before"),
    ("Create", spec(queue_timeout={"seconds": 0}), "spec.queue_timeout"),
    ("Create", spec(concurrency_key="k" * 129), "spec.concurrency_key"),
    ("Create", spec(retry={"max_attempts": 11}), "spec.retry.max_attempts"),
    (
        "Create",
        spec(retry={"max_attempts": 2, "backoff": {"seconds": 7_200}}),
        "spec.retry.backoff",
    ),
    ("SetStatus", {"run_id": "r", "status": SUCCESS, "retryable": True}, "retryable"),
    ("SetStatus", {"run_id": "r", "status": RUNNING, "stop_reason": "s"}, "stop_reason"),
    ("Complete", {"run_id": "r", "status": ERROR, "result": {}}, "result"),
    ("Complete", {"run_id": "r", "status": SUCCESS, "stop_reason": "s" * 129}, "stop_reason"),
    ("Claim", {**CLAIM, "worker_id": ""}, "worker_id"),
    ("Claim", {**CLAIM, "assistant_ids": []}, "assistant_ids"),
    ("Claim", {**CLAIM, "assistant_ids": [f"a{n}" for n in range(17)]}, "assistant_ids"),
    ("Claim", {**CLAIM, "any_assistant": True}, "assistant_ids"),
    ("Claim", {**CLAIM, "max_runs": 33}, "max_runs"),
    ("Claim", {**CLAIM, "max_runs": -1}, "max_runs"),
    ("Claim", {**CLAIM, "lease_ttl": {}}, "lease_ttl"),
    ("Claim", {**CLAIM, "wait": {"seconds": 61}}, "wait"),
    ("Claim", {**CLAIM, "wait": {"seconds": -1}}, "wait"),
    ("Claim", {**CLAIM, "request_id": "\x07"}, "request_id"),
    ("Release", {"run_id": "r"}, "worker_id"),
    ("SetConcurrencyLimit", {"prefix": "p", "width": -1}, "width"),
    ("SetConcurrencyLimit", {"prefix": "p" * 129, "width": 1}, "prefix"),
]


@pytest.mark.parametrize(("method", "fields"), ALLOWED)
async def test_values_just_within_their_limits_are_accepted(
    client: Client, method: str, fields: dict[str, Any]
) -> None:
    await call(client, method, **fields)


@pytest.mark.parametrize(("method", "fields", "field"), FAULTS)
async def test_a_violation_names_its_field(
    client: Client, method: str, fields: dict[str, Any], field: str
) -> None:
    error = await refused(client, method, **fields)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [violation.field for violation in error.violations] == [field]
    assert len(error.message) < 1_000
    assert (await call(client, "GetServerInfo")).current_revision == 0


async def test_one_answer_names_all_violations(client: Client) -> None:
    error = await refused(
        client, "Create", request_id="\x00", **spec(thread_id="", assistant_id="!", on_disconnect=5)
    )
    assert {violation.field for violation in error.violations} == {
        "request_id",
        "spec.thread_id",
        "spec.assistant_id",
        "spec.on_disconnect",
    }


async def test_a_page_token_is_valid_for_its_list_only(client: Client) -> None:
    for _ in range(3):
        await created(client)
    page = await call(client, "ListByThread", thread_id="t", page_size=1)
    for fields in (
        {"thread_id": "u", "page_token": page.next_page_token},
        {"thread_id": "t", "page_token": page.next_page_token, "statuses": [1]},
        {"thread_id": "t", "page_token": page.next_page_token[:-2] + "AA"},
    ):
        error = await refused(client, "ListByThread", **fields)
        assert [violation.field for violation in error.violations] == ["page_token"]


def _field(number: int, body: bytes) -> bytes:
    length = len(body)
    size = b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + body


def _deep(levels: int) -> bytes:
    """A creation with kwargs that are nested too deeply for any parser."""
    value = b""
    for _ in range(levels):
        value = _field(1, _field(1, b"a") + _field(2, _field(5, value)))
    return _field(2, _field(1, b"t") + _field(5, value))


HOSTILE = [
    pytest.param("Create", b"\xff\xff\xff", id="garbage"),
    pytest.param("Create", b"\x0a\x05ab", id="cut"),
    pytest.param("Create", _field(2, _field(1, b"\xff\xfe")), id="no UTF-8"),
    pytest.param("Create", _deep(5_000), id="deep"),
    pytest.param("UpdateProgress", _field(2, b"\x48"), id="cut number"),
    pytest.param("StreamStatus", struct.pack("<Q", 2**63 + 5), id="stream"),
]


@pytest.mark.parametrize(("method", "request_bytes"), HOSTILE)
async def test_bytes_that_do_not_parse_are_an_invalid_request_on_every_method(
    client: Client, method: str, request_bytes: bytes
) -> None:
    channel: Any = client.channel
    kind = channel.unary_stream if method == "StreamStatus" else channel.unary_unary
    answer = kind(SERVICE + method)(request_bytes)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await (answer.read() if method == "StreamStatus" else answer)
    assert error_of(refusal.value).reason == "INVALID_REQUEST"
    await _is_healthy(client)


async def test_a_message_of_ten_mebibytes_is_refused(client: Client) -> None:
    error = await refused(client, "Create", **spec(kwargs={"k": "x" * (10 << 20)}))
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await _is_healthy(client)


async def _is_healthy(client: Client) -> None:
    health: Any = health_pb2_grpc.HealthStub(client.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    await created(client)
