"""The state of an execution, and its decisions: how answers and failures change what the executor must do.

No call is made here. `runsvc.client.aio` and `runsvc.client.sync` make the calls.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from runsvc.client.error import RunError
from runsvc.client.fence import Fence, RunFenced, now
from runsvc.client.known_run import KnownRun
from runsvc.client.lengths import duration, patience
from runsvc.client.outcome import RetryableError
from runsvc.client.worker_id import new_worker_id
from runsvc.v1.run_pb2 import RunStatus

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct

    from runsvc.client.structs import JsonObject
    from runsvc.v1.run_pb2 import Progress, Run

_log: Final = logging.getLogger("runsvc.client")

LEASE_TTL: Final = 30.0
"""Default lease of an execution, in seconds."""

#: Default time for which a claim waits for a run, in seconds.
CLAIM_WAIT: Final = 20.0


class RunStopped(BaseException):
    """Raised in a thread that executes a run when the run was cancelled or lost.

    It derives from BaseException, so that an `except Exception` of the work does not catch it.
    """


class ExecutionState:
    """The part of an execution that asyncio and threads share."""

    def __init__(
        self,
        run: Run | str,
        worker_id: str | None,
        lease_ttl: float | None,
        outage: float | None,
        fence: bool,
        claimed: float | None = None,
    ) -> None:
        self._run_or_id = run
        self._worker_id = None if worker_id is None else worker_id or new_worker_id()
        # A lease needs a holder.
        self._lease_ttl = None if worker_id is None else lease_ttl
        # Refuse here what cannot be sent: the run is not started yet.
        duration(lease_ttl, "lease_ttl")
        self._outage = None if outage is None else patience(outage)
        self._is_fenced = fence
        #: The time from which the lease of a claimed run counts, at the earliest. None: the execution starts the run.
        self._claimed = claimed
        #: Whether the run is given back when the work has stopped.
        self._is_released = False
        self.result: JsonObject | None = None
        """What the run produced, a JSON object. Set it in the block: it is reported with SUCCESS. At most 1 MiB."""
        self.stop_reason: str | None = None
        """Why the work stopped, such as token_capped. Set it in the block: it is reported with the end."""
        self.retryable: bool = False
        """Whether a failure of the work may succeed in another attempt. An ERROR is then reported as retryable."""
        #: None until the run is started, and without a lease or fence.
        self._fence: Fence | None = None
        #: None until the run is started.
        self._known_run: KnownRun | None = None
        #: Whether the block was left. From then on only the report of the end counts.
        self._left = False
        #: An unexpected failure in the background. It is raised at the end of the block.
        self._failure: BaseException | None = None

    def _given_run(self) -> Run | None:
        """Return the run if it was given with its input. Runs of lists and watches have none."""
        run = self._run_or_id
        if isinstance(run, str):
            return None
        return run if self._claimed is not None or run.HasField("kwargs") else None

    @property
    def _given_id(self) -> str:
        run = self._run_or_id
        return run if isinstance(run, str) else run.run_id

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

    def _end_outage(self, failure: BaseException | None, call_timeout: float) -> float:
        """Return how long the report of the end is repeated. A program that is being stopped must not wait long."""
        if self._is_interrupt(failure):
            return call_timeout
        return self._known.outage if self._outage is None else self._outage

    def _is_interrupt(self, failure: BaseException | None) -> bool:
        """Return whether the program is being stopped. Any other failure is the work's own, whatever its type."""
        return isinstance(failure, (KeyboardInterrupt, SystemExit))

    def _record_start(self, started: Run, kwargs: Struct, sent: float) -> None:
        """Record that the run is started, with its input."""
        started.kwargs.CopyFrom(kwargs)
        known = self._known_run = KnownRun(started, self._worker_id, self._lease_ttl)
        if self._is_fenced and self._worker_id is not None and known.lease_ttl is not None:
            self._fence = Fence(known.lease_ttl, sent)

    @property
    def _is_renewal_due(self) -> bool:
        """Whether the lease of a claimed run needs a renewal before the work begins."""
        interval = self._known.heartbeat_interval
        age = 0.0 if self._claimed is None else now() - self._claimed
        return interval is not None and age > interval

    def _record_renewal(self, sent: float) -> None:
        """Record that the lease was renewed. Another thread may call this."""
        if self._fence is not None:
            self._fence.renew(sent)

    def _stop_if_fenced(self) -> None:
        """Stop the work if the lease may be over."""
        if self._fence is not None and self._fence.time_left <= 0 and not self._left:
            self._known.fenced = True
            self._stop()

    def _is_retryable(self, failure: BaseException | None) -> bool:
        return isinstance(failure, RetryableError) or (
            self.retryable and isinstance(failure, Exception)
        )

    def _gives_back(self, failure: BaseException | None) -> bool:
        """Return whether the run is given back. Work that finished nevertheless is reported."""
        return self._is_released and failure is not None and not self._known.has_ended

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
        if self._known.must_stop or self._is_released:
            self._stop()

    def _stop(self) -> None:
        raise NotImplementedError
