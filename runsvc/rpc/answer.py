"""Answers around runs that are encoded already: what a store carries goes out as it is, and is not taken apart again.

A message is its fields one after the other, so an answer is its run, or its runs, followed by the rest of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.rpc.convert import check_record
from runsvc.v1 import run_pb2, run_service_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runsvc.store.base import Record

#: Parts that are kept, and the bytes of the largest that is: 8 MiB in all, and as much of the bodies they are made of.
KEPT: Final = 2_048
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


def part(body: bytes, kwargs: bytes | None = None) -> bytes:
    """An encoded run as the first field of an answer, with kwargs when they are given."""
    if kwargs:
        body = b"".join((body, _KWARGS, _varint(len(kwargs)), kwargs))
    return b"".join((_RUN, _varint(len(body)), body))


class _Part(NamedTuple):
    body: bytes
    kwargs: bytes | None
    part: bytes


class Stored:
    """Records as parts of answers. That one is the run that it claims to be is looked at once, not at each answer."""

    def __init__(self) -> None:
        #: By run_id: what was looked at, and what became of it.
        self._parts: dict[str, _Part] = {}

    def part(self, record: Record) -> bytes:
        """The record as the first field of an answer, with kwargs when it has them. CorruptRow."""
        known = self._parts.get(record.run_id)
        if known is not None and known.body is record.body and known.kwargs is record.kwargs:
            return known.part
        check_record(record)
        made = _Part(record.body, record.kwargs, part(record.body, record.kwargs))
        self._parts.pop(record.run_id, None)
        if len(made.part) <= LARGEST:
            self._parts[record.run_id] = made
            if len(self._parts) > KEPT:
                del self._parts[next(iter(self._parts))]
        return made.part
