"""What an executor knows of its run, and what it makes of the server's answers and of its own end.

Decisions alone: the twins' executions make the calls.
"""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Final

from grpc import StatusCode

from runsvc.client.error import FailedPrecondition, NotFound
from runsvc.client.resume import OUTAGE, TERMINAL
from runsvc.client.retry import Backoff
from runsvc.v1.run_pb2 import Progress, Run, RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runsvc.client.error import RunError

#: How long the server waits for a sign of life unless told otherwise, in seconds.
LEASE_TTL: Final = 30.0

#: Longest error that the server takes, in bytes.
_ERROR_BYTES: Final = 16 << 10
_STOPPED: Final = "The work was stopped before the run had ended."

#: Answers that say nothing about the run: the same report may be taken in a moment. It may have been taken already, for
#: reports are idempotent.
_PASSING: Final = frozenset(
    {
        StatusCode.UNAVAILABLE,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.UNKNOWN,
        StatusCode.INTERNAL,
    }
)


class RunStopped(BaseException):
    """Raised in a thread whose run was cancelled, or is no longer its own. No Exception, for nothing is wrong."""


class KnownRun:
    """The run as far as its executor knows, and whether there is still something to do for it."""

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
        #: Somebody cancelled it, or a newer run took its place: the executor is to stop, and to acknowledge.
        self.cancelled = False
        #: It ended otherwise, was removed, or is another worker's: no report is wanted any more.
        self.lost = False
        #: Usage so far.
        self.progress = Progress()
        # Above those of whoever executed the run before, under the same name.
        self.sequences: Iterator[int] = itertools.count(time.time_ns())

    @property
    def is_over(self) -> bool:
        """Whether the executor is to stop."""
        return self.cancelled or self.lost

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def lease_ttl(self) -> float | None:
        """Seconds within which the server wants a sign of life. None: none were promised."""
        if self._lease_ttl is not None:
            return self._lease_ttl
        if self.run.HasField("lease"):
            # Promised when the run was created.
            return self.run.lease.ttl.ToTimedelta().total_seconds()
        return None

    @property
    def heartbeat_interval(self) -> float | None:
        """Seconds between two signs of life. None: none were promised."""
        return None if self.lease_ttl is None else self.lease_ttl / 3

    @property
    def outage(self) -> float:
        """Seconds for which reports of the end are repeated, unless the caller says otherwise."""
        return max(self.lease_ttl or 0, OUTAGE)

    def learn(self, run: Run) -> None:
        """Take note of the run as an answer tells it; answers may come in any order.

        An end is one also with a lower revision: a store that was restored counts from further back.
        """
        is_end = run.status in TERMINAL and not self.is_over
        if run.revision <= self.run.revision and not is_end:
            return
        self.keep(run)
        if run.status == RunStatus.RUN_STATUS_INTERRUPTED and run.HasField("cancellation"):
            self.cancelled = True
        elif run.status in TERMINAL or run.worker_id != self._worker_id:
            self.lost = True

    def keep(self, run: Run) -> None:
        """This is the newest state, and as it should be."""
        kept = Run()
        kept.CopyFrom(run)
        kept.kwargs.CopyFrom(self.run.kwargs)
        # At once: other threads may be looking.
        self.run = kept

    def refused(self, error: RunError) -> None:
        """Take note of a report that was refused; an answer that does not tell of the run is raised."""
        if error.reason == "INVALID_TRANSITION" and error.metadata.get("from") == "INTERRUPTED":
            self.cancelled = True
        else:
            self.lose(error)

    def lose(self, error: RunError) -> None:
        """Take note that nothing is wanted from this executor any more; as before."""
        if not isinstance(error, (FailedPrecondition, NotFound)):
            raise error
        self.cancelled, self.lost = False, True

    def with_progress(self, progress: Progress | None) -> Progress:
        """The usage so far and this one."""
        total = Progress()
        total.CopyFrom(self.progress)
        if progress is not None:
            total.MergeFrom(progress)
        return total

    @property
    def usage(self) -> Progress | None:
        """The final usage. None: there is nothing to tell."""
        return self.progress if self.progress.ByteSize() else None


class Patience:
    """How long a report is repeated."""

    def __init__(self, outage: float) -> None:
        self._end = time.monotonic() + outage
        self._backoff = Backoff()

    def pause(self, error: RunError) -> float | None:
        """Seconds until the next attempt. None: the answer is final, or there is no time left."""
        if not is_passing(error):
            return None
        pause = self._backoff.pause(error)
        return pause if time.monotonic() + pause < self._end else None


def is_passing(error: RunError) -> bool:
    """Whether the same report may be taken in a moment."""
    return error.code in _PASSING


def ending(failure: BaseException | None) -> tuple[RunStatus, str | None]:
    """The status that a run ends with, and its error: what the work raised, cut to what the server takes."""
    if failure is None:
        return RunStatus.RUN_STATUS_SUCCESS, None
    if not isinstance(failure, Exception):
        return RunStatus.RUN_STATUS_ERROR, _STOPPED
    text = str(failure)
    if not text or isinstance(failure, KeyError):
        # A bare key tells nothing.
        text = ": ".join(filter(None, (type(failure).__name__, text)))
    encoded = text.encode(errors="replace")
    if len(encoded) > _ERROR_BYTES:
        encoded = encoded[: _ERROR_BYTES - len("…".encode())]
        return RunStatus.RUN_STATUS_ERROR, encoded.decode(errors="ignore") + "…"
    return RunStatus.RUN_STATUS_ERROR, encoded.decode()
