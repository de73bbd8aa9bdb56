"""Validation of StreamStatus requests."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runsvc.store.values import Topic, TopicKind
from runsvc.watch.stream import HEARTBEAT_INTERVAL, WatchRequest
from runsvc.wire.fields import MOMENT, Lengths
from runsvc.wire.validation import MAX_INTEGER, Check

if TYPE_CHECKING:
    from runsvc.core.owners import Scope
    from runsvc.v1.run_service_pb2 import StreamStatusRequest

#: Limits of the time between heartbeats, in seconds. A value beyond them is clamped.
_LEAST_HEARTBEAT_INTERVAL: Final = 1.0
_MOST_HEARTBEAT_INTERVAL: Final = 300.0

_INTERVALS: Final = Lengths(MOMENT, timedelta.max, "must be positive")


def watch_request(request: StreamStatusRequest, scope: Scope, owner: str) -> WatchRequest:
    """The target of a watch, its start and its options. Raise InvalidRequest.

    A thread is that of the owner; a run, and all runs, are those in the scope.
    """
    with Check() as check:
        topic = _topic(check, request, scope, owner)
        for name in ("attach", "until_acknowledged"):
            if getattr(request, name) and topic.kind is not TopicKind.RUN:
                check.fault(name, "needs a run_id")
        return WatchRequest(
            topic=topic,
            after_revision=_after_revision(request),
            store_id=request.store_id,
            include_progress=request.include_progress,
            heartbeat_interval=_heartbeat_interval(check, request),
            until_acknowledged=request.until_acknowledged,
            attach=request.attach,
        )


def _topic(check: Check, request: StreamStatusRequest, scope: Scope, owner: str) -> Topic:
    match request.WhichOneof("target"):
        case "run_id":
            return Topic(TopicKind.RUN, scope, check.run_id(request.run_id))
        case "thread_id":
            return Topic(TopicKind.THREAD, owner, check.thread_id(request.thread_id))
        case "all":
            assistant_id = check.optional_identifier(request.all, "assistant_id", "all.")
            if assistant_id is None:
                return Topic(TopicKind.ALL, scope)
            return Topic(TopicKind.ASSISTANT, scope, assistant_id)
    check.fault("target", "is required")
    # A run, so that options which need one are not violations as well.
    return Topic(TopicKind.RUN, scope)


def _after_revision(request: StreamStatusRequest) -> int | None:
    if not request.HasField("after_revision"):
        return None
    # No store reaches this revision: it stays one that the store does not know.
    return min(request.after_revision, MAX_INTEGER)


def _heartbeat_interval(check: Check, request: StreamStatusRequest) -> float:
    length = check.duration(request, "heartbeat_interval", _INTERVALS)
    if length is None:
        return HEARTBEAT_INTERVAL
    return min(max(length.total_seconds(), _LEAST_HEARTBEAT_INTERVAL), _MOST_HEARTBEAT_INTERVAL)
