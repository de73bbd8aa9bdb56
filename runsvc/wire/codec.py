"""Encoding and decoding of stored runs, in the two parts that a store keeps: body and activity."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from runsvc.core.errors import CorruptRow
from runsvc.core.model import Run
from runsvc.store.values import COLUMNS, Encoded, Record
from runsvc.v1 import run_pb2
from runsvc.wire.convert import activity_message, body_message, merge, merge_stored, to_run

if TYPE_CHECKING:
    from runsvc.store.values import LogEntry

#: The fields that `activity` holds.
_ACTIVITY: Final = ("updated_at", "progress", "lease")
#: Reads every field that `body` holds.
_in_body: Final = attrgetter(
    *(field.name for field in fields(Run) if field.name not in (*_ACTIVITY, *COLUMNS))
)


class RunCodec:
    """Encodes runs for a store, and decodes them."""

    def encode(self, run: Run, before: Run | None = None) -> Encoded:
        """Encode a run without kwargs, result and the fields that have columns of their own.

        A run is encoded once. If only its activity differs from `before`, the body of `before` is reused.
        """
        encoded: Encoded | None = getattr(run, "encoded", None)
        if encoded is None:
            if (
                before is not None
                and run.revision == before.revision
                and _in_body(run) == _in_body(before)
            ):
                body = self.encode(before).body
            else:
                body = body_message(run).SerializeToString()
            encoded = Encoded(body, activity_message(run).SerializeToString(deterministic=True))
            object.__setattr__(run, "encoded", encoded)
        return encoded

    def split(self, encoded: bytes) -> Encoded:
        """Split a whole encoded run. Bytes that cannot be parsed become the body, with an empty activity."""
        try:
            body = run_pb2.Run.FromString(encoded)
        except DecodeError:
            return Encoded(encoded, b"")
        activity = run_pb2.Run()
        for name in _ACTIVITY:
            if body.HasField(name):
                getattr(activity, name).CopyFrom(getattr(body, name))
            body.ClearField(name)
        return Encoded(body.SerializeToString(), activity.SerializeToString(deterministic=True))

    def decode(self, subject: Record | LogEntry) -> Run:
        """Decode the run of a record, or of a log entry that has a body.

        Raise CorruptRow if the bytes cannot be decoded, or do not match the columns.
        """
        columns: tuple[int | None, int | None, str | None] = (None, None, None)
        try:
            message = run_pb2.Run.FromString(subject.body or b"")
            if isinstance(subject, Record):
                message.MergeFromString(subject.activity)
                columns = subject.progress_sequence, subject.turn, subject.claim_id
            run = to_run(message, *columns)
        except (DecodeError, KeyError, ValueError, OverflowError) as error:
            raise CorruptRow(subject.run_id) from error
        if (
            run.revision != subject.revision
            or run.run_id != subject.run_id
            or run.status is not subject.status
            or run.thread_id != subject.thread_id
            or run.owner != subject.owner
        ):
            raise CorruptRow(subject.run_id)
        if isinstance(subject, Record):
            object.__setattr__(run, "encoded", Encoded(subject.body, subject.activity))
        return run

    def check(self, record: Record) -> None:
        """Raise CorruptRow if the run, its kwargs or its result cannot be parsed, or do not match the columns.

        Costs about a tenth of `decode`.
        """
        merge_stored(run_pb2.Run(), record, record.body, record.activity)
        if record.kwargs:
            merge(Struct(), record.kwargs, record.run_id)
        if record.result:
            merge(Struct(), record.result, record.run_id)
