"""Checks of Structs: their size, their depth, and values that JSON cannot represent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.wire.spec_hash import StructFault, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.struct_pb2 import Struct

    from runsvc.wire.fields import Fields
    from runsvc.wire.spec_hash import Json


def checked(check: Fields, field: str, struct: Struct, limit: int) -> Mapping[str, Json]:
    """The plain form of a Struct of at most `limit` bytes; empty after a fault.

    The duration grows with the size. Call it on a thread for more than 64 KiB.
    """
    if not check.size(field, struct.ByteSize(), limit):
        return {}
    try:
        return plain(struct)
    except StructFault as fault:
        check.fault(field, str(fault))
        return {}
