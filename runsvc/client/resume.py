"""How a watch resumes after a lost connection: from which revision, after which pause, and when it gives up.

No call is made here. `AsyncWatch` and `Watch` hold the streams.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from grpc import StatusCode

from runsvc.client.lengths import duration, patience
from runsvc.client.retry import Backoff
from runsvc.v1.run_pb2 import AllRuns, RunStatus, StatusEvent
from runsvc.v1.run_service_pb2 import StreamStatusRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.client.bearer import SentToken
    from runsvc.client.error import RunError
    from runsvc.v1.run_pb2 import Run
    from runsvc.v1.run_service_pb2 import StreamStatusResponse

OUTAGE: Final = 60.0
"""Default time for which a watch waits for a server, in seconds."""

#: A stream that was open for longer, in seconds, was connected, even without an event: connecting takes less.
_CONNECTED: Final = 10.0

#: Terminal statuses. An unknown status of a newer server counts as active.
TERMINAL: Final = (
    RunStatus.RUN_STATUS_SUCCESS,
    RunStatus.RUN_STATUS_ERROR,
    RunStatus.RUN_STATUS_TIMEOUT,
    RunStatus.RUN_STATUS_INTERRUPTED,
)
#: The log does not reach back to the revision, or the store was restored or replaced.
_NO_LOG: Final = ("REVISION_COMPACTED", "REVISION_UNKNOWN")
#: Codes of a lost connection, beside UNAVAILABLE, if they come from the transport.
_LOST: Final = (StatusCode.INTERNAL, StatusCode.CANCELLED)


def watch_request(
    *,
    run_id: str | None,
    thread_id: str | None,
    all_runs: bool,
    assistant_id: str | None,
    heartbeat_interval: float | None,
    after_revision: int | None,
    store_id: str,
    include_progress: bool,
    attach: bool,
    until_acknowledged: bool,
) -> StreamStatusRequest:
    """Return the request of a watch. Raise ValueError for more than one target."""
    if (run_id is not None) + (thread_id is not None) + all_runs > 1:
        raise ValueError("Name only one target: run_id, thread_id or all_runs.")
    if assistant_id is not None and not all_runs:
        raise ValueError("assistant_id needs all_runs=True.")
    return StreamStatusRequest(
        run_id=run_id,
        thread_id=thread_id,
        all=AllRuns(assistant_id=assistant_id) if all_runs else None,
        after_revision=after_revision,
        store_id=store_id,
        include_progress=include_progress,
        heartbeat_interval=duration(heartbeat_interval, "heartbeat_interval"),
        attach=attach,
        until_acknowledged=until_acknowledged,
    )


class Resumption:
    """The position of a watch across its streams."""

    def __init__(
        self,
        request: StreamStatusRequest,
        *,
        outage: float = OUTAGE,
        resnapshot: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_request = request
        self._outage = patience(outage)
        self._resnapshot = resnapshot
        self._now = now
        #: Every matching event up to this revision has arrived. None before the end of the first snapshot.
        self.revision = request.after_revision if request.HasField("after_revision") else None
        #: The store that the revision belongs to. Empty if unknown.
        self.store_id = request.store_id
        #: The watched run is in its last state.
        self._ended = False
        #: No further event can follow.
        self._complete = False
        self._backoff = Backoff()
        #: The token of the streams, if one that was refused, or has ended, can be replaced.
        self.sent: SentToken | None = None
        self._opened_at = 0.0
        #: When the outage began. None while the server answers.
        self._outage_began: float | None = None

    def next_request(self) -> StreamStatusRequest:
        """Return the request of the next stream."""
        self._opened_at = self._now()
        request = StreamStatusRequest()
        request.CopyFrom(self._first_request)
        request.ClearField("after_revision")
        if self.revision is not None:
            request.after_revision = self.revision
        request.store_id = self.store_id
        return request

    def record(self, event: StreamStatusResponse) -> None:
        """Record an event that the caller receives."""
        if self.sent is not None:
            self.sent.accept()
        if self._outage_began is not None:
            self._outage_began = None
            self._backoff.reset()
        if event.revision or event.event == StatusEvent.STATUS_EVENT_SNAPSHOT_END:
            self.revision = event.revision
        if event.store_id:
            self.store_id = event.store_id
        if self._first_request.run_id:
            if event.HasField("run"):
                self._ended = self._is_last(event)
            self._complete = self._ended and event.event != StatusEvent.STATUS_EVENT_SNAPSHOT

    def pause_after(self, error: RunError, *, has_new_token: bool = False) -> float | None:
        """Return the seconds until the next stream after one that failed. None if no event can follow.

        Raise the error if it is not transient, or the outage has lasted too long. With `has_new_token` the server
        refused the token of that stream, and the next one has another.
        """
        if has_new_token:
            return 0.0
        # Without a revision, the snapshot took longer than the log reaches back: request another one.
        may_start_over = self._resnapshot or self.revision is None
        if may_start_over and error.reason in _NO_LOG:
            self.revision, self.store_id = None, ""
        elif not _is_transient(error):
            raise error
        elif self._complete and self._outage_began is not None:
            # One more stream was opened, in case the server stopped before it sent the end.
            return None
        now = self._now()
        if self._outage_began is None or now - self._opened_at > _CONNECTED:
            self._outage_began = now
        pause = self._backoff.pause_after(error)
        if now + pause - self._outage_began > self._outage:
            raise error
        return pause

    def _is_last(self, event: StreamStatusResponse) -> bool:
        if event.event == StatusEvent.STATUS_EVENT_DELETED:
            return True
        if event.run.status not in TERMINAL:
            return False
        return not self._first_request.until_acknowledged or not _awaits_acknowledgement(event.run)


def _awaits_acknowledgement(run: Run) -> bool:
    return run.status == RunStatus.RUN_STATUS_INTERRUPTED and not run.cancellation.HasField(
        "acknowledged_at"
    )


def _is_transient(error: RunError) -> bool:
    """Return whether the server or the connection failed and may recover."""
    if error.code is StatusCode.UNAVAILABLE or error.reason == "OVERLOADED":
        return True
    return error.code in _LOST and error.from_transport
