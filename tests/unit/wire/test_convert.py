"""Runs survive encoding and decoding; any other bytes are a CorruptRow."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.errors import CorruptRow
from runsvc.core.model import (
    CancelAction,
    Cancellation,
    DisconnectMode,
    Lease,
    ModelUsage,
    MultitaskStrategy,
    Progress,
    Run,
    RunStatus,
    StatusReason,
    evolve,
)
from runsvc.store.values import Encoded, LogEntry, Record
from runsvc.v1 import run_pb2
from runsvc.watch.event import Event, StatusEvent
from runsvc.wire import convert, usage
from runsvc.wire.codec import RunCodec

NOW = datetime(2026, 3, 1, 12, 30, 15, 123457, tzinfo=UTC)

times = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
lengths = st.timedeltas(timedelta(microseconds=1), timedelta(days=30))
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
counters = st.integers(0, 2**63 - 1)
model_usages = st.builds(
    ModelUsage, **{field.name: st.none() | counters for field in fields(ModelUsage)}
)
progresses = st.builds(
    Progress,
    **{
        field.name: st.none()
        | (texts if "message" in field.name and "_count" not in field.name else counters)
        for field in fields(Progress)
        if field.name not in ("by_model", "final")
    },
    by_model=st.none() | st.dictionaries(texts, model_usages, min_size=1, max_size=3),
    final=st.booleans(),
)
runs = st.builds(
    Run,
    run_id=texts,
    owner=texts | st.just(""),
    thread_id=texts,
    status=st.sampled_from(RunStatus),
    revision=st.integers(0, 2**63 - 1),
    created_at=times,
    updated_at=times,
    on_disconnect=st.sampled_from(DisconnectMode),
    multitask_strategy=st.sampled_from(MultitaskStrategy),
    status_reason=st.sampled_from(StatusReason),
    assistant_id=st.none() | texts,
    model_name=st.none() | texts,
    error=st.none() | texts,
    stop_reason=st.none() | texts,
    cancellation=st.none()
    | st.builds(
        Cancellation, st.sampled_from(CancelAction), st.none() | texts, times, st.none() | times
    ),
    metadata=st.just(b"") | st.builds(lambda key: struct({key: 1.5}), texts),
    progress=st.none() | progresses,
    progress_sequence=counters,
    worker_id=st.none() | texts,
    lease=st.none() | st.builds(Lease, lengths, times),
    start_timeout=st.none() | lengths,
    timeout=st.none() | lengths,
    superseded_by=st.none() | texts,
    started_at=st.none() | times,
    ended_at=st.none() | times,
)


def struct(value: dict[str, Any]) -> bytes:
    message = Struct()
    message.update(value)
    return message.SerializeToString()


def a_run(**changes: Any) -> Run:
    run = Run(
        run_id="r-1",
        owner="ann",
        thread_id="t-1",
        status=RunStatus.RUNNING,
        revision=7,
        created_at=NOW,
        updated_at=NOW,
        on_disconnect=DisconnectMode.CANCEL,
        multitask_strategy=MultitaskStrategy.REJECT,
    )
    return replace(run, **changes)


def record_of(run: Run, body: bytes | None = None, kwargs: bytes | None = None) -> Record:
    encoded = RunCodec().encode(run) if body is None else Encoded(body, b"")
    return Record(
        run_id=run.run_id,
        owner=run.owner,
        thread_id=run.thread_id,
        assistant_id=run.assistant_id,
        status=run.status,
        created_at=run.created_at,
        revision=run.revision,
        progress_sequence=run.progress_sequence,
        spec_hash=None,
        body=encoded.body,
        activity=encoded.activity,
        kwargs=kwargs,
    )


def entry_of(run: Run, **changes: Any) -> LogEntry:
    entry = LogEntry(
        revision=run.revision,
        call_end=run.revision,
        run_id=run.run_id,
        owner=run.owner,
        thread_id=run.thread_id,
        assistant_id=run.assistant_id,
        status=run.status,
        previous_status=RunStatus.PENDING,
        deleted=False,
        body=b"".join(RunCodec().encode(run)),
    )
    return entry._replace(**changes)


@given(runs)
def test_a_run_survives_encoding(run: Run) -> None:
    assert RunCodec().decode(record_of(run)) == run


@given(runs)
def test_a_run_survives_a_log_entry_without_its_sequence(run: Run) -> None:
    assert RunCodec().decode(entry_of(run)) == replace(run, progress_sequence=None)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_run_or_a_corrupt_row(body: bytes) -> None:
    with pytest.raises(CorruptRow):
        RunCodec().decode(record_of(a_run(), body))


@given(st.data())
def test_a_flipped_byte_is_a_run_or_a_corrupt_row(data: st.DataObject) -> None:
    run = a_run(progress=Progress(total_tokens=4), lease=Lease(timedelta(seconds=9), NOW))
    body = bytearray(b"".join(RunCodec().encode(run)))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CorruptRow):
        assert RunCodec().decode(record_of(run, bytes(body))).run_id == run.run_id


@pytest.mark.parametrize(
    "column",
    [
        {"run_id": "r-2"},
        {"owner": "bob"},
        {"thread_id": "t-2"},
        {"status": RunStatus.PENDING},
        {"revision": 8},
    ],
)
def test_a_body_that_contradicts_the_columns_is_corrupt(column: dict[str, Any]) -> None:
    record = record_of(a_run())._replace(**column)
    with pytest.raises(CorruptRow):
        RunCodec().decode(record)


@pytest.mark.parametrize(
    "missing",
    ["created_at", "updated_at", "on_disconnect", "multitask_strategy", "status", "run_id"],
)
def test_a_body_without_required_fields_is_corrupt(missing: str) -> None:
    message = convert.to_message(a_run())
    message.ClearField(missing)
    with pytest.raises(CorruptRow):
        RunCodec().decode(record_of(a_run(), message.SerializeToString()))


@pytest.mark.parametrize("part", ["lease", "cancellation"])
def test_a_body_with_an_incomplete_part_is_corrupt(part: str) -> None:
    message = convert.to_message(a_run())
    getattr(message, part).SetInParent()
    with pytest.raises(CorruptRow):
        RunCodec().decode(record_of(a_run(), message.SerializeToString()))


def test_a_time_beyond_the_calendar_is_corrupt() -> None:
    message = convert.to_message(a_run())
    message.ended_at.seconds = 2**60
    with pytest.raises(CorruptRow):
        RunCodec().decode(record_of(a_run(), message.SerializeToString()))


def test_a_message_has_metadata_as_it_was_given() -> None:
    message = convert.to_message(a_run(metadata=struct({"a": "x"})))
    assert dict(message.metadata) == {"a": "x"}


def test_a_run_is_encoded_once() -> None:
    run, codec = a_run(), RunCodec()
    assert codec.encode(run) is codec.encode(run)
    decoded = codec.decode(record := record_of(run))
    assert codec.encode(decoded).body is record.body
    assert codec.encode(decoded).activity is record.activity


def test_a_changed_run_is_encoded_again() -> None:
    run, codec = a_run(), RunCodec()
    before = codec.encode(run)
    after = codec.encode(evolve(run, model_name="m"))
    assert codec.decode(record_of(run, b"".join(after))).model_name == "m"
    assert codec.encode(run) is before


PROGRESS = Progress(total_tokens=4, final=True)
LEASE = Lease(timedelta(seconds=9), NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"updated_at": NOW + timedelta(seconds=1)},
        {"progress": PROGRESS},
        {"lease": LEASE},
        {"progress_sequence": 5},
        {"progress": PROGRESS, "lease": LEASE, "updated_at": NOW, "progress_sequence": 0},
    ],
)
def test_a_change_of_the_activity_alone_keeps_the_body(change: dict[str, Any]) -> None:
    codec, before = RunCodec(), a_run(metadata=struct({"k": "v"}))
    after = evolve(before, **change)
    encoded = codec.encode(after, before)
    assert encoded.body is codec.encode(before).body
    assert encoded == RunCodec().encode(evolve(after))
    assert codec.decode(record_of(after)) == after


@given(runs, st.sampled_from([field.name for field in fields(Run)]), runs)
def test_only_the_activity_may_change_without_a_new_body(run: Run, name: str, other: Run) -> None:
    after = evolve(run, **{name: getattr(other, name)})
    codec = RunCodec()
    assert codec.encode(after, run) == RunCodec().encode(evolve(after))
    reused = codec.encode(after).body is codec.encode(run).body
    in_activity = name in {"updated_at", "progress", "lease", "progress_sequence"}
    assert reused is (in_activity or getattr(run, name) == getattr(other, name))


@given(runs)
def test_a_whole_run_is_split_into_its_parts(run: Run) -> None:
    whole = convert.to_message(run)
    encoded = RunCodec().split(whole.SerializeToString())
    assert run_pb2.Run.FromString(b"".join(encoded)) == whole
    assert encoded == RunCodec().encode(run)


@pytest.mark.parametrize("encoded", [b"", b"\xff", b"\x0a\x05r-1"])
def test_a_run_that_cannot_be_parsed_is_not_split(encoded: bytes) -> None:
    assert RunCodec().split(encoded) == (encoded, b"")


def test_a_split_keeps_fields_that_a_newer_release_added() -> None:
    newer = convert.to_message(a_run()).SerializeToString() + b"\xba\x3e\x03new"
    parts = RunCodec().split(newer)
    assert parts.body.endswith(b"\xba\x3e\x03new")
    assert run_pb2.Run.FromString(b"".join(parts)) == run_pb2.Run.FromString(newer)


def test_a_message_has_no_empty_parts() -> None:
    message = convert.to_message(a_run())
    assert {field.name for field, _ in message.ListFields()} == {
        "run_id",
        "owner",
        "thread_id",
        "status",
        "revision",
        "created_at",
        "updated_at",
        "on_disconnect",
        "multitask_strategy",
        "priority",
        "handover",
    }


def test_times_are_exact_to_the_microsecond() -> None:
    message = convert.to_message(a_run(created_at=NOW))
    assert message.created_at.ToDatetime(UTC) == NOW
    assert message.created_at.nanos == 123_457_000


@given(runs)
def test_a_record_that_matches_its_columns_passes_the_check(run: Run) -> None:
    RunCodec().check(record_of(run))
    RunCodec().check(record_of(run, kwargs=struct({"k": "v"})))


@pytest.mark.parametrize(
    "column", [{"run_id": "r-2"}, {"status": RunStatus.PENDING}, {"revision": 8}]
)
def test_a_record_that_contradicts_its_columns_fails_the_check(column: dict[str, Any]) -> None:
    with pytest.raises(CorruptRow):
        RunCodec().check(record_of(a_run())._replace(**column))


def test_a_record_that_does_not_parse_fails_the_check() -> None:
    with pytest.raises(CorruptRow):
        RunCodec().check(record_of(a_run(), b"\xff"))
    with pytest.raises(CorruptRow):
        RunCodec().check(record_of(a_run(), kwargs=b"\xff"))


def test_an_entry_gives_the_run_as_of_its_change() -> None:
    run = a_run(model_name="m")
    assert convert.from_entry(entry_of(run)) == convert.to_message(run)


def test_an_entry_of_a_removed_run_has_only_ids_status_and_revision() -> None:
    entry = entry_of(a_run(assistant_id="a-1", model_name="m"), body=None)
    assert convert.from_entry(entry) == run_pb2.Run(
        run_id="r-1",
        owner="ann",
        thread_id="t-1",
        assistant_id="a-1",
        status=run_pb2.RUN_STATUS_RUNNING,
        revision=7,
    )


def test_a_change_has_the_previous_status_and_more() -> None:
    run = a_run()
    response = convert.to_response(Event(StatusEvent.CHANGED, 7, entry_of(run), more=True))
    assert response.event == run_pb2.STATUS_EVENT_CHANGED
    assert response.revision == 7
    assert response.more
    assert response.previous_status == run_pb2.RUN_STATUS_PENDING
    assert response.run == convert.to_message(run)


def test_a_creation_has_no_previous_status() -> None:
    entry = entry_of(a_run(), previous_status=None)
    response = convert.to_response(Event(StatusEvent.CHANGED, 7, entry))
    assert response.previous_status == run_pb2.RUN_STATUS_UNSPECIFIED


def test_a_removal_has_only_ids() -> None:
    entry = entry_of(a_run(), deleted=True, body=None)
    response = convert.to_response(Event(StatusEvent.DELETED, 7, entry))
    assert response.event == run_pb2.STATUS_EVENT_DELETED
    assert response.previous_status == run_pb2.RUN_STATUS_UNSPECIFIED
    assert response.run == convert.from_entry(entry)


def test_a_snapshot_carries_the_record_and_its_end_the_store() -> None:
    run = a_run()
    assert convert.to_response(Event(StatusEvent.SNAPSHOT, subject=record_of(run))).run == (
        convert.to_message(run)
    )
    end = convert.to_response(Event(StatusEvent.SNAPSHOT_END, 9, store_id="s"))
    assert (end.revision, end.store_id, end.HasField("run")) == (9, "s", False)


def test_runs_that_do_not_fit_lose_their_large_fields() -> None:
    large = struct({"text": "x" * 600_000})
    thick = [convert.to_message(a_run(metadata=large, model_name="m")) for _ in range(3)]
    thin = convert.to_message(a_run(progress=Progress(total_tokens=1)))
    answer = convert.fitting([*thick, thin])
    assert [run.HasField("metadata") for run in answer] == [True, False, False, False]
    assert [run.model_name for run in answer] == ["m", "", "", ""]
    assert answer[3].HasField("progress")
    assert sum(run.ByteSize() for run in answer) <= convert.RUNS_BYTES


def test_a_report_distinguishes_unset_from_zero_and_is_never_final() -> None:
    message = run_pb2.Progress(total_tokens=0, last_ai_message="hi", final=True)
    assert usage.progress_from(message) == Progress(total_tokens=0, last_ai_message="hi")


def test_progress_has_the_same_fields_on_both_sides() -> None:
    assert {field.name for field in fields(Progress)} == set(
        run_pb2.Progress.DESCRIPTOR.fields_by_name
    )
