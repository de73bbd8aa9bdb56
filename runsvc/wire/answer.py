"""Answers around runs that are encoded already: what a store carries goes out as it is, and is not taken apart again.

A message is its fields one after the other, so an answer is its run, or its runs, followed by the rest of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.fifo_cache import FifoCache
from runsvc.v1 import run_pb2, run_service_pb2
from runsvc.wire.convert import check_record

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runsvc.store.base import Record

#: Fields that are kept, with kwargs and without, and the bytes of the largest that is: 8 MiB in all, and as much of the
#: bodies they were made of.
KEPT: Final = 1_024
LARGEST: Final = 4 << 10

_DELIMITED: Final = 2


def _tag(message: type[Message], field: str) -> bytes:
    number = message.DESCRIPTOR.fields_by_name[field].number
    return _varint(number << 3 | _DELIMITED)


def _varint(value: int) -> bytes:
    septets = bytearray()
    while value > 0x7F:
        septets.append(value & 0x7F | 0x80)
        value >>= 7
    septets.append(value)
    return bytes(septets)


#: The same in every answer that has a run, and in a page of runs.
_RUN: Final = _tag(run_service_pb2.GetResponse, "run")
_KWARGS: Final = _tag(run_pb2.Run, "kwargs")


def run_field(body: bytes, activity: bytes, kwargs: bytes | None = None) -> bytes:
    """An encoded run, given in its two parts, as the first field of an answer; with kwargs if they are given."""
    length = len(body) + len(activity)
    if not kwargs:
        return b"".join((_RUN, _varint(length), body, activity))
    prefix = _KWARGS + _varint(len(kwargs))
    length += len(prefix) + len(kwargs)
    return b"".join((_RUN, _varint(length), body, activity, prefix, kwargs))


class _Made(NamedTuple):
    body: bytes
    activity: bytes
    kwargs: bytes | None
    field: bytes


class RunFields:
    """Records as fields of answers. That one is the run that it claims to be is looked at once, not at each answer.

    No second truth: what is kept is found by the very bytes that the store gave. Those of a run that was removed are
    given by no store any more, and go when others have come.
    """

    def __init__(self) -> None:
        #: By run_id; Get answers with kwargs, a page without.
        self._whole: FifoCache[str, _Made] = FifoCache(KEPT)
        self._bare: FifoCache[str, _Made] = FifoCache(KEPT)

    def of(self, record: Record) -> bytes:
        """The record as the first field of an answer, with kwargs when it has them. CorruptRow."""
        body, activity, kwargs = record.body, record.activity, record.kwargs or None
        kept = self._whole if kwargs else self._bare
        known = kept.get(record.run_id)
        if (
            known is not None
            and known.body is body
            and known.activity is activity
            and known.kwargs is kwargs
        ):
            return known.field
        check_record(record)
        field = run_field(body, activity, kwargs)
        if len(field) <= LARGEST:
            kept.keep(record.run_id, _Made(body, activity, kwargs, field))
        return field
