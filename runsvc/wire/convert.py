"""Runs and events as protobuf messages and back: the one translation between the wire and the domain.

Runs that are already encoded go into answers unchanged, in answer.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from runsvc.core.errors import CorruptRow
from runsvc.core.model import (
    DEFAULT_PRIORITY,
    CancelAction,
    Cancellation,
    DisconnectMode,
    Handover,
    Lease,
    MultitaskStrategy,
    Retry,
    Run,
    RunStatus,
    StatusReason,
)
from runsvc.store.values import LogEntry, Record
from runsvc.v1 import run_pb2, run_service_pb2
from runsvc.wire import usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from runsvc.watch.event import Event

#: Bytes of whole runs in one answer. Clients accept 4 MiB by default.
RUNS_BYTES: Final = 1 << 20

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# A lookup costs a third of an enum's constructor. An unknown number raises KeyError.
_STATUSES: Final = {int(member): member for member in RunStatus}
_REASONS: Final = {int(member): member for member in StatusReason}
_ACTIONS: Final = {int(member): member for member in CancelAction}
_HANDOVERS: Final = {int(member): member for member in Handover}
_MODES: Final = {int(member): member for member in DisconnectMode}
_STRATEGIES: Final = {int(member): member for member in MultitaskStrategy}


def to_message(run: Run) -> run_pb2.Run:
    """The message of a run, without kwargs and result."""
    message = body_message(run)
    _set_activity(message, run)
    return message


def activity_message(run: Run) -> run_pb2.Run:
    """The part of the message that changes without a new revision: lease, progress and updated_at."""
    message = run_pb2.Run()
    _set_activity(message, run)
    return message


def body_message(run: Run) -> run_pb2.Run:
    """The message of a run without its activity, kwargs and result."""
    # The stubs type enum fields by generated types; the domain's enums are numbers too.
    message: Any = run_pb2.Run()
    message.run_id = run.run_id
    message.thread_id = run.thread_id
    message.status = run.status
    message.status_reason = run.status_reason
    message.revision = run.revision
    message.on_disconnect = run.on_disconnect
    message.multitask_strategy = run.multitask_strategy
    message.owner = run.owner
    message.priority = run.priority
    message.handover = run.handover
    if run.attempt:
        message.attempt = run.attempt
        message.fencing_token = run.fencing_token
    _set_times(message, run)
    _set_optional_texts(message, run)
    _set_parts(message, run)
    if run.metadata:
        message.metadata.MergeFromString(run.metadata)
    return message  # type: ignore[no-any-return]


def from_entry(entry: LogEntry) -> run_pb2.Run:
    """The message of a run as of a change. Only ids, status and revision once the run was removed."""
    message = run_pb2.Run()
    if entry.body is None:
        _set_bare(message, entry)
    else:
        merge_stored(message, entry, entry.body)
    return message


def to_response(event: Event) -> run_service_pb2.StreamStatusResponse:
    """The message of a watch's event."""
    response: Any = run_service_pb2.StreamStatusResponse()
    response.event = event.event
    response.revision = event.revision
    response.more = event.more
    response.store_id = event.store_id
    subject = event.subject
    if isinstance(subject, Record):
        merge_stored(response.run, subject, subject.body, subject.activity)
    elif subject is not None:
        _set_change(response, subject)
    return response  # type: ignore[no-any-return]


def fitting(runs: Iterable[run_pb2.Run]) -> list[run_pb2.Run]:
    """The runs of one answer. Runs that do not fit lose their large fields, in place."""
    room = RUNS_BYTES
    answer = []
    for run in runs:
        if run.ByteSize() > room:
            for name in ("metadata", "progress", "model_name", "error"):
                run.ClearField(name)
        room -= run.ByteSize()
        answer.append(run)
    return answer


