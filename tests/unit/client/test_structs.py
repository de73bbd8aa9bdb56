"""JSON objects in requests."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from runsvc.client import InvalidArgument
from runsvc.client.structs import struct


def test_a_mapping_becomes_a_struct() -> None:
    made: Any = struct({"a": [1, None, {"b": True}]}, "result")
    assert dict(made["a"][2]) == {"b": True}
    assert struct(made, "result") is made
    assert struct({}, "result") == Struct()
    assert struct(None, "result") is None


@pytest.mark.parametrize("value", [{"a": object()}, {1: 2}, ["a"], "text", {"a": {1, 2}}])
def test_a_value_that_json_lacks_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ValueError, match="result is not a JSON object"):
        struct(value, "result")


def test_an_object_that_no_request_can_carry_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgument, match="result has"):
        struct({"a": "x" * (4 << 20)}, "result")
