"""Runs and log entries as rows and back: the one place that knows which value goes into which column."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow
from runsvc.core.model import ACTIVE, RunStatus
from runsvc.store.base import LogEntry, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.core.model import Run
    from runsvc.store.base import Encoded, Saved

Row = tuple[Any, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STATUSES: Final = {int(status): status for status in RunStatus}

#: Columns of `runs` that change with a run, in the order of `changing`.
CHANGING: Final = (
    "status",
    "revision",
    "started_at",
    "ended_at",
    "timeout_at",
    "superseded_by",
    "body",
)
#: Columns of `activity`, in the order of `activity`.
ACTIVITY: Final = ("lease_expires_at", "lease_ttl", "progress_sequence", "body", "run_id")
#: Columns that are set once, in the order of `lasting`.
LASTING: Final = (
    "run_id",
    "owner",
    "thread_id",
    "assistant_id",
    "created_at",
    "request_method",
    "request_id",
    "spec_hash",
    "kwargs",
)
#: Columns of a record, in the order of `to_record`; kwargs may follow.
RECORD: Final = (
    "run_id",
    "owner",
    "thread_id",
    "assistant_id",
    "status",
    "created_at",
    "revision",
    "progress_sequence",
    "spec_hash",
    "runs.body",
    "activity.body",
)
#: Columns of a log entry, in the order of `from_entry` and `to_entry`.
LOG: Final = LogEntry._fields


def microseconds(time: datetime) -> int:
    """A time as a column holds it."""
    return (time - _EPOCH) // _MICROSECOND


def length(duration: timedelta) -> int:
    """A duration as a column holds it, or at least as one that no column exceeds."""
    return min(duration // _MICROSECOND, 2**63 - 1)


def from_microseconds(value: int) -> datetime:
    """The time that a column holds."""
    return _EPOCH + timedelta(microseconds=value)


def changing(saved: Saved) -> Row:
    """The values of CHANGING."""
    run = saved.run
    return (
        int(run.status),
        run.revision,
        _optional(run.started_at),
        _optional(run.ended_at),
        _timeout_at(run),
        run.superseded_by,
        saved.encoded.body,
    )


def activity(saved: Saved) -> Row:
    """The values of ACTIVITY."""
    run = saved.run
    lease = run.lease if run.status in ACTIVE else None
    return (
        microseconds(lease.expires_at) if lease else None,
        length(lease.ttl) if lease else None,
        run.progress_sequence,
        saved.encoded.activity,
        run.run_id,
    )


def lasting(saved: Saved) -> Row:
    """What only the insertion of a run writes."""
    run, _, creation, _ = saved
    request = creation.request if creation else None
    return (
        run.run_id,
        run.owner,
        run.thread_id,
        run.assistant_id,
        microseconds(run.created_at),
        request.key.method if request else None,
        request.key.request_id if request else None,
        request.spec_hash if request else None,
        creation.kwargs if creation else b"",
    )


def record_of(run: Run, encoded: Encoded, spec_hash: bytes | None) -> Record:
    """The record of a run that was just written, without kwargs."""
    return Record(
        run_id=run.run_id,
        owner=run.owner,
        thread_id=run.thread_id,
        assistant_id=run.assistant_id,
        status=run.status,
        created_at=run.created_at,
        revision=run.revision,
        progress_sequence=run.progress_sequence,
        spec_hash=spec_hash,
        body=encoded.body,
        activity=encoded.activity,
    )


def to_record(row: Sequence[Any]) -> Record:
    """The record in a row of RECORD, with or without kwargs behind it. CorruptRow."""
    kwargs = row[len(RECORD)] if len(row) > len(RECORD) else None
    try:
        status, time = _STATUSES[row[4]], from_microseconds(row[5])
    except (KeyError, OverflowError) as error:
        raise CorruptRow(row[0]) from error
    return Record._make((*row[:4], status, time, *row[6 : len(RECORD)], kwargs))


def to_raw_record(row: Sequence[Any]) -> Record:
    """The record in a row of RECORD, or, of one that is corrupt, as much as it takes to remove it or to tell of it."""
    try:
        return to_record(row)
    except CorruptRow:
        return to_record((*row[:4], int(RunStatus.ERROR), 0, *row[6:-2], b"", b""))


def from_entry(entry: LogEntry, time: datetime) -> Row:
    """What the log writes: a row of LOG, and when it was committed."""
    return (*entry, microseconds(time))


def to_entry(row: Sequence[Any]) -> LogEntry:
    """The entry in a row of LOG. CorruptRow."""
    try:
        status, previous = _STATUSES[row[6]], row[7] and _STATUSES[row[7]]
    except KeyError as error:
        raise CorruptRow(row[2]) from error
    return LogEntry._make((*row[:6], status, previous, bool(row[8]), row[9]))


def _optional(time: datetime | None) -> int | None:
    return None if time is None else microseconds(time)


def _timeout_at(run: Run) -> int | None:
    limit = lifecycle.limit_of(run)
    return microseconds(limit.since + limit.length) if limit else None
