"""Answers that are joined from encoded parts equal the answers that protobuf encodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from runsvc.v1 import run_pb2
from runsvc.v1 import run_service_pb2 as pb
from runsvc.wire.answer import record_field, run_field
from runsvc.wire.codec import RunCodec
from runsvc.wire.convert import to_message
from tests.unit.wire.test_convert import a_run, record_of, runs, struct

if TYPE_CHECKING:
    from runsvc.core.model import Run

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
def test_the_field_of_a_run_and_the_other_fields_form_the_answer(run: Run, kwargs: bytes) -> None:
    rest = pb.CreateResponse(replayed=True)
    encoded = run_field(*RunCodec().encode(run), kwargs) + rest.SerializeToString()
    expected = pb.CreateResponse(run=whole(run, kwargs), replayed=True)
    assert pb.CreateResponse.FromString(encoded) == expected


@pytest.mark.parametrize("size", [0, 100, 127, 128, 1_900, 2_100, 16_383, 16_384, 60_000, 1 << 20])
def test_a_run_may_be_of_any_size(size: int) -> None:
    kwargs = struct({"k": "x" * size})
    answered = pb.GetResponse.FromString(run_field(*RunCodec().encode(a_run()), kwargs))
    assert answered.run == whole(a_run(), kwargs)


@given(st.lists(runs, max_size=4))
def test_the_fields_of_records_and_the_token_form_a_page(page: list[Run]) -> None:
    rest = pb.ListByThreadResponse(next_page_token="t").SerializeToString()
    encoded = b"".join((*(record_field(record_of(run)) for run in page), rest))
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
    assert len(fields) == 14


@given(runs)
def test_the_field_of_a_record_has_kwargs_if_the_record_has_them(run: Run) -> None:
    kwargs = struct({"k": "v"})
    answered = pb.GetResponse.FromString(record_field(record_of(run, kwargs=kwargs)))
    assert answered.run == whole(run, kwargs)
    for absent in (b"", None):
        answered = pb.GetResponse.FromString(record_field(record_of(run, kwargs=absent)))
        assert answered.run == whole(run)
