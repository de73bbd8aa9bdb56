"""Equal specs have equal hashes, whatever their encoding; different specs differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.model import DisconnectMode, MultitaskStrategy, RunSpec
from runsvc.wire.spec_hash import MAX_DEPTH, StructFault, plain, spec_hash

SPEC = RunSpec(thread_id="t-1")

texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(texts, values, max_size=4)


def struct(value: dict[str, Any]) -> Struct:
    message = Struct()
    message.update(value)
    return message


def nested(levels: int) -> Struct:
    value = Value(null_value=0)  # type: ignore[arg-type]
    for _ in range(levels - 1):
        value = Value(list_value=ListValue(values=[value]))
    return Struct(fields={"a": value})


@given(objects)
def test_a_struct_becomes_plain_objects(value: dict[str, Any]) -> None:
    assert plain(struct(value)) == value


@given(objects)
def test_the_order_of_the_bytes_does_not_matter(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert spec_hash(SPEC, plain(struct(value)), {}) == spec_hash(SPEC, plain(struct(turned)), {})


@given(objects, objects)
def test_different_values_have_different_hashes(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = spec_hash(SPEC, plain(struct(one)), {}) == spec_hash(SPEC, plain(struct(other)), {})
    assert same == (kinds(one) == kinds(other))


def kinds(value: Any) -> Any:
    """A form in which 1 and True differ."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    if isinstance(value, list):
        return [kinds(item) for item in value]
    return type(value), value


@pytest.mark.parametrize(
    "changes",
    [
        {"thread_id": "t-2"},
        {"assistant_id": "a"},
        {"on_disconnect": DisconnectMode.CONTINUE},
        {"multitask_strategy": MultitaskStrategy.INTERRUPT},
        {"model_name": "m"},
        {"worker_id": "w"},
        {"lease_ttl": timedelta(microseconds=1)},
        {"start_timeout": timedelta(microseconds=1)},
        {"timeout": timedelta(microseconds=1)},
    ],
)
def test_every_field_changes_the_hash(changes: dict[str, Any]) -> None:
    assert spec_hash(replace(SPEC, **changes), {}, {}) != spec_hash(SPEC, {}, {})


def test_durations_of_different_fields_are_distinguished() -> None:
    length = timedelta(seconds=9)
    specs = (
        replace(SPEC, lease_ttl=length),
        replace(SPEC, start_timeout=length),
        replace(SPEC, timeout=length),
    )
    assert len({spec_hash(spec, {}, {}) for spec in specs}) == 3


def test_metadata_and_kwargs_are_distinguished() -> None:
    assert spec_hash(SPEC, {"a": 1.0}, {}) != spec_hash(SPEC, {}, {"a": 1.0})


def test_absent_metadata_equals_empty_metadata() -> None:
    assert plain(Struct()) == {}


def test_positive_and_negative_zero_are_equal() -> None:
    assert spec_hash(SPEC, plain(struct({"a": -0.0})), {}) == spec_hash(SPEC, {"a": 0.0}, {})


def test_a_hash_is_versioned_and_stable() -> None:
    # Stored beside runs: when this fails, the version must change.
    digest = spec_hash(SPEC, {"b": [None, True, "é"], "a": 1.0}, {})
    assert digest.hex() == "01c97281c8594f178b5a9cea0b16e627a8bc3ec98da4dcbbbc443de03cd7579b36"
    leased = replace(
        SPEC, worker_id="w", lease_ttl=timedelta(seconds=1), timeout=timedelta(days=30)
    )
    assert (
        spec_hash(leased, {}, {}).hex()
        == "01b35af3ecda80540284ddd06315caa0de89046129006b34c65dc0a610556103c0"
    )


def test_the_depth_is_limited() -> None:
    plain(nested(MAX_DEPTH))
    with pytest.raises(StructFault, match="levels deep"):
        plain(nested(MAX_DEPTH + 1))


def test_a_very_deep_struct_is_refused() -> None:
    with pytest.raises(StructFault, match="levels deep"):
        plain(nested(45))


def test_objects_count_as_levels_too() -> None:
    value: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        value = {"a": value}
    with pytest.raises(StructFault, match="levels deep"):
        plain(struct(value))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_must_be_finite(number: float) -> None:
    with pytest.raises(StructFault, match="not finite"):
        plain(struct({"a": [number]}))


def test_a_value_must_be_set() -> None:
    with pytest.raises(StructFault, match="not set"):
        plain(Struct(fields={"a": Value()}))
