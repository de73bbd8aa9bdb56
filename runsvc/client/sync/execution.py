"""The execution of a run in a thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from runsvc.client.error import RunError
from runsvc.client.execution import RunStopped
from runsvc.client.fence import now
from runsvc.client.known_run import KnownRun
from runsvc.client.outcome import note
from runsvc.client.retry import Backoff
from runsvc.client.retry_window import is_transient
from runsvc.client.sync.end_report import Reports
from runsvc.v1.run_pb2 import RunStatus, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from runsvc.client.sync.runs import RunCalls
    from runsvc.client.sync.watch import Watch
    from runsvc.v1.run_pb2 import Progress, Run

_DELETED: Final = StatusEvent.STATUS_EVENT_DELETED


class Execution(Reports):
    """A run that the current thread executes, as a `with` block.

    - Entering the block starts the run. During the block, heartbeats keep its lease.
    - Leaving the block reports SUCCESS, or ERROR with the text of the exception, which is then raised again.
    - If the run is cancelled or displaced, `stopped` is set, and the next `check` or `update_progress` raises
      `RunStopped`: the work's `finally` blocks run, the cancel is acknowledged, and the program continues after the
      block. `cancelled` is then true.
    - If the run ends otherwise, is removed, or gets another holder, the work is stopped too. `lost` is then true.
    - KeyboardInterrupt and SystemExit end the run as ERROR and are raised again.
    """

    def __init__(
        self,
        client: RunCalls,
        run: Run | str,
        worker_id: str | None,
        lease_ttl: float | None,
        outage: float | None,
        fence: bool = False,
    ) -> None:
        """Create an execution. `RunClient.execute` is the public way."""
        super().__init__(client, run, worker_id, lease_ttl, outage, fence)
        self._background: list[threading.Thread] = []
        self.stopped: threading.Event = threading.Event()
        """Set when the work must stop. Any thread may wait for it."""
        #: Set when the background must end.
        self._ending = threading.Event()
        self._watch: Watch | None = None

    def check(self) -> None:
        """Raise `RunStopped` if the work must stop. It makes no call: call it often."""
        if self.stopped.is_set():
            raise RunStopped

    def update_progress(self, progress: Progress | None = None) -> bool:
        """Report usage: the fields that are set replace those of earlier reports. Return whether it was applied.

        Without a server it returns False. A later report, or the report of the end, then includes the usage.

        Raises `RunStopped` and `InvalidArgument`.
        """
        known, applied, sent = self._known, False, now()
        total = known.merged_progress(progress)
        try:
            answer = self._client.update_progress(
                known.run_id,
                total,
                sequence=next(known.sequences),
                worker_id=self._worker_id,
                attempt=known.attempt,
            )
        except RunError as error:
            if not is_transient(error):
                known.record_refusal(error)
        else:
            self._record_renewal(sent)
            known.update(answer.run)
            applied = answer.applied
        known.progress.CopyFrom(total)
        self._stop_if_needed()
        self.check()
        return applied

    def __enter__(self) -> Self:
        run = self._given_run() or self._client.get(self._given_id)
        try:
            self._start(run)
            self._start_background(run.run_id)
        except BaseException as failure:
            if not isinstance(failure, RunError):
                self._find_started(run.run_id)
            if self._known_run is not None:
                self.__exit__(type(failure), failure, None)
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        failure: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        self._left = True
        is_own_stop = isinstance(failure, RunStopped) and self.stopped.is_set()
        try:
            self._report_end(failure if self._failure is None else self._failure)
        except Exception as error:
            if failure is None or is_own_stop:
                raise
            note(failure, f"The end of run {self.run.run_id} could not be reported: {error}")
        finally:
            self._end_background()
        if self._failure is not None:
            raise self._failure
        return is_own_stop

    def _start(self, run: Run) -> None:
        sent = now()
        started = self._repeat(
            lambda: self._client.set_status(
                run.run_id,
                RunStatus.RUN_STATUS_RUNNING,
                worker_id=self._worker_id,
                lease_ttl=self._lease_ttl,
            ),
            self._client.timeout,
        )
        self._record_start(started.run, run.kwargs, sent)

    def _start_background(self, run_id: str) -> None:
        works = [(self._follow_run, "watch"), (self._send_heartbeats, "heartbeats")]
        if self._fence is not None:
            works.append((self._watch_fence, "fence"))
        for work, name in works:
            thread = threading.Thread(
                target=self._run_safely, args=[work], name=f"{name} {run_id}", daemon=True
            )
            self._background.append(thread)
            thread.start()

    def _find_started(self, run_id: str) -> None:
        """Find out whether an interrupted start took effect."""
        run = self._client.get(run_id)
        if run.status == RunStatus.RUN_STATUS_RUNNING and run.worker_id == self._worker_id:
            self._known_run = self._known_run or KnownRun(run, self._worker_id)

    def _send_heartbeats(self) -> None:
        known, backoff = self._known, Backoff()
        interval, worker_id = known.heartbeat_interval, self._worker_id
        if interval is None or worker_id is None:
            return
        pause = interval
        while not known.lost and not self._ending.wait(pause):
            sent = now()
            try:
                timeout = min(interval, self._client.timeout)
                run = self._client.heartbeat(
                    known.run_id, worker_id, attempt=known.attempt, timeout=timeout
                )
            except RunError as error:
                pause = min(interval, backoff.pause_after(error))
                self._record_failure(error)
            else:
                backoff.reset()
                pause = interval
                self._record_renewal(sent)
                self._record_run(run)

    def _watch_fence(self) -> None:
        while self._fence is not None and not self._known.must_stop:
            self._stop_if_fenced()
            if self._ending.wait(self._fence.pause):
                break

    def _follow_run(self) -> None:
        known, backoff, pause = self._known, Backoff(), 0.0
        while not known.must_stop and not self._ending.wait(pause):
            try:
                self._watch_run()
            except RunError as error:
                self._record_failure(error)
                pause = backoff.pause_after(error)

    def _watch_run(self) -> None:
        known = self._known
        self._watch = self._client.watch(
            known.run_id, after_revision=known.run.revision, resnapshot=True
        )
        if self._ending.is_set():
            # The block was left before it could see the watch.
            self._watch.close()
        for event in self._watch:
            if event.HasField("run"):
                self._record_run(event.run, is_removed=event.event == _DELETED)

    def _stop(self) -> None:
        self.stopped.set()

    def _run_safely(self, work: Callable[[], None]) -> None:
        """Run background work. Stop the execution's own work if it fails unexpectedly."""
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - raised again at the end of the block.
            self._failure = failure
            self.stopped.set()

    def _end_background(self) -> None:
        self._ending.set()
        if self._watch is not None:
            self._watch.close()
        for thread in self._background:
            thread.join()
