"""How a watch goes on after it was cut off: from which revision, after what pause, and when it gives up.

Decisions alone: the twins' watches hold the streams.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from grpc import StatusCode

from runsvc.client.retry import Backoff
from runsvc.v1.run_pb2 import AllRuns, RunStatus, StatusEvent
from runsvc.v1.run_service_pb2 import StreamStatusRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.client.error import RunError
    from runsvc.v1.run_pb2 import Run
    from runsvc.v1.run_service_pb2 import StreamStatusResponse

#: Seconds that a watch goes on without a server unless told otherwise.
OUTAGE: Final = 60.0

#: A stream that stood for longer, in seconds, had a connection, also if nothing happened on it: making one takes less.
_CONNECTED: Final = 10.0

#: Statuses that are final. One that a newer server has is not taken for one.
TERMINAL: Final = (
    RunStatus.RUN_STATUS_SUCCESS,
    RunStatus.RUN_STATUS_ERROR,
    RunStatus.RUN_STATUS_TIMEOUT,
    RunStatus.RUN_STATUS_INTERRUPTED,
)
#: The log does not go on from there: it was cut off, or the store is another one or was restored.
_NO_LOG: Final = ("REVISION_COMPACTED", "REVISION_UNKNOWN")
#: What a lost connection looks like beside UNAVAILABLE, unless a server of ours said it.
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
    """The request of a watch. ValueError for more than one target."""
    if (run_id is not None) + (thread_id is not None) + all_runs > 1:
        raise ValueError("name one thing to watch: run_id, thread_id or all_runs")
    if assistant_id is not None and not all_runs:
        raise ValueError("assistant_id needs all_runs")
    interval = None if heartbeat_interval is None else timedelta(seconds=heartbeat_interval)
    return StreamStatusRequest(
        run_id=run_id,
        thread_id=thread_id,
        all=AllRuns(assistant_id=assistant_id) if all_runs else None,
        after_revision=after_revision,
        store_id=store_id,
        include_progress=include_progress,
        heartbeat_interval=interval,
        attach=attach,
        until_acknowledged=until_acknowledged,
    )


class Resumption:
    """Where a watch stands, over all of its streams."""

    def __init__(
        self,
        request: StreamStatusRequest,
        *,
        outage: float = OUTAGE,
        resnapshot: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asked = request
        self._outage = outage
        self._resnapshot = resnapshot
        self._now = now
        #: Everything up to here that matches has come. None: not even a snapshot yet.
        self.revision = request.after_revision if request.HasField("after_revision") else None
        #: The store that the revision belongs to; empty: not known.
        self.store_id = request.store_id
        #: The run is as it will be for ever; and nothing that was asked for can follow.
        self._ends = self._over = False
        self._backoff = Backoff()
        self._opened = 0.0
        #: When the server was found to be gone. None: it is there.
        self._gone_since: float | None = None

    def opening(self) -> StreamStatusRequest:
        """What to ask the next stream for."""
        self._opened = self._now()
        request = StreamStatusRequest()
        request.CopyFrom(self._asked)
        request.ClearField("after_revision")
        if self.revision is not None:
            request.after_revision = self.revision
        request.store_id = self.store_id
        return request

    def heard(self, event: StreamStatusResponse) -> None:
        """Take note of an event that is handed on."""
        if self._gone_since is not None:
            self._gone_since = None
            self._backoff.reset()
        if event.revision or event.event == StatusEvent.STATUS_EVENT_SNAPSHOT_END:
            self.revision = event.revision
        if event.store_id:
            self.store_id = event.store_id
        if self._asked.run_id:
            if event.HasField("run"):
                self._ends = self._is_last(event)
            self._over = self._ends and event.event != StatusEvent.STATUS_EVENT_SNAPSHOT

    def cut(self, error: RunError) -> float | None:
        """After a stream that failed: seconds until the next one. None: there is nothing left to watch.

        Raises the error when it is not one that passes, or the server has been gone for too long.
        """
        # Whoever has no revision yet was too slow for its snapshot, and asks for another one.
        may_start_over = self._resnapshot or self.revision is None
        if may_start_over and error.reason in _NO_LOG:
            self.revision, self.store_id = None, ""
        elif not _passes(error):
            raise error
        elif self._over and self._gone_since is not None:
            # The server was asked once more for the end that it had no time to tell.
            return None
        now = self._now()
        if self._gone_since is None or now - self._opened > _CONNECTED:
            self._gone_since = now
        pause = self._backoff.pause(error)
        if now + pause - self._gone_since > self._outage:
            raise error
        return pause

    def _is_last(self, event: StreamStatusResponse) -> bool:
        if event.event == StatusEvent.STATUS_EVENT_DELETED:
            return True
        if event.run.status not in TERMINAL:
            return False
        return not self._asked.until_acknowledged or not _awaits_acknowledgement(event.run)


def _awaits_acknowledgement(run: Run) -> bool:
    return run.status == RunStatus.RUN_STATUS_INTERRUPTED and not run.cancellation.HasField(
        "acknowledged_at"
    )


def _passes(error: RunError) -> bool:
    """Whether the server, or the way to it, is at fault and may be well again soon."""
    return error.code is StatusCode.UNAVAILABLE or (error.code in _LOST and error.from_transport)
