"""Answers that embed encoded runs as the store returns them, without decoding.

A message is the concatenation of its fields, so an answer is its run, or its runs, followed by its other fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runsvc.v1 import run_pb2, run_service_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runsvc.core.queue import Queue
    from runsvc.store.values import Record

_DELIMITED: Final = 2


def _varint(value: int) -> bytes:
    return _SMALL[value] if value < len(_SMALL) else _encode_varint(value)


def _encode_varint(value: int) -> bytes:
    septets = bytearray()
    while value > 0x7F:
        septets.append(value & 0x7F | 0x80)
        value >>= 7
    septets.append(value)
    return bytes(septets)


#: Precomputed varints of the most common lengths, because the loop is slow.
_SMALL: Final = tuple(map(_encode_varint, range(2_048)))


def _tag(message: type[Message], field: str) -> bytes:
    number = message.DESCRIPTOR.fields_by_name[field].number
    return _varint(number << 3 | _DELIMITED)


#: The tag is the same in every answer with a run, and in a page of runs.
_RUN: Final = _tag(run_service_pb2.GetResponse, "run")
_KWARGS: Final = _tag(run_pb2.Run, "kwargs")
_RESULT: Final = _tag(run_pb2.Run, "result")


def run_field(body: bytes, activity: bytes, kwargs: bytes | None = None) -> bytes:
    """An encoded run, given in its two parts, as the first field of an answer; with kwargs if they are given."""
    length = len(body) + len(activity)
    if not kwargs:
        return b"".join((_RUN, _varint(length), body, activity))
    size = _varint(len(kwargs))
    length += len(_KWARGS) + len(size) + len(kwargs)
    return b"".join((_RUN, _varint(length), body, activity, _KWARGS, size, kwargs))


def with_result(activity: bytes, result: bytes | None) -> bytes:
    """The activity of a run, followed by its result if it has one. An empty result is one."""
    if result is None:
        return activity
    return b"".join((activity, _RESULT, _varint(len(result)), result))


def record_field(record: Record, queue: Queue | None = None) -> bytes:
    """A record as the first field of an answer, with kwargs and result if it has them, and with what it waits for."""
    activity = with_result(record.activity, record.result)
    if queue is not None:
        activity += run_pb2.Run(queue=_queue_message(queue)).SerializeToString()
    return run_field(record.body, activity, record.kwargs)


def _queue_message(queue: Queue) -> run_pb2.Queue:
    message: Any = run_pb2.Queue(position=queue.position)
    message.gate = queue.gate
    if queue.blocked_by is not None:
        message.blocked_by_run_id = queue.blocked_by
    return message  # type: ignore[no-any-return]
