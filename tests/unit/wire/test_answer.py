"""Answers are what protobuf makes of them, though nothing takes the runs in them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.errors import CorruptRow
from runsvc.v1 import run_pb2
from runsvc.v1 import run_service_pb2 as pb
from runsvc.wire import answer
from runsvc.wire.answer import KEPT, LARGEST, RunFields, run_field
from runsvc.wire.convert import RunCodec, check_record, to_message
from tests.unit.wire.test_convert import a_run, record_of, runs, struct

if TYPE_CHECKING:
    from runsvc.core.model import Run
    from runsvc.store.base import Record

ANSWERS = [
    message
    for name, message in pb.DESCRIPTOR.message_types_by_name.items()
    if name.endswith("Response") and "Stream" not in name
]


def whole(run: Run, kwargs: bytes = b"") -> run_pb2.Run:
    """The run's message, with kwargs when they are given."""
    message = to_message(run)
    if kwargs:
        message.kwargs.MergeFrom(Struct.FromString(kwargs))
    return message


@given(runs, st.just(b"") | st.text(max_size=300).map(lambda text: struct({"k": text})))
def test_a_field_and_the_rest_are_the_answer(run: Run, kwargs: bytes) -> None:
    rest = pb.CreateResponse(replayed=True)
    encoded = run_field(*RunCodec().encode(run), kwargs) + rest.SerializeToString()
    expected = pb.CreateResponse(run=whole(run, kwargs), replayed=True)
    assert pb.CreateResponse.FromString(encoded) == expected


@pytest.mark.parametrize("size", [0, 100, 127, 128, 16_383, 16_384, 60_000, 1 << 20])
def test_a_run_may_be_of_any_size(size: int) -> None:
    kwargs = struct({"k": "x" * size})
    answered = pb.GetResponse.FromString(run_field(*RunCodec().encode(a_run()), kwargs))
    assert answered.run == whole(a_run(), kwargs)


@given(st.lists(runs, max_size=4))
def test_a_page_is_its_fields(page: list[Run]) -> None:
    rest = pb.ListByThreadResponse(next_page_token="t").SerializeToString()
    encoded = b"".join((*(RunFields().of(record_of(run)) for run in page), rest))
    answered = pb.ListByThreadResponse.FromString(encoded)
    assert list(answered.runs) == [whole(run) for run in page]
    assert answered.next_page_token == "t"


def test_every_answer_has_its_run_in_the_same_place() -> None:
    fields = [
        (message.name, field.number)
        for message in ANSWERS
        for field in message.fields
        if field.name in {"run", "runs"}
    ]
    assert {number for _, number in fields} == {1}
    assert len(fields) == 11


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """Every record that is looked at."""
    seen: list[Record] = []

    def counted(record: Record) -> None:
        seen.append(record)
        check_record(record)

    monkeypatch.setattr(answer, "check_record", counted)
    return seen


def test_a_record_is_looked_at_once(looked: list[Record]) -> None:
    fields, record = RunFields(), record_of(a_run(), kwargs=struct({"k": "v"}))
    first = fields.of(record)
    # As a store has it at hand: another record, of the same bytes.
    assert fields.of(record._replace()) is first
    assert len(looked) == 1


@pytest.mark.parametrize("change", [{"body": b"\xff"}, {"activity": b"\xff"}, {"kwargs": b"\xff"}])
def test_what_is_new_of_a_record_is_looked_at(change: dict[str, Any]) -> None:
    fields, record = RunFields(), record_of(a_run(), kwargs=struct({"k": "v"}))
    first = fields.of(record)
    for _ in range(2):
        with pytest.raises(CorruptRow):
            fields.of(record._replace(**change))
    assert fields.of(record) is first
    assert pb.GetResponse.FromString(first).run == whole(a_run(), struct({"k": "v"}))


def test_a_page_and_a_get_of_the_same_run_are_kept_beside_each_other(looked: list[Record]) -> None:
    fields, record = RunFields(), record_of(a_run(), kwargs=struct({"k": "v"}))
    for _ in range(2):
        assert pb.GetResponse.FromString(fields.of(record)).run.HasField("kwargs")
        assert pb.GetResponse.FromString(fields.of(record._replace(kwargs=None))).run == whole(
            a_run()
        )
    assert len(looked) == 2
    # A run without kwargs has empty ones where they are asked for.
    assert fields.of(record._replace(kwargs=b"")) is fields.of(record._replace(kwargs=None))
    assert len(looked) == 2


def test_only_the_newest_are_kept_and_no_large_ones(looked: list[Record]) -> None:
    fields = RunFields()
    records = [record_of(a_run(run_id=f"r-{number}")) for number in range(KEPT + 1)]
    large = record_of(a_run(run_id="large", metadata=struct({"k": "x" * LARGEST})))
    for record in (*records, large):
        fields.of(record)
    looked.clear()
    for record in (*records[1:], records[0], large):
        fields.of(record)
    assert looked == [records[0], large]
