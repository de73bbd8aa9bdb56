"""Every limit of a request: what passes, what is refused, and that all faults are told at once."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.errors import InvalidRequest
from runsvc.core.model import (
    CancelAction,
    DisconnectMode,
    MultitaskStrategy,
    Progress,
    RequestKey,
    RunSpec,
    RunStatus,
)
from runsvc.store.base import Topic, TopicKind
from runsvc.store.queries import PageKey
from runsvc.v1.admin_service_pb2 import ReconcileOrphansRequest
from runsvc.v1.run_pb2 import AllRuns
from runsvc.v1.run_pb2 import RunSpec as SpecMessage
from runsvc.v1.run_service_pb2 import (
    CancelRequest,
    CompleteRequest,
    CreateRequest,
    SetStatusRequest,
    StreamStatusRequest,
    UpdateModelNameRequest,
    UpdateProgressRequest,
)
from runsvc.watch.stream import WatchRequest
from runsvc.wire import page_token
from runsvc.wire.spec_hash import MAX_DEPTH
from runsvc.wire.validation import MAX_INTEGER, Check, creation


class Faults:
    """Collects the fields that a check found at fault."""

    def __init__(self) -> None:
        self.check = Check()

    def __enter__(self) -> Check:
        return self.check

    def __exit__(self, *_: object) -> None:
        with pytest.raises(InvalidRequest) as caught:
            self.check.__exit__(None, None, None)
        self.fields = [violation.field for violation in caught.value.violations]
        assert all(len(violation.description) < 150 for violation in caught.value.violations)


def struct(**values: Any) -> Struct:
    message = Struct()
    message.update(values)
    return message


def created(spec: SpecMessage, request_id: str = "") -> RunSpec:
    return creation(CreateRequest(spec=spec, request_id=request_id), owner="ann", method="m")[0]


def faults_of(spec: SpecMessage) -> list[str]:
    with Faults() as check:
        check.spec(CreateRequest(spec=spec))
    return [violation.field for violation in check._violations]


ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}", fullmatch=True).filter(str.isascii)


@given(ids)
def test_an_id_of_the_right_form_passes(value: str) -> None:
    with Check() as check:
        assert check.run_id(value) == value
        assert check.thread_id(value) == value
        assert check.worker_id(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "a\n", "\na", "-a", "a b", "é", "a" * 129, "\u0661", "a\x00", "\uff41", "a" * 1_000_000],
)
def test_an_id_of_another_form_is_refused(value: str) -> None:
    faults = Faults()
    with faults as check:
        check.run_id(value)
        check.thread_id(value)
        check.worker_id(value)
        check.optional_worker_id(SetStatusRequest(worker_id=value))
    assert faults.fields == ["run_id", "thread_id", "worker_id", "worker_id"]


def test_a_worker_may_be_left_out() -> None:
    with Check() as check:
        assert check.optional_worker_id(SetStatusRequest()) is None
        assert check.optional_worker_id(SetStatusRequest(worker_id="w")) == "w"


def test_a_failure_inside_the_block_passes() -> None:
    with pytest.raises(ZeroDivisionError), Check() as check:
        check.page_size(1 // len(check.run_id("")))


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_passes(status: RunStatus) -> None:
    with Check() as check:
        assert check.status(int(status)) is status
        assert check.statuses([int(status)] * 3) == {status}


@pytest.mark.parametrize("number", [0, 7, -1, 99])
def test_other_numbers_are_no_status(number: int) -> None:
    faults = Faults()
    with faults as check:
        check.status(number)
        check.terminal_status(number)
        check.statuses([number, 1])
    assert faults.fields == ["status", "status", "statuses"]


def test_no_statuses_are_all() -> None:
    with Check() as check:
        assert check.statuses([]) == frozenset()


def test_only_a_terminal_status_completes() -> None:
    faults = Faults()
    with faults as check:
        assert check.terminal_status(3) is RunStatus.SUCCESS
        check.terminal_status(2)
    assert faults.fields == ["status"]


def test_an_error_needs_a_terminal_status() -> None:
    faults = Faults()
    with faults as check:
        request = SetStatusRequest(error="boom")
        assert check.error(request, RunStatus.ERROR) == "boom"
        assert check.error(SetStatusRequest(), RunStatus.RUNNING) is None
        check.error(request, RunStatus.RUNNING)
    assert faults.fields == ["error"]


def test_texts_are_measured_in_bytes() -> None:
    faults = Faults()
    with faults as check:
        check.error(CompleteRequest(error="e" * 16_384), RunStatus.ERROR)
        check.note(CancelRequest(note="n" * 1_024))
        check.orphan_error("o" * 16_384, "")
        check.error(CompleteRequest(error="é" * 8_193), RunStatus.ERROR)
        check.note(CancelRequest(note="é" * 513))
        check.orphan_error("é" * 8_193, "")
    assert faults.fields == ["error", "note", "error"]


def test_texts_have_their_defaults() -> None:
    with Check() as check:
        assert check.note(CancelRequest(note="")) is None
        assert check.orphan_error("", "lost") == "lost"
        assert check.orphan_error("mine", "lost") == "mine"


def test_an_action_defaults_to_interrupt() -> None:
    faults = Faults()
    with faults as check:
        assert check.action(0) is CancelAction.INTERRUPT
        assert check.action(2) is CancelAction.ROLLBACK
        check.action(3)
    assert faults.fields == ["action"]


@pytest.mark.parametrize(
    ("given_name", "name"),
    [(" gpt ", "gpt"), ("", None), (" \n", None), ("x" * 128 + " ", "x" * 128), ("é" * 128,) * 2],
)
def test_a_model_name_is_trimmed(given_name: str, name: str | None) -> None:
    with Check() as check:
        assert check.model_name(UpdateModelNameRequest(model_name=given_name)) == name
    assert created(SpecMessage(thread_id="t", model_name=given_name)).model_name == name


@pytest.mark.parametrize("name", ["x" * 129, "a\nb", "a\x00", "a\x85b"])
def test_a_model_name_has_limits(name: str) -> None:
    faults = Faults()
    with faults as check:
        check.model_name(UpdateModelNameRequest(model_name=name))
    assert faults.fields == ["model_name"]
    assert faults_of(SpecMessage(thread_id="t", model_name=name)) == ["spec.model_name"]


def test_progress_counts_from_zero() -> None:
    request = UpdateProgressRequest()
    faults = Faults()
    with faults as check:
        assert check.progress(request) is None
        request.progress.total_tokens = 0
        request.progress.last_ai_message = "x" * 5_000
        request.progress.final = True
        assert check.progress(request) == Progress(total_tokens=0, last_ai_message="x" * 5_000)
        request.progress.message_count = -1
        request.progress.total_tokens = -5
        check.progress(request)
    assert faults.fields == ["progress.total_tokens", "progress.message_count"]


def test_a_sequence_fits_into_the_store() -> None:
    faults = Faults()
    with faults as check:
        assert check.sequence(UpdateProgressRequest()) is None
        assert check.sequence(UpdateProgressRequest(sequence=0)) == 0
        assert check.sequence(UpdateProgressRequest(sequence=MAX_INTEGER)) == MAX_INTEGER
        check.sequence(UpdateProgressRequest(sequence=MAX_INTEGER + 1))
    assert faults.fields == ["sequence"]


@pytest.mark.parametrize("value", ["x" * 256, "a\nb", "\x7f"])
def test_a_request_id_has_limits(value: str) -> None:
    faults = Faults()
    with faults as check:
        check.request_id("é" * 255)
        check.request_id("")
        check.request_id(value)
    assert faults.fields == ["request_id"]


def test_counts_are_clamped() -> None:
    faults = Faults()
    with faults as check:
        assert [check.page_size(n) for n in (0, 1, 500, 501, 2**31 - 1)] == [100, 1, 500, 500, 500]
        assert [check.limit(n) for n in (0, 1, 1_001)] == [1_000, 1, 1_000]
        check.page_size(-1)
        check.limit(-1)
    assert faults.fields == ["page_size", "limit"]


def test_a_page_token_belongs_to_its_list() -> None:
    key = PageKey(datetime(2026, 1, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000001")
    scope: dict[str, Any] = {"owner": "ann", "thread_id": "t", "statuses": frozenset()}
    token = page_token.encode(key, **scope)
    faults = Faults()
    with faults as check:
        assert check.page_token("", **scope) is None
        assert check.page_token(token, **scope) == key
        check.page_token(token, **scope | {"thread_id": "u"})
        check.page_token("x" * 1_000_000, **scope)
    assert faults.fields == ["page_token", "page_token"]


def test_before_is_a_time() -> None:
    faults = Faults()
    with faults as check:
        assert check.before(ReconcileOrphansRequest()) is None
        assert check.before(ReconcileOrphansRequest(before=Timestamp(seconds=1, nanos=2_000))) == (
            datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC)
        )
        for stamp in (Timestamp(seconds=2**62), Timestamp(nanos=-1), Timestamp(nanos=10**9)):
            check.before(ReconcileOrphansRequest(before=stamp))
    assert faults.fields == ["before"] * 3


def test_a_lease_lasts_a_second_to_an_hour_and_needs_a_worker_that_starts() -> None:
    faults = Faults()
    second = SetStatusRequest(lease_ttl=Duration(seconds=1))
    with faults as check:
        assert check.start_lease_ttl(SetStatusRequest(), None, RunStatus.SUCCESS) is None
        assert check.start_lease_ttl(second, "w", RunStatus.RUNNING) == timedelta(seconds=1)
        check.start_lease_ttl(second, None, RunStatus.RUNNING)
        check.start_lease_ttl(second, "w", RunStatus.SUCCESS)
        for length in (Duration(nanos=999_999_999), Duration(seconds=3_601)):
            check.start_lease_ttl(SetStatusRequest(lease_ttl=length), "w", RunStatus.RUNNING)
    assert faults.fields == ["lease_ttl"] * 4


def test_a_watch_has_its_defaults() -> None:
    with Check() as check:
        watch = check.watch(StreamStatusRequest(run_id="r"), "ann")
    assert watch == WatchRequest(topic=Topic(TopicKind.RUN, "ann", "r"))


@pytest.mark.parametrize(
    ("target", "topic"),
    [
        ({"run_id": "r"}, Topic(TopicKind.RUN, "ann", "r")),
        ({"thread_id": "t"}, Topic(TopicKind.THREAD, "ann", "t")),
        ({"all": AllRuns()}, Topic(TopicKind.ALL, "ann")),
        ({"all": AllRuns(assistant_id="a")}, Topic(TopicKind.ASSISTANT, "ann", "a")),
    ],
)
def test_a_target_is_a_topic(target: dict[str, Any], topic: Topic) -> None:
    with Check() as check:
        assert check.watch(StreamStatusRequest(**target), "ann").topic == topic


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (StreamStatusRequest(attach=True), ["target"]),
        (StreamStatusRequest(run_id=""), ["run_id"]),
        (StreamStatusRequest(thread_id="é"), ["thread_id"]),
        (StreamStatusRequest(all=AllRuns(assistant_id="")), ["all.assistant_id"]),
        (StreamStatusRequest(thread_id="t", attach=True), ["attach"]),
        (StreamStatusRequest(all=AllRuns(), until_acknowledged=True), ["until_acknowledged"]),
        (StreamStatusRequest(run_id="r", heartbeat_interval=Duration()), ["heartbeat_interval"]),
    ],
)
def test_a_wrong_watch_is_refused(request_: StreamStatusRequest, fields: list[str]) -> None:
    faults = Faults()
    with faults as check:
        check.watch(request_, "ann")
    assert faults.fields == fields


@pytest.mark.parametrize(
    ("after", "revision"),
    [(0, 0), (5, 5), (MAX_INTEGER + 1, MAX_INTEGER), (2**64 - 1, MAX_INTEGER)],
)
def test_a_revision_from_the_future_stays_one(after: int, revision: int) -> None:
    with Check() as check:
        watch = check.watch(StreamStatusRequest(run_id="r", after_revision=after), "")
    assert watch.after_revision == revision


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        (Duration(nanos=1_000), 1.0),
        (Duration(seconds=20, nanos=500_000_000), 20.5),
        (Duration(seconds=301), 300.0),
        (Duration(seconds=2**62), 300.0),
    ],
)
def test_a_heartbeat_interval_is_clamped(interval: Duration, seconds: float) -> None:
    with Check() as check:
        watch = check.watch(StreamStatusRequest(run_id="r", heartbeat_interval=interval), "")
    assert watch.heartbeat_interval == seconds


def test_a_spec_is_required() -> None:
    with pytest.raises(InvalidRequest) as caught:
        creation(CreateRequest(), owner="", method="m")
    assert [fault.field for fault in caught.value.violations] == ["spec"]


def test_a_bare_spec_gets_the_defaults() -> None:
    assert created(SpecMessage(thread_id="t")) == RunSpec(thread_id="t")


def test_a_full_spec_is_taken_over() -> None:
    message = SpecMessage(
        thread_id="t",
        assistant_id="a",
        on_disconnect=2,  # type: ignore[arg-type]
        multitask_strategy=3,  # type: ignore[arg-type]
        model_name="m",
        worker_id="w",
        metadata=struct(a=1),
        kwargs=struct(b="x"),
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
    )


def test_all_faults_of_a_spec_are_told_at_once() -> None:
    message = SpecMessage(
        assistant_id="",
        on_disconnect=9,  # type: ignore[arg-type]
        multitask_strategy=9,  # type: ignore[arg-type]
        model_name="x" * 129,
        worker_id="-",
        metadata=Struct(fields={"a": Value()}),
        kwargs=struct(a=float("nan")),
        lease_ttl=Duration(),
        start_timeout=Duration(seconds=-1),
        timeout=timedelta(days=31),
    )
    assert sorted(faults_of(message)) == sorted(
        f"spec.{field.name}" for field in SpecMessage.DESCRIPTOR.fields
    )


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


def test_a_repeatable_creation_is_known_by_owner_method_and_hash() -> None:
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


@given(st.binary(max_size=100))
def test_no_bytes_crash_a_watch(encoded: bytes) -> None:
    with suppress(DecodeError, InvalidRequest), Check() as check:
        check.watch(StreamStatusRequest.FromString(encoded), "")
