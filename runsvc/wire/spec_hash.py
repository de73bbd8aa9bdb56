"""The hash that distinguishes a retry from a reuse of a request_id: of the canonical spec, not of message bytes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.model import DEFAULT_PRIORITY, Handover

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.struct_pb2 import Struct, Value

    from runsvc.core.model import RunSpec

#: First byte of a hash. It changes with the canonical form, since stored hashes do not.
_VERSION: Final = b"\x01"
#: Most levels of nested objects and lists, the outermost included.
MAX_DEPTH: Final = 16
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)

Json = dict[str, "Json"] | list["Json"] | str | float | bool | None


class StructFault(ValueError):
    """A Struct is too deep, or holds a value that JSON cannot represent. The message names the fault."""


def plain(struct: Struct) -> dict[str, Json]:
    """A Struct as plain objects. Raise StructFault."""
    return _object(struct, MAX_DEPTH)


def spec_hash(spec: RunSpec, metadata: Mapping[str, Json], kwargs: Mapping[str, Json]) -> bytes:
    """The hash of a spec after defaults and trimming. metadata and kwargs are those of the spec, in plain form."""
    canonical: dict[str, Any] = {
        "thread_id": spec.thread_id,
        "assistant_id": spec.assistant_id,
        "on_disconnect": int(spec.on_disconnect),
        "multitask_strategy": int(spec.multitask_strategy),
        "model_name": spec.model_name,
        "worker_id": spec.worker_id,
        "metadata": metadata,
        "kwargs": kwargs,
    }
    # Fields added later are left out when absent, so that older stored hashes stay valid.
    for name in ("lease_ttl", "start_timeout", "timeout", "queue_timeout"):
        if (length := getattr(spec, name)) is not None:
            canonical[name] = length // _MICROSECOND
    canonical.update(_queue_fields(spec))
    return _VERSION + sha256(_CANONICAL.encode(canonical).encode()).digest()


def _queue_fields(spec: RunSpec) -> dict[str, Any]:
    """The fields of a queued or repeated run that differ from their defaults."""
    found: dict[str, Any] = {}
    if spec.handover is not Handover.IMMEDIATE:
        found["handover"] = int(spec.handover)
    if spec.not_before is not None:
        found["not_before"] = (spec.not_before - _EPOCH) // _MICROSECOND
    if spec.concurrency_key is not None:
        found["concurrency_key"] = spec.concurrency_key
    if spec.priority != DEFAULT_PRIORITY:
        found["priority"] = spec.priority
    if spec.retry is not None:
        backoff = spec.retry.backoff or timedelta(0)
        found["retry"] = [spec.retry.max_attempts, backoff // _MICROSECOND]
    return found


def _object(struct: Struct, depth: int) -> dict[str, Json]:
    if not depth:
        raise StructFault(f"is more than {MAX_DEPTH} levels deep")
    fields = struct.fields
    # Its items() takes twice the time.
    return {key: _value(fields[key], depth) for key in fields}


def _value(value: Value, depth: int) -> Json:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return _number(value.number_value)
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case "struct_value":
            return _object(value.struct_value, depth - 1)
        case "list_value":
            return _list(value, depth - 1)
    raise StructFault("has a value that is not set")


def _list(value: Value, depth: int) -> list[Json]:
    if not depth:
        raise StructFault(f"is more than {MAX_DEPTH} levels deep")
    return [_value(item, depth) for item in value.list_value.values]


def _number(number: float) -> float:
    if not isfinite(number):
        raise StructFault("holds a number that is not finite")
    # 0.0 and -0.0 are one value.
    return number + 0.0