def to_datetime(stamp: Timestamp) -> datetime:
    """The time of a timestamp, to the microsecond. Raise OverflowError beyond the years 1 to 9999."""
    return _EPOCH + timedelta(0, stamp.seconds, stamp.nanos // 1000)


def to_timedelta(duration: Duration) -> timedelta:
    """The length of a duration, to the microsecond. Raise OverflowError beyond what a timedelta holds."""
    return timedelta(0, duration.seconds, duration.nanos // 1000)


def _set_times(message: run_pb2.Run, run: Run) -> None:
    _set_timestamp(message.created_at, run.created_at)
    if run.started_at is not None:
        _set_timestamp(message.started_at, run.started_at)
    if run.ended_at is not None:
        _set_timestamp(message.ended_at, run.ended_at)
    if run.pending_at is run.created_at:
        # Most runs do not wait. A copy takes half the time.
        message.pending_at.CopyFrom(message.created_at)
    elif run.pending_at is not None:
        _set_timestamp(message.pending_at, run.pending_at)
    if run.not_before is not None:
        _set_timestamp(message.not_before, run.not_before)


def _set_optional_texts(message: run_pb2.Run, run: Run) -> None:
    if run.assistant_id is not None:
        message.assistant_id = run.assistant_id
    if run.model_name is not None:
        message.model_name = run.model_name
    if run.error is not None:
        message.error = run.error
    if run.stop_reason is not None:
        message.stop_reason = run.stop_reason
    if run.worker_id is not None:
        message.worker_id = run.worker_id
    if run.superseded_by is not None:
        message.superseded_by = run.superseded_by
    if run.concurrency_key is not None:
        message.concurrency_key = run.concurrency_key


def _set_parts(message: run_pb2.Run, run: Run) -> None:
    if run.cancellation is not None:
        _set_cancellation(message.cancellation, run.cancellation)
    if run.start_timeout is not None:
        _set_duration(message.start_timeout, run.start_timeout)
    if run.timeout is not None:
        _set_duration(message.timeout, run.timeout)
    if run.queue_timeout is not None:
        _set_duration(message.queue_timeout, run.queue_timeout)
    if run.retry is not None:
        _set_retry(message.retry, run.retry)


def _set_activity(message: run_pb2.Run, run: Run) -> None:
    _set_timestamp(message.updated_at, run.updated_at)
    if run.progress is not None:
        usage.write_progress(message.progress, run.progress)
    if run.lease is not None:
        _set_duration(message.lease.ttl, run.lease.ttl)
        _set_timestamp(message.lease.expires_at, run.lease.expires_at)


def _set_retry(message: run_pb2.Retry, retry: Retry) -> None:
    message.max_attempts = retry.max_attempts
    message.released = retry.released
    if retry.backoff is not None:
        _set_duration(message.backoff, retry.backoff)


def _set_cancellation(message: Any, cancellation: Cancellation) -> None:
    message.action = cancellation.action
    if cancellation.note is not None:
        message.note = cancellation.note
    message.requested_by = cancellation.requested_by
    _set_timestamp(message.requested_at, cancellation.requested_at)
    if cancellation.acknowledged_at is not None:
        _set_timestamp(message.acknowledged_at, cancellation.acknowledged_at)
    if cancellation.presumed_stopped_at is not None:
        _set_timestamp(message.presumed_stopped_at, cancellation.presumed_stopped_at)


def _set_timestamp(message: Timestamp, time: datetime) -> None:
    _set_duration(message, time - _EPOCH)


def _set_duration(message: Timestamp | Duration, length: timedelta) -> None:
    # Set even when zero, so that the message is present.
    message.seconds = length.days * 86_400 + length.seconds
    message.nanos = length.microseconds * 1_000


def _set_bare(message: Any, entry: LogEntry) -> None:
    message.run_id = entry.run_id
    message.owner = entry.owner
    message.thread_id = entry.thread_id
    message.status = entry.status
    message.revision = entry.revision
    if entry.assistant_id is not None:
        message.assistant_id = entry.assistant_id


def _set_change(response: Any, entry: LogEntry) -> None:
    if entry.previous_status is not None and not entry.deleted:
        response.previous_status = entry.previous_status
    if entry.body is None:
        _set_bare(response.run, entry)
    else:
        merge_stored(response.run, entry, entry.body)


def merge_stored(message: Any, subject: Record | LogEntry, *parts: bytes) -> None:
    """Parse the parts of a stored run into a message. Raise CorruptRow if they do not match the columns."""
    for part in parts:
        merge(message, part, subject.run_id)
    if (
        message.revision != subject.revision
        or message.run_id != subject.run_id
        or message.status != subject.status
    ):
        raise CorruptRow(subject.run_id)


def merge(message: Any, encoded: bytes, run_id: str) -> None:
    """Parse bytes into a message. Raise CorruptRow."""
    try:
        message.MergeFromString(encoded)
    except DecodeError as error:
        raise CorruptRow(run_id) from error


def to_run(
    message: run_pb2.Run,
    progress_sequence: int | None,
    turn: int | None = None,
    claim_id: str | None = None,
) -> Run:
    """The run of a message. Raise KeyError, ValueError or OverflowError if a field is missing or invalid."""
    has = message.HasField
    if not (has("created_at") and has("updated_at")):
        raise ValueError("a run without its times")
    return Run(
        run_id=message.run_id,
        owner=message.owner,
        thread_id=message.thread_id,
        status=_STATUSES[message.status],
        revision=message.revision,
        created_at=to_datetime(message.created_at),
        updated_at=to_datetime(message.updated_at),
        on_disconnect=_MODES[message.on_disconnect],
        multitask_strategy=_STRATEGIES[message.multitask_strategy],
        status_reason=_REASONS[message.status_reason],
        # An empty text is never stored, so it can represent an absent one.
        assistant_id=message.assistant_id or None,
        model_name=message.model_name or None,
        error=message.error or None,
        stop_reason=message.stop_reason or None,
        cancellation=_to_cancellation(message.cancellation) if has("cancellation") else None,
        metadata=message.metadata.SerializeToString() if has("metadata") else b"",
        progress=usage.read_progress(message.progress) if has("progress") else None,
        progress_sequence=progress_sequence,
        worker_id=message.worker_id or None,
        lease=_to_lease(message.lease) if has("lease") else None,
        start_timeout=to_timedelta(message.start_timeout) if has("start_timeout") else None,
        timeout=to_timedelta(message.timeout) if has("timeout") else None,
        superseded_by=message.superseded_by or None,
        started_at=to_datetime(message.started_at) if has("started_at") else None,
        ended_at=to_datetime(message.ended_at) if has("ended_at") else None,
        # Runs of an earlier release have none of the following.
        priority=message.priority or DEFAULT_PRIORITY,
        retry=_to_retry(message.retry) if has("retry") else None,
        attempt=message.attempt,
        fencing_token=message.fencing_token,
        not_before=to_datetime(message.not_before) if has("not_before") else None,
        concurrency_key=message.concurrency_key or None,
        handover=_HANDOVERS[message.handover] if message.handover else Handover.IMMEDIATE,
        pending_at=to_datetime(message.pending_at) if has("pending_at") else None,
        queue_timeout=to_timedelta(message.queue_timeout) if has("queue_timeout") else None,
        turn=turn,
        claim_id=claim_id,
    )


def _to_retry(message: run_pb2.Retry) -> Retry:
    backoff = to_timedelta(message.backoff) if message.HasField("backoff") else None
    return Retry(message.max_attempts, backoff, message.released)


def _to_cancellation(message: run_pb2.Cancellation) -> Cancellation:
    if not message.HasField("requested_at"):
        raise ValueError("a cancellation without its time")
    return Cancellation(
        _ACTIONS[message.action],
        message.note or None,
        to_datetime(message.requested_at),
        to_datetime(message.acknowledged_at) if message.HasField("acknowledged_at") else None,
        requested_by=message.requested_by,
        presumed_stopped_at=to_datetime(message.presumed_stopped_at)
        if message.HasField("presumed_stopped_at")
        else None,
    )


def _to_lease(message: run_pb2.Lease) -> Lease:
    if not (message.HasField("ttl") and message.HasField("expires_at")):
        raise ValueError("a lease without its times")
    return Lease(to_timedelta(message.ttl), to_datetime(message.expires_at))
