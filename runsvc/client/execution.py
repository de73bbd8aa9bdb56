"""The state of an execution, and its decisions: how answers and failures change what the executor must do.

No call is made here. `runsvc.client.aio` and `runsvc.client.sync` make the calls.
"""

from __future__ import annotations

import itertools
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from runsvc.client.error import FailedPrecondition, NotFound, RunError
from runsvc.client.fence import Fence, RunFenced
from runsvc.client.lengths import duration, patience
from runsvc.client.outcome import fitted, merge
from runsvc.client.resume import OUTAGE, TERMINAL
from runsvc.client.worker_id import new_worker_id
from runsvc.v1.run_pb2 import Progress, Run, RunStatus, StatusReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.struct_pb2 import Struct

    from runsvc.client.structs import JsonObject

_log: Final = logging.getLogger("runsvc.client")

LEASE_TTL: Final = 30.0
"""Default lease of an execution, in seconds."""

#: Longest time between two heartbeats, in seconds. A wait cannot be of any length.
_LONGEST_INTERVAL: Final = 3_600.0


class RunStopped(BaseException):
    """Raised in a thread that executes a run when the run was cancelled or lost.

    It derives from BaseException, so that an `except Exception` of the work does not catch it.
    """


class KnownRun:
    """The newest state of a run that its executor knows, and whether the executor must stop."""

    def __init__(
        self,
        run: Run,
        worker_id: str | None,
        lease_ttl: float | None = None,
    ) -> None:
        self._worker_id = worker_id or ""
        self._lease_ttl = lease_ttl
        #: Newest known state, with kwargs.
        self.run = run
        #: The run was cancelled or displaced: the executor must stop and acknowledge.
        self.cancelled = False
        #: The run ended otherwise, was removed, or has another holder: the executor must stop without a report.
        self.lost = False
        #: The lease may be over: the executor must stop and report an error.
        self.fenced = False
        #: The cause of the loss, for the log.
        self.loss = ""
        #: Usage so far.
        self.progress = Progress()
        # Greater than the numbers of an earlier executor with the same worker_id.
        self.sequences: Iterator[int] = itertools.count(time.time_ns())

    @property
    def must_stop(self) -> bool:
        """Whether the executor must stop."""
        return self.has_ended or self.fenced

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended, or belongs to another holder."""
        return self.cancelled or self.lost

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def lease_ttl(self) -> float | None:
        """Length of the lease in seconds. None without a lease."""
        if self._lease_ttl is not None:
            return self._lease_ttl
        if self.run.HasField("lease"):
            # The creation of the run set it.
            return self.run.lease.ttl.ToTimedelta().total_seconds()
        return None

    @property
    def heartbeat_interval(self) -> float | None:
        """Seconds between two heartbeats. None without a lease."""
        return None if self.lease_ttl is None else min(self.lease_ttl / 3, _LONGEST_INTERVAL)

    @property
    def outage(self) -> float:
        """Default time for which reports of the end are repeated, in seconds."""
        return max(self.lease_ttl or 0, OUTAGE)

    def update(self, run: Run) -> None:
        """Apply a run from an answer or an event. These may arrive in any order.

        A lower revision is ignored, unless it is terminal: a store restored from a backup counts from an earlier
        revision.
        """
        is_end = run.status in TERMINAL and not self.has_ended
        if run.revision <= self.run.revision and not is_end:
            return
        self.replace(run)
        if run.status == RunStatus.RUN_STATUS_INTERRUPTED and run.HasField("cancellation"):
            self.cancelled = True
        elif run.status in TERMINAL or run.worker_id != self._worker_id:
            self.record_lost(_state_of(run))

    def replace(self, run: Run) -> None:
        """Set the newest state, which this executor caused. Keep the kwargs, which answers omit."""
        newest = Run()
        newest.CopyFrom(run)
        newest.kwargs.CopyFrom(self.run.kwargs)
        # One assignment: other threads read it.
        self.run = newest

    def record_refusal(self, error: RunError) -> None:
        """Apply a report's failure. Raise it if it does not concern the run."""
        if error.reason == "INVALID_TRANSITION" and error.metadata.get("from") == "INTERRUPTED":
            self.cancelled = True
        else:
            self.record_loss(error)

    def record_loss(self, error: RunError) -> None:
        """Record that the run is lost. Raise an error that does not concern the run."""
        if not isinstance(error, (FailedPrecondition, NotFound)):
            raise error
        self.cancelled = False
        self.record_lost(str(error))

    def record_lost(self, cause: str) -> None:
        """Record that the run is lost, with the first cause."""
        self.lost, self.loss = True, self.loss or cause

    def merged_progress(self, progress: Progress | None) -> Progress:
        """Return the usage so far with `progress` merged into it."""
        total = Progress()
        total.CopyFrom(self.progress)
        if progress is not None:
            merge(total, progress)
        return fitted(total)

    @property
    def usage(self) -> Progress | None:
        """The final usage. None if no field is set."""
        return fitted(self.progress) if self.progress.ByteSize() else None


