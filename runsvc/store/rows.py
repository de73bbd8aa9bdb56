"""Conversion of runs and log entries to rows and back: the one place that maps values to columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from runsvc.core import stopping, terms
from runsvc.core.errors import CorruptRow
from runsvc.core.model import ACTIVE, RunStatus
from runsvc.core.queue import Gated, Waiting, gated, wakes_at
from runsvc.store.values import LogEntry, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.core.model import Run
    from runsvc.store.values import Encoded, Saved

Row = tuple[Any, ...]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STATUSES: Final = {int(status): status for status in RunStatus}

#: Columns of `runs` that change with a run, in the order of `changing_values`: those that change most often come first.
CHANGING: Final = (
    "status",
    "revision",
    "started_at",
    "ended_at",
    "timeout_at",
    "body",
    "turn",
    "claim_id",
    "superseded_by",
    "claimant",
    "wakes_at",
    "stopping_since",
)
_TURN: Final = CHANGING.index("turn")
_CLAIM_ID: Final = CHANGING.index("claim_id")
#: Columns of `activity`, in the order of `activity_values`.
ACTIVITY: Final = ("lease_expires_at", "lease_ttl", "progress_sequence", "body", "run_id")
#: Columns of `runs` that are set once, in the order of `constant_values`.
CONSTANT: Final = (
    "run_id",
    "owner",
    "thread_id",
    "assistant_id",
    "created_at",
    "request_method",
    "request_id",
    "spec_hash",
    "kwargs",
    "priority",
    "gates",
    "concurrency_key",
)
#: Columns of a record, in the order of its fields. Those of INPUT_AND_RESULT may follow.
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
    "turn",
    "claim_id",
    "runs.body",
    "activity.body",
)
#: Large columns of a record, which most reads leave out.
INPUT_AND_RESULT: Final = ("kwargs", "result")
#: Columns of a queued run, in the order of `to_waiting`.
WAITING: Final = (
    "run_id",
    "owner",
    "thread_id",
    "created_at",
    "gates",
    "wakes_at",
    "concurrency_key",
)
#: Bits of the column `gates`.
_IN_THREAD_ORDER: Final = 1
_AFTER_STOP: Final = 2
#: Columns of a log entry, in the order of its fields.
LOG: Final = LogEntry._fields

_NONE: Final = (None, None)


def microseconds(time: datetime) -> int:
    """A time as stored in a column."""
    return (time - _EPOCH) // _MICROSECOND


def duration_value(duration: timedelta) -> int:
    """A duration as stored in a column, in microseconds. One too long for a column becomes the longest."""
    return min(duration // _MICROSECOND, 2**63 - 1)


def from_microseconds(value: int) -> datetime:
    """The time that is stored in a column."""
    return _EPOCH + timedelta(microseconds=value)


def changing_values(saved: Saved) -> Row:
    """The values of CHANGING."""
    run = saved.run
    return (
        int(run.status),
        run.revision,
        _optional(run.started_at),
        _optional(run.ended_at),
        _timeout_at(run),
        saved.encoded.body,
        run.turn,
        run.claim_id,
        run.superseded_by,
        run.worker_id if run.status is RunStatus.PENDING else None,
        None if run.not_before is None else _optional(wakes_at(run)),
        None if run.cancellation is None else _optional(stopping.stopping_since(run)),
    )


def changed_columns(saved: Saved) -> int:
    """The number of CHANGING columns to write, from the first on; the others keep their values.

    Each column that is written costs a change of its indexes, even if its value stays.
    """
    run, stored = saved.run, saved.stored
    if stored is None or not (_has_common_columns_only(run) and _has_common_columns_only(stored)):
        return len(CHANGING)
    if run.claim_id != stored.claim_id:
        return _CLAIM_ID + 1
    return _TURN if run.turn == stored.turn else _TURN + 1


def activity_values(saved: Saved) -> Row:
    """The values of ACTIVITY."""
    run = saved.run
    lease = run.lease if run.status in ACTIVE or stopping.is_stopping(run) else None
    return (
        microseconds(lease.expires_at) if lease else None,
        duration_value(lease.ttl) if lease else None,
        run.progress_sequence,
        saved.encoded.activity,
        run.run_id,
    )


def constant_values(saved: Saved) -> Row:
    """The values of CONSTANT."""
    run, creation = saved.run, saved.creation
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
        run.priority,
        _gates(run),
        run.concurrency_key,
    )


def record_of(run: Run, encoded: Encoded, spec_hash: bytes | None) -> Record:
    """The record of a run that is being saved, without kwargs and result."""
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
        turn=run.turn,
        claim_id=run.claim_id,
    )


def to_record(row: Sequence[Any]) -> Record:
    """The record in a row of RECORD, perhaps with INPUT_AND_RESULT. Raise CorruptRow for an invalid column."""
    try:
        status, time = _STATUSES[row[4]], from_microseconds(row[5])
    except (KeyError, OverflowError) as error:
        raise CorruptRow(row[0]) from error
    large = row[len(RECORD) :] or _NONE
    own = (row[11], row[12], *large, *row[9:11])
    return Record._make((*row[:4], status, time, *row[6:9], *own))


def to_waiting(row: Sequence[Any]) -> Waiting:
    """The queued run in a row of WAITING."""
    run_id, owner, thread_id, created_at, gates, not_before, key = row
    facts = Gated(
        bool((gates or 0) & _IN_THREAD_ORDER),
        bool((gates or 0) & _AFTER_STOP),
        None if not_before is None else from_microseconds(not_before),
        key,
    )
    return Waiting(run_id, owner, thread_id, from_microseconds(created_at), facts)


def to_raw_record(row: Sequence[Any]) -> Record:
    """The record in a row of RECORD. A corrupt row yields enough to remove the run: ids, revision and spec_hash."""
    try:
        return to_record(row)
    except CorruptRow:
        return to_record((*row[:4], int(RunStatus.ERROR), 0, *row[6:-2], b"", b""))


def from_entry(entry: LogEntry, time: int) -> Row:
    """The row of a new log entry: the values of LOG, and the time of the commit in microseconds."""
    previous = entry.previous_status
    return (
        *entry[:6],
        # sqlite3 takes several times as long for an enum or a bool as for its number.
        int(entry.status),
        None if previous is None else int(previous),
        int(entry.deleted),
        entry.body,
        time,
    )


def to_entry(row: Sequence[Any]) -> LogEntry:
    """The entry in a row of LOG. Raise CorruptRow if a column has no valid value."""
    try:
        status, previous = _STATUSES[row[6]], row[7] and _STATUSES[row[7]]
    except KeyError as error:
        raise CorruptRow(row[2]) from error
    return LogEntry._make((*row[:6], status, previous, bool(row[8]), row[9]))


def _optional(time: datetime | None) -> int | None:
    return None if time is None else microseconds(time)


def _has_common_columns_only(run: Run) -> bool:
    """True if the CHANGING columns after claim_id are all NULL."""
    return (
        run.cancellation is None
        and run.superseded_by is None
        and run.not_before is None
        and (run.worker_id is None or run.status is not RunStatus.PENDING)
    )


def _gates(run: Run) -> int | None:
    facts = gated(run)
    if facts is None:
        return None
    return _IN_THREAD_ORDER * facts.in_thread_order + _AFTER_STOP * facts.after_stop


def _timeout_at(run: Run) -> int | None:
    limit = terms.limit_of(run)
    return microseconds(limit.since + limit.length) if limit else None
