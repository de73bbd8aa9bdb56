"""Changes of a run's metadata: top-level keys to set and to remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.struct_pb2 import Struct

from runsvc.core.errors import InvalidRequest, Violation
from runsvc.wire import structs
from runsvc.wire.creation import METADATA_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.v1 import run_service_pb2
    from runsvc.wire.validation import Check

#: Characters of a key that a message shows.
_SHOWN: Final = 40


class MetadataChange:
    """A checked change. It has no side effects, so a decision may apply it more than once."""

    def __init__(self, new: Struct, removed: Sequence[str]) -> None:
        self._new = new
        self._removed = removed
        #: Bytes that the change adds to the metadata at most.
        self.size = new.ByteSize()

    def apply(self, metadata: bytes) -> bytes:
        """The metadata after the change; the same object if nothing changes. Raise InvalidRequest if too large."""
        before, after = Struct.FromString(metadata), Struct.FromString(metadata)
        for key in self._removed:
            after.fields.pop(key, None)
        for key in self._new.fields:
            # A message of a map is copied: merging would mix the old value with the new one.
            after.fields[key].CopyFrom(self._new.fields[key])
        if after == before:
            return metadata
        if (size := after.ByteSize()) > METADATA_BYTES:
            description = f"brings the metadata to {size} bytes; the limit is {METADATA_BYTES}"
            raise InvalidRequest((Violation("set", description),))
        return after.SerializeToString()


def metadata_change(check: Check, request: run_service_pb2.UpdateMetadataRequest) -> MetadataChange:
    """The keys to set and to remove."""
    structs.checked(check, "set", request.set, METADATA_BYTES)
    if not request.set.fields and not request.remove:
        check.fault("set", "is required, or else remove")
    for key in request.remove:
        if key in request.set.fields:
            check.fault("remove", f"has the key {key[:_SHOWN]!r}, which set has too")
            break
    return MetadataChange(request.set, tuple(request.remove))
