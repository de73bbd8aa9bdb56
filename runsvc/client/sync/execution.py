"""The worker's side for threads: a run is executed for as long as a block lasts."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runsvc.client.error import InvalidArgument, RunError
from runsvc.client.execution import KnownRun, Patience, RunStopped, ending, is_passing
from runsvc.client.retry import Backoff
from runsvc.v1.run_pb2 import RunStatus, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from runsvc.client.sync.client import RunClient
    from runsvc.client.sync.watch import Watch
    from runsvc.v1.run_pb2 import Progress, Run

_Answer = TypeVar("_Answer")

_DELETED: Final = StatusEvent.STATUS_EVENT_DELETED


class Execution:
    """A run that the present thread executes.

    Entering the block starts the run, leaving it reports the end: SUCCESS, or ERROR with what was raised, which goes on
    its way. Meanwhile heartbeats are sent. When the run is cancelled, `stopped` is set, and the next `check()` or
    `update_progress()` raises RunStopped: the block's `finally` blocks run, the cancel is acknowledged, and the program
    goes on behind the block, where `cancelled` tells of it. So it does, with `lost`, when the run has ended otherwise
    or is another worker's. KeyboardInterrupt and SystemExit end the run as ERROR and go on their way.
    """

    def __init__(
        self,
        client: RunClient,
        run: Run | str,
        worker_id: str | None,
        lease_ttl: float | None,
        outage: float | None,
    ) -> None:
        self._client = client
        self._asked = run
        self._worker_id = worker_id
        # A lease is somebody's.
        self._lease_ttl = lease_ttl if worker_id else None
        self._outage = outage
        self._standing: KnownRun | None = None
        self._background: list[threading.Thread] = []
        #: Set when the work is to stop; may be waited for in any thread.
        self.stopped = threading.Event()
        #: Set when the block was left, and when the background is to end.
        self._left, self._over = threading.Event(), threading.Event()
        self._watch: Watch | None = None
        self._failure: BaseException | None = None

    @property
    def run(self) -> Run:
        """Newest known state, with kwargs; once stopped, with the cancellation."""
        return self._known.run

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled, or displaced by a newer one."""
        return self._known.cancelled

    @property
    def lost(self) -> bool:
        """Whether the run has ended otherwise, was removed, or is another worker's."""
        return self._known.lost

    def check(self) -> None:
        """RunStopped when the work is to stop. Costs nothing: call it often."""
        if self.stopped.is_set():
            raise RunStopped

    @property
    def progress(self) -> Progress:
        """Usage so far. What is put into it is reported at the end, also when the run was cancelled or is lost."""
        return self._known.progress

    def update_progress(self, progress: Progress | None = None) -> bool:
        """Report usage now: the fields that are set replace what was told of them before. Whether it was taken.

        While there is no server this returns nevertheless: the next report, at the latest the last, makes up for it.
        RunStopped; InvalidArgument.
        """
        standing, applied = self._known, False
        total = standing.with_progress(progress)
        try:
            answer = self._client.update_progress(
                standing.run_id,
                total,
                sequence=next(standing.sequences),
                worker_id=self._worker_id,
            )
        except RunError as error:
            if not is_passing(error):
                standing.refused(error)
        else:
            standing.learn(answer.run)
            applied = answer.applied
        standing.progress.CopyFrom(total)
        self._look()
        self.check()
        return applied

    def __enter__(self) -> Self:
        asked = self._asked
        run = self._client.get(asked) if isinstance(asked, str) else asked
        try:
            self._start(run)
            for work in (self._listen, self._beat):
                name = f"{work.__name__} {run.run_id}"
                thread = threading.Thread(target=self._safely, args=[work], name=name, daemon=True)
                self._background.append(thread)
                thread.start()
        except BaseException as failure:
            if not isinstance(failure, RunError):
                self._look_for(run.run_id)
            if self._standing is not None:
                self.__exit__(type(failure), failure, None)
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        failure: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        self._left.set()
        is_ours = isinstance(failure, RunStopped) and self.stopped.is_set()
        try:
            self._finish(self._failure or failure)
        except RunError as error:
            if failure is None or is_ours:
                raise
            failure.add_note(f"The end of run {self.run.run_id} could not be reported: {error}")
        finally:
            self._leave_background()
        if self._failure is not None:
            raise self._failure
        return is_ours

    @property
    def _known(self) -> KnownRun:
        if self._standing is None:
            raise RuntimeError("the run has not been started: use with")
        return self._standing

    def _start(self, run: Run) -> None:
        started = self._repeated(
            lambda: self._client.set_status(
                run.run_id,
                RunStatus.RUN_STATUS_RUNNING,
                worker_id=self._worker_id,
                lease_ttl=self._lease_ttl,
            ),
            self._client.timeout,
        )
        started.run.kwargs.CopyFrom(run.kwargs)
        self._standing = KnownRun(started.run, self._worker_id, self._lease_ttl)

    def _look_for(self, run_id: str) -> None:
        """Find out whether a start that was interrupted took effect."""
        run = self._client.get(run_id)
        if run.status == RunStatus.RUN_STATUS_RUNNING and run.worker_id == self._worker_id:
            self._standing = self._standing or KnownRun(run, self._worker_id)

    def _finish(self, failure: BaseException | None) -> None:
        """Report the end, in the way that the run's standing asks for."""
        # Whoever stops the work from outside is in a hurry.
        is_stopped = failure is not None and not isinstance(failure, (Exception, RunStopped))
        standing = self._known
        patience = standing.outage if self._outage is None else self._outage
        outage = self._client.timeout if is_stopped else patience
        if not standing.is_over:
            self._complete(failure, outage)
        if standing.cancelled:
            self._acknowledge(outage)
        if standing.lost and standing.usage:
            self._leave_usage()

    def _complete(self, failure: BaseException | None, outage: float) -> None:
        standing = self._known
        status, error = ending(failure)

        def complete(progress: Progress | None) -> Any:
            return self._client.complete(
                standing.run_id, status, error=error, progress=progress, worker_id=self._worker_id
            )

        try:
            standing.keep(self._repeated(lambda: complete(standing.usage), outage).run)
        except InvalidArgument:
            # Usage that the server had no chance to refuse before: the run ends without it.
            self._repeated(lambda: complete(None), outage)
            raise
        except RunError as refusal:
            standing.refused(refusal)

    def _acknowledge(self, outage: float) -> None:
        standing = self._known

        def acknowledge() -> Any:
            return self._client.acknowledge_cancel(
                standing.run_id, worker_id=self._worker_id, progress=standing.usage
            )

        try:
            standing.learn(self._repeated(acknowledge, outage).run)
        except RunError as refusal:
            standing.lose(refusal)

    def _leave_usage(self) -> None:
        """Say once what a run cost that is lost; whose it is now, its usage is too."""
        standing = self._known
        try:
            self._client.update_progress(
                standing.run_id, standing.usage, final=True, worker_id=self._worker_id
            )
        except RunError as refusal:
            if not is_passing(refusal):
                standing.lose(refusal)

    def _repeated(self, report: Callable[[], _Answer], outage: float) -> _Answer:
        patience = Patience(outage)
        while True:
            try:
                return report()
            except RunError as error:
                pause = patience.pause(error)
                if pause is None:
                    raise
            time.sleep(pause)

    def _beat(self) -> None:
        standing, backoff = self._known, Backoff()
        interval, worker_id = standing.heartbeat_interval, self._worker_id
        if interval is None or worker_id is None:
            return
        pause = interval
        while not standing.lost and not self._over.wait(pause):
            try:
                timeout = min(interval, self._client.timeout)
                run = self._client.heartbeat(standing.run_id, worker_id, timeout=timeout)
            except RunError as error:
                pause = min(interval, backoff.pause(error))
                self._take(error)
            else:
                backoff.reset()
                pause = interval
                self._learn(run)

    def _listen(self) -> None:
        standing, backoff, pause = self._known, Backoff(), 0.0
        while not standing.is_over and not self._over.wait(pause):
            try:
                self._follow()
            except RunError as error:
                self._take(error)
                pause = backoff.pause(error)

    def _follow(self) -> None:
        standing = self._known
        self._watch = self._client.watch(
            standing.run_id, after_revision=standing.run.revision, resnapshot=True
        )
        if self._over.is_set():
            # The block was left before it could see the watch.
            self._watch.close()
        for event in self._watch:
            if event.HasField("run"):
                self._learn(event.run, is_removed=event.event == _DELETED)

    def _learn(self, run: Run, *, is_removed: bool = False) -> None:
        """What the background was told of the run; behind the block the report alone counts, which ends it too."""
        if not self._left.is_set():
            self._known.learn(run)
            if is_removed:
                self._known.lost = True
            self._look()

    def _take(self, error: RunError) -> None:
        """How a call of the background failed: only what tells of the run counts, all else is tried again."""
        if not self._left.is_set():
            with suppress(RunError):
                self._known.refused(error)
            self._look()

    def _look(self) -> None:
        """Stop the work if the run is over."""
        if self._known.is_over:
            self.stopped.set()

    def _safely(self, work: Callable[[], None]) -> None:
        """Do what is done in the background; if the program fails there, the work cannot go on."""
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - raised again where the block ends.
            self._failure = failure
            self.stopped.set()

    def _leave_background(self) -> None:
        self._over.set()
        if self._watch is not None:
            self._watch.close()
        for thread in self._background:
            thread.join()
