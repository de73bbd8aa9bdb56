"""Validation of creations: the limits of a spec, and the identity of a repeatable creation."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.errors import InvalidRequest
from runsvc.core.model import (
    DisconnectMode,
    Handover,
    MultitaskStrategy,
    RequestKey,
    Retry,
    RunSpec,
)
from runsvc.v1.run_pb2 import Retry as RetryMessage
from runsvc.v1.run_pb2 import RunSpec as SpecMessage
from runsvc.v1.run_service_pb2 import CreateRequest
from runsvc.wire.creation import creation
from runsvc.wire.spec_hash import MAX_DEPTH
from tests.support.faults import fields_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def struct(**values: Any) -> Struct:
    message = Struct()
    message.update(values)
    return message


def created(spec: SpecMessage, request_id: str = "") -> RunSpec:
    return creation(CreateRequest(spec=spec, request_id=request_id), owner="ann", method="m")[0]


def faults_of(spec: SpecMessage) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        created(spec)
    return fields_of(caught.value)


@pytest.mark.parametrize("value", ["x" * 256, "a\nb", "\x7f"])
def test_a_request_id_has_limits(value: str) -> None:
    spec = SpecMessage(thread_id="t")
    created(spec, "é" * 255)
    created(spec, "")
    with pytest.raises(InvalidRequest) as caught:
        created(spec, value)
    assert fields_of(caught.value) == ["request_id"]


def test_a_spec_is_required() -> None:
    with pytest.raises(InvalidRequest) as caught:
        creation(CreateRequest(), owner="", method="m")
    assert fields_of(caught.value) == ["spec"]


def test_a_bare_spec_gets_the_defaults() -> None:
    assert created(SpecMessage(thread_id="t")) == RunSpec(thread_id="t")


def test_every_field_of_a_spec_is_taken() -> None:
    message = SpecMessage(
        thread_id="t",
        assistant_id="a",
        on_disconnect=2,  # type: ignore[arg-type]
        multitask_strategy=3,  # type: ignore[arg-type]
        model_name="m",
        worker_id="w",
        metadata=struct(a=1),
        kwargs=struct(b="x"),
        handover=2,  # type: ignore[arg-type]
        not_before=NOON,
        concurrency_key="k",
        queue_timeout=timedelta(seconds=3),
        priority=5,
        retry=RetryMessage(max_attempts=4, backoff=timedelta(seconds=2)),
    )
    assert created(message) == RunSpec(
        thread_id="t",
        assistant_id="a",
        on_disconnect=DisconnectMode.CONTINUE,
        multitask_strategy=MultitaskStrategy.ROLLBACK,
        model_name="m",
        worker_id="w",
        metadata=message.metadata.SerializeToString(),
        kwargs=message.kwargs.SerializeToString(),
        handover=Handover.AFTER_STOP,
        not_before=NOON,
        concurrency_key="k",
        queue_timeout=timedelta(seconds=3),
        priority=5,
        retry=Retry(4, timedelta(seconds=2)),
    )


def test_all_violations_of_a_spec_are_reported_together() -> None:
    message = SpecMessage(
        assistant_id="",
        on_disconnect=9,  # type: ignore[arg-type]
        multitask_strategy=9,  # type: ignore[arg-type]
        model_name="x" * 129,
        worker_id=".",
        metadata=Struct(fields={"a": Value()}),
        kwargs=struct(a=float("nan")),
        lease_ttl=Duration(),
        start_timeout=Duration(seconds=-1),
        timeout=timedelta(days=31),
        handover=9,  # type: ignore[arg-type]
        not_before=datetime.now(UTC) + timedelta(days=31),
        concurrency_key="x" * 129,
        queue_timeout=Duration(),
        priority=6,
        retry=RetryMessage(max_attempts=11, backoff=Duration(seconds=3_601)),
    )
    names = {field.name for field in SpecMessage.DESCRIPTOR.fields} - {"retry"}
    names |= {"retry.max_attempts", "retry.backoff"}
    assert sorted(faults_of(message)) == sorted(f"spec.{name}" for name in names)


@pytest.mark.parametrize(("name", "limit"), [("metadata", 65_536), ("kwargs", 1_048_576)])
def test_structs_are_limited_in_size(name: str, limit: int) -> None:
    fitting = limit - struct(a="x" * (limit - 100)).ByteSize() + limit - 100
    message = SpecMessage(thread_id="t", **{name: struct(a="x" * fitting)})  # type: ignore[arg-type]
    assert getattr(message, name).ByteSize() == limit
    created(message)
    getattr(message, name).update({"a": "x" * (fitting + 1)})
    assert faults_of(message) == [f"spec.{name}"]


def test_structs_are_limited_in_depth() -> None:
    value: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        value = {"a": value}
    assert faults_of(SpecMessage(thread_id="t", metadata=struct(**value))) == ["spec.metadata"]


def test_a_spec_has_a_lease_and_timeouts() -> None:
    bare = created(SpecMessage(thread_id="t"))
    assert (bare.lease_ttl, bare.start_timeout, bare.timeout) == (None, None, None)
    spec = created(
        SpecMessage(
            thread_id="t",
            worker_id="w",
            lease_ttl=timedelta(hours=1),
            start_timeout=timedelta(microseconds=1),
            timeout=timedelta(days=30),
        )
    )
    assert spec.lease_ttl == timedelta(hours=1)
    assert (spec.start_timeout, spec.timeout) == (timedelta(microseconds=1), timedelta(days=30))
    ownerless = SpecMessage(thread_id="t", lease_ttl=timedelta(hours=1))
    assert faults_of(ownerless) == ["spec.lease_ttl"]


def test_a_repeatable_creation_is_identified_by_owner_method_and_hash() -> None:
    message = SpecMessage(thread_id="t", model_name=" m ", metadata=struct(a=1, b=2))
    same = SpecMessage(thread_id="t", model_name="m", metadata=struct(b=2, a=1), kwargs=Struct())
    _, one = creation(CreateRequest(request_id="q", spec=message), owner="ann", method="Create")
    _, two = creation(CreateRequest(request_id="q", spec=same), owner="ann", method="Create")
    assert one == two
    assert one is not None
    assert one.key == RequestKey("ann", "Create", "q")


def test_a_creation_without_a_request_id_is_not_repeatable() -> None:
    _, request = creation(CreateRequest(spec=SpecMessage(thread_id="t")), owner="", method="m")
    assert request is None


@given(st.binary(max_size=300))
def test_no_bytes_crash_a_creation(encoded: bytes) -> None:
    with suppress(DecodeError, InvalidRequest):
        creation(CreateRequest.FromString(encoded), owner="", method="m")


@pytest.mark.parametrize(
    ("given_name", "name"),
    [(" gpt ", "gpt"), ("", None), (" \n", None), ("x" * 128 + " ", "x" * 128), ("é" * 128,) * 2],
)
def test_the_model_name_of_a_spec_is_trimmed(given_name: str, name: str | None) -> None:
    assert created(SpecMessage(thread_id="t", model_name=given_name)).model_name == name


@pytest.mark.parametrize("name", ["x" * 129, "a\nb", "a\x00", "a\x85b"])
def test_the_model_name_of_a_spec_has_limits(name: str) -> None:
    assert faults_of(SpecMessage(thread_id="t", model_name=name)) == ["spec.model_name"]
