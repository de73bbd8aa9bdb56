"""The execution of a run in an asyncio task."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from runsvc.client.aio.end_report import AsyncReports
from runsvc.client.aio.heartbeats import Heartbeat
from runsvc.client.error import RunError
from runsvc.client.fence import now
from runsvc.client.outcome import note
from runsvc.client.retry import Backoff
from runsvc.client.retry_window import is_transient
from runsvc.v1.run_pb2 import Run, RunStatus, StatusEvent
from runsvc.v1.run_service_pb2 import HeartbeatRequest

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType
    from typing import Self

    from runsvc.client.aio.runs import AsyncRunCalls
    from runsvc.client.fence import Fence
    from runsvc.v1.run_pb2 import Progress

_DELETED: Final = StatusEvent.STATUS_EVENT_DELETED


class AsyncExecution(AsyncReports):
    """A run that the current task executes, as an `async with` block.

    - Entering the block starts the run. During the block, heartbeats keep its lease. They are sent from a thread, so
      that work which blocks the event loop keeps it too. Such work is stopped late: only at its next await.
    - Leaving the block reports SUCCESS, or ERROR with the text of the exception, which is then raised again.
    - If the run is cancelled or displaced, the block's task is cancelled: the work's `finally` blocks run, the cancel
      is acknowledged, and the program continues after the block. `cancelled` is then true.
    - If the run ends otherwise, is removed, or gets another holder, the task is cancelled too. `lost` is then true.
    - A cancellation of the task by other code ends the run as ERROR and is raised again.
    """

    def __init__(
        self,
        client: AsyncRunCalls,
        run: Run | str,
        worker_id: str | None,
        lease_ttl: float | None,
        outage: float | None,
        fence: bool = False,
        claimed: float | None = None,
    ) -> None:
        """Create an execution. `AsyncRunClient.execute` and `AsyncWorker` are the public ways."""
        super().__init__(client, run, worker_id, lease_ttl, outage, fence, claimed)
        self._loop: asyncio.AbstractEventLoop
        self._background: list[asyncio.Task[None]] = []
        self._heartbeat: Heartbeat | None = None
        #: The task of the block, while it is in the block.
        self._task: asyncio.Task[Any] | None = None
        #: Cancellations that the task had when it entered the block.
        self._cancelling = 0
        #: Whether this execution cancelled the task.
        self._stopping = False
        #: Whether other code cancelled the task.
        self._is_cancelled_by_others = False

    async def update_progress(self, progress: Progress | None = None) -> bool:
        """Report usage: the fields that are set replace those of earlier reports. Return whether it was applied.

        Without a server it returns False. A later report, or the report of the end, then includes the usage.

        Raises `InvalidArgument`.
        """
        known, applied, sent = self._known, False, now()
        total = known.merged_progress(progress)
        try:
            answer = await self._client.update_progress(
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
        # If the run was cancelled, the task's cancellation is raised here.
        await asyncio.sleep(0)
        return applied

    async def __aenter__(self) -> Self:
        run = self._given_run() or await self._client.get(self._given_id)
        try:
            await self._finish_despite_cancel(self._start(run))
        except asyncio.CancelledError as cancellation:
            self._is_cancelled_by_others = True
            if self._known_run is not None:
                await self._finish_despite_cancel(self._report_end(cancellation))
            raise
        self._loop = asyncio.get_running_loop()
        task = self._task = asyncio.current_task()
        self._cancelling = task.cancelling() if task else 0
        self._background = [asyncio.create_task(self._follow_run())]
        if self._fence is not None:
            self._background.append(asyncio.create_task(self._watch_fence(self._fence)))
        self._start_heartbeats()
        # The run may have been cancelled, or be given back, before the block was entered.
        self._stop_if_needed()
        for each in self._background:
            each.add_done_callback(self._background_ended)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        failure: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        self._left = True
        task, self._task = self._task, None
        is_own_cancel = False
        if task is not None:
            cancels = task.uncancel() if self._stopping else task.cancelling()
            self._is_cancelled_by_others = cancels > self._cancelling
            is_own_cancel = (
                self._stopping
                and not self._is_cancelled_by_others
                and isinstance(failure, asyncio.CancelledError)
            )
        try:
            await self._finish_despite_cancel(
                self._report_end(failure if self._failure is None else self._failure)
            )
        except Exception as error:
            if failure is None or is_own_cancel:
                raise
            note(failure, f"The end of run {self.run.run_id} could not be reported: {error}")
        finally:
            await self._end_background()
        if self._failure is not None:
            raise self._failure
        return is_own_cancel

    @property
    def stopping(self) -> bool:
        """Whether the work was stopped: the run was cancelled or lost, or its worker stops."""
        return self._stopping

    def release(self) -> None:
        """Stop the work as a cancel does, and give the run back: it becomes PENDING again."""
        self._is_released = True
        if self._task is not None:
            self._stop()

    def _is_interrupt(self, failure: BaseException | None) -> bool:
        return super()._is_interrupt(failure) or self._is_cancelled_by_others

    async def _start(self, run: Run) -> None:
        if self._claimed is not None:
            await self._take_over(run, self._claimed)
            return
        sent = now()
        started = await self._repeat(
            lambda: self._client.set_status(
                run.run_id,
                RunStatus.RUN_STATUS_RUNNING,
                worker_id=self._worker_id,
                lease_ttl=self._lease_ttl,
            ),
            self._client.timeout,
        )
        self._record_start(started.run, run.kwargs, sent)

    async def _take_over(self, run: Run, claimed: float) -> None:
        """Begin with a run that was claimed. Renew its lease first if the claim may be old."""
        self._record_start(run, run.kwargs, claimed)
        known, worker_id = self._known, self._worker_id
        if worker_id is None or not self._is_renewal_due:
            return
        sent = now()
        renewed = await self._repeat(
            lambda: self._client.heartbeat(known.run_id, worker_id, attempt=known.attempt),
            self._client.timeout,
        )
        self._record_renewal(sent)
        known.update(renewed)

    async def _finish_despite_cancel(self, work: Coroutine[Any, Any, None]) -> None:
        """Await `work`. If the current task is cancelled, let it run on for at most one call's timeout."""
        running = asyncio.create_task(work)
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            try:
                await asyncio.wait([running], timeout=self._client.timeout)
            finally:
                running.cancel()
            raise

    def _start_heartbeats(self) -> None:
        known, worker_id = self._known, self._worker_id
        interval = known.heartbeat_interval
        if interval is None or worker_id is None:
            return
        timeout = min(interval, self._client.timeout)
        if self._client.heartbeats is None:
            sending = self._send_heartbeats(worker_id, interval, timeout, time.monotonic())
            self._background.append(asyncio.create_task(sending))
            return
        request = HeartbeatRequest(run_id=known.run_id, worker_id=worker_id, attempt=known.attempt)
        self._heartbeat = Heartbeat(
            request, interval, timeout, self._client.metadata, self._heartbeat_answered
        )
        self._client.heartbeats.start(self._heartbeat, self._loop)

    def _heartbeat_answered(self, answer: Run | BaseException, sent: float) -> bool:
        """Take an answer to the event loop. Return whether heartbeats go on. Another thread calls this."""
        if isinstance(answer, Run):
            self._record_renewal(sent)
        try:
            self._loop.call_soon_threadsafe(self._record_heartbeat, answer)
        except RuntimeError:
            # The loop was closed inside the block.
            return False
        return isinstance(answer, (Run, RunError))

    def _record_heartbeat(self, answer: Run | BaseException) -> None:
        if isinstance(answer, Run):
            self._record_run(answer)
        elif isinstance(answer, RunError):
            self._record_failure(answer)
        elif not self._left:
            self._failure = answer
            self._stop()
        if self._known.lost:
            self._end_heartbeats()

    def _end_heartbeats(self) -> None:
        if self._heartbeat is not None and self._client.heartbeats is not None:
            self._client.heartbeats.end(self._heartbeat)

    async def _send_heartbeats(
        self, worker_id: str, interval: float, timeout: float, started: float
    ) -> None:
        """Send heartbeats from the event loop, for a client with interceptors."""
        known, backoff, due = self._known, Backoff(), started + interval
        while not known.lost:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            self._warn_if_late(time.monotonic() - due, interval)
            sent = now()
            try:
                run = await self._client.heartbeat(
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
            due = time.monotonic() + pause

    async def _watch_fence(self, fence: Fence) -> None:
        while not self._known.must_stop:
            self._stop_if_fenced()
            await asyncio.sleep(fence.pause)

    async def _follow_run(self) -> None:
        known, backoff = self._known, Backoff()
        while not known.must_stop:
            try:
                await self._watch_run()
            except RunError as error:
                self._record_failure(error)
                await asyncio.sleep(backoff.pause_after(error))

    async def _watch_run(self) -> None:
        known = self._known
        watch = self._client.watch(known.run_id, after_revision=known.run.revision, resnapshot=True)
        async with watch as events:
            async for event in events:
                if event.HasField("run"):
                    self._record_run(event.run, is_removed=event.event == _DELETED)

    def _stop(self) -> None:
        if self._task is not None and not self._stopping:
            self._stopping = True
            self._task.cancel()

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        """Stop the work if a background task failed unexpectedly."""
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure
            self._stop()

    async def _end_background(self) -> None:
        self._end_heartbeats()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
