"""What an executor knows of its run: how answers, events and failures change what it must do."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Final

from runsvc.client.error import FailedPrecondition, NotFound, RunError
from runsvc.client.outcome import fitted, merge
from runsvc.client.resume import OUTAGE, TERMINAL
from runsvc.v1.run_pb2 import Progress, Run, RunStatus, StatusReason

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Longest time between two heartbeats, in seconds. A wait cannot be of any length.
_LONGEST_INTERVAL: Final = 3_600.0


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
        #: The attempt that is performed, which every report names. None if the server counts none.
        self.attempt = run.attempt or None
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
        elif run.status in TERMINAL or not self._is_own(run):
            self.record_lost(_state_of(run))

    def _is_own(self, run: Run) -> bool:
        """Return whether this executor holds the run, in its attempt."""
        is_attempt = self.attempt is None or run.attempt == self.attempt
        return is_attempt and run.worker_id == self._worker_id

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


def _state_of(run: Run) -> str:
    """Return the state of a lost run in words."""
    if run.status == RunStatus.RUN_STATUS_PENDING:
        return "it is PENDING for another attempt"
    if run.status not in TERMINAL:
        return f"worker {run.worker_id!r} holds it"
    status = RunStatus.Name(run.status).removeprefix("RUN_STATUS_")
    reasons = StatusReason.DESCRIPTOR.values_by_number
    reason = reasons[run.status_reason].name if run.status_reason in reasons else ""
    suffix = f" ({reason.removeprefix('STATUS_REASON_')})" if run.status_reason else ""
    return f"it ended as {status}{suffix}"