class ExecutionState:
    """The part of an execution that asyncio and threads share."""

    def __init__(
        self,
        run: Run | str,
        worker_id: str | None,
        lease_ttl: float | None,
        outage: float | None,
        fence: bool,
    ) -> None:
        self._run_or_id = run
        self._worker_id = None if worker_id is None else worker_id or new_worker_id()
        # A lease needs a holder.
        self._lease_ttl = None if worker_id is None else lease_ttl
        # Refuse here what cannot be sent: the run is not started yet.
        duration(lease_ttl, "lease_ttl")
        self._outage = None if outage is None else patience(outage)
        self._is_fenced = fence
        self.result: JsonObject | None = None
        """What the run produced, a JSON object. Set it in the block: it is reported with SUCCESS. At most 1 MiB."""
        self.stop_reason: str | None = None
        """Why the work stopped, such as token_capped. Set it in the block: it is reported with the end."""
        #: None until the run is started, and without a lease or fence.
        self._fence: Fence | None = None
        #: None until the run is started.
        self._known_run: KnownRun | None = None
        #: Whether the block was left. From then on only the report of the end counts.
        self._left = False
        #: An unexpected failure in the background. It is raised at the end of the block.
        self._failure: BaseException | None = None

    @property
    def run(self) -> Run:
        """Newest known state of the run, with kwargs. After a cancel it holds the cancellation."""
        return self._known.run

    @property
    def worker_id(self) -> str | None:
        """The id under which the run is executed. None without a holder."""
        return self._worker_id

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled, or displaced by a newer run."""
        return self._known.cancelled

    @property
    def lost(self) -> bool:
        """Whether the run ended otherwise, was removed, or has another holder."""
        return self._known.lost

    @property
    def fenced(self) -> bool:
        """Whether the work was stopped because its lease may be over. Only with `fence`."""
        return self._known.fenced

    @property
    def progress(self) -> Progress:
        """Usage so far. Changes are reported with the end, even if the run was cancelled or lost."""
        return self._known.progress

    @property
    def _known(self) -> KnownRun:
        if self._known_run is None:
            raise RuntimeError("The run is not started: enter the execution's block first.")
        return self._known_run

    def _end_outage(self, *, is_interrupted: bool, call_timeout: float) -> float:
        """Return how long the report of the end is repeated. A program that is being stopped must not wait long."""
        if is_interrupted:
            return call_timeout
        return self._known.outage if self._outage is None else self._outage

    def _record_start(self, started: Run, kwargs: Struct, sent: float) -> None:
        """Record that the run is started, with its input."""
        started.kwargs.CopyFrom(kwargs)
        known = self._known_run = KnownRun(started, self._worker_id, self._lease_ttl)
        if self._is_fenced and self._worker_id is not None and known.lease_ttl is not None:
            self._fence = Fence(known.lease_ttl, sent)

    def _record_renewal(self, sent: float) -> None:
        """Record that the lease was renewed. Another thread may call this."""
        if self._fence is not None:
            self._fence.renew(sent)

    def _stop_if_fenced(self) -> None:
        """Stop the work if the lease may be over."""
        if self._fence is not None and self._fence.time_left <= 0 and not self._left:
            self._known.fenced = True
            self._stop()

    def _contents(self, status: RunStatus) -> dict[str, Any]:
        """Return the contents of the report of the end, besides its status and error."""
        is_success = status == RunStatus.RUN_STATUS_SUCCESS
        return {
            "progress": self._known.usage,
            "stop_reason": self.stop_reason,
            "result": self.result if is_success else None,
        }

    def _end_of_block(self, failure: BaseException | None) -> BaseException | None:
        """Return the failure that is reported."""
        return RunFenced() if self._known.fenced else failure

    def _record_run(self, run: Run, *, is_removed: bool = False) -> None:
        """Apply a run that the background received."""
        if not self._left:
            self._known.update(run)
            if is_removed:
                self._known.record_lost("it was removed")
            self._stop_if_needed()

    def _record_failure(self, error: RunError) -> None:
        """Apply a failed call of the background. A failure that does not concern the run is ignored: it is retried."""
        if not self._left:
            with suppress(RunError):
                self._known.record_refusal(error)
            self._stop_if_needed()

    def _log_loss(self) -> None:
        """Log that the result of the work was not stored."""
        known = self._known
        if known.lost:
            _log.warning(
                "Run %s was lost, and the result of its work was not stored: %s",
                known.run_id,
                known.loss,
            )

    def _warn_if_late(self, seconds: float, interval: float) -> None:
        """Log heartbeats that are late because the work blocks the event loop."""
        if seconds > interval:
            _log.warning(
                "Run %s: a heartbeat is %.1f s late. The work blocks the event loop; run it in a thread.",
                self._known.run_id,
                seconds,
            )

    def _stop_if_needed(self) -> None:
        if self._known.must_stop:
            self._stop()

    def _stop(self) -> None:
        raise NotImplementedError


def _state_of(run: Run) -> str:
    """Return the state of a lost run in words."""
    if run.status not in TERMINAL:
        return f"worker {run.worker_id!r} holds it"
    status = RunStatus.Name(run.status).removeprefix("RUN_STATUS_")
    reasons = StatusReason.DESCRIPTOR.values_by_number
    reason = reasons[run.status_reason].name if run.status_reason in reasons else ""
    suffix = f" ({reason.removeprefix('STATUS_REASON_')})" if run.status_reason else ""
    return f"it ended as {status}{suffix}"
