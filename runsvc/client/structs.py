"""JSON objects in requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.struct_pb2 import Struct

from runsvc.client.error import InvalidArgument

JsonObject: TypeAlias = Mapping[str, Any] | Struct
"""A JSON object: a mapping of JSON values, or a Struct."""

#: Bytes that fit into a request beside its other fields. The server refuses less than that with a list of violations.
_LARGEST: Final = 3 << 20


def struct(value: JsonObject | None, name: str) -> Struct | None:
    """Return a JSON object as a Struct. Raise ValueError for what JSON lacks, InvalidArgument if it is too large."""
    if value is None:
        return None
    made = value if isinstance(value, Struct) else _converted(value, name)
    if (size := made.ByteSize()) > _LARGEST:
        raise InvalidArgument(
            grpc.StatusCode.INVALID_ARGUMENT,
            message=f"{name} has {size} bytes, which is too much for a request.",
        )
    return made


def _converted(value: Mapping[str, Any], name: str) -> Struct:
    made = Struct()
    try:
        made.update(value)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{name} is not a JSON object: {error}") from error
    return made
