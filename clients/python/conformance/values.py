"""Conversions between messages and the suite's JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from runsvc.client import FailedPrecondition, InvalidArgument, NotFound, ThreadBusy, Unavailable
from runsvc.v1.run_pb2 import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message

    from runsvc.client import RunError

_M = TypeVar("_M", bound="Message")

#: Larger integers are strings.
_EXACT: Final = 2**53 - 1
_KINDS: Final = {
    NotFound: "not_found",
    ThreadBusy: "thread_busy",
    FailedPrecondition: "failed_precondition",
    InvalidArgument: "invalid_argument",
    Unavailable: "unavailable",
}


def message(kind: type[_M], values: Mapping[str, Any]) -> _M:
    """Return a message of the values that are its fields. Ignore the others."""
    made = kind()
    for name, value in values.items():
        field = kind.DESCRIPTOR.fields_by_name.get(name.removesuffix("_ms"))
        if field is not None:
            _set(made, field, value)
    return made


def _set(made: Message, field: Any, value: Any) -> None:
    if field.message_type is None:
        if field.is_repeated:
            getattr(made, field.name).extend(value)
        else:
            setattr(made, field.name, scalar(field, value))
        return
    inner = getattr(made, field.name)
    if _is_map(field):
        kind = field.message_type.fields_by_name["value"].message_type._concrete_class  # noqa: SLF001
        for key, each in value.items():
            inner[key].CopyFrom(message(kind, each))
        return
    inner.SetInParent()
    if isinstance(inner, Duration):
        inner.FromMilliseconds(int(value))
    elif isinstance(inner, Struct):
        json_format.ParseDict(value, inner)
    else:
        inner.CopyFrom(message(type(inner), value))


def scalar(field: Any, value: Any) -> Any:
    """Return a field's value: the number of an enum's name, or an integer from its digits."""
    if field.enum_type is not None:
        return number(field.enum_type, value)
    return (
        int(value) if field.cpp_type != field.CPPTYPE_STRING and isinstance(value, str) else value
    )


def number(enum: Any, value: Any) -> Any:
    """Return the number of an enum's name. A number is returned unchanged."""
    return (
        enum.values_by_name[_prefix(enum) + value.upper()].number
        if isinstance(value, str)
        else value
    )


def full_form(answer: Message) -> dict[str, Any]:
    """Return the form of an answer, with empty lists and false booleans."""
    written: dict[str, Any] = {}
    for field in answer.DESCRIPTOR.fields:
        if field.is_repeated:
            written[field.name] = []
        elif field.cpp_type == field.CPPTYPE_BOOL:
            written[field.name] = False
    return written | form(answer)


def form(source: Message) -> dict[str, Any]:
    """Return a message in the form of the transcript."""
    written: dict[str, Any] = {}
    for field, value in source.ListFields():
        if _is_map(field):
            written[field.name] = {key: form(value[key]) for key in value}
        elif field.is_repeated:
            written[field.name] = [_scalar_form(field, item) for item in value]
        elif field.message_type is not None:
            written |= _message_form(field.name, value)
        elif value != "" or isinstance(source, Progress):
            written[field.name] = _scalar_form(field, value)
    return written


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _message_form(name: str, value: Message) -> dict[str, Any]:
    if isinstance(value, Timestamp):
        return {"acknowledged": True} if name == "acknowledged_at" else {}
    if isinstance(value, Duration):
        return {f"{name}_ms": value.ToTimedelta() // timedelta(milliseconds=1)}
    inner = json_format.MessageToDict(value) if isinstance(value, Struct) else form(value)
    if name == "lease":
        return {"lease_ttl_ms": inner["ttl_ms"]}
    return {name: inner} if inner else {}


def _scalar_form(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return form(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name.removeprefix(_prefix(field.enum_type)).lower() if known else value
    is_long = isinstance(value, int) and abs(value) > _EXACT
    return str(value) if is_long else value


def error_form(error: RunError) -> dict[str, Any]:
    """Return the form of an error, without its message."""
    written = {
        "code": error.code.name,
        "reason": error.reason,
        "metadata": dict(error.metadata),
        "violations": [violation.field for violation in error.violations],
        "kind": _KINDS.get(type(error)),
        "retry_after_ms": None if error.retry_after is None else round(error.retry_after * 1_000),
    }
    return {name: value for name, value in written.items() if value or value == 0}


def _prefix(enum: Any) -> str:
    """Return the common prefix of an enum's value names."""
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")
