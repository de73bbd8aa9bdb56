"""The worker's side for asyncio: a run is executed for as long as a block lasts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runsvc.client.error import InvalidArgument, RunError
from runsvc.client.execution import KnownRun, Patience, ending, is_passing
from runsvc.client.retry import Backoff
from runsvc.v1.run_pb2 import RunStatus, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import TracebackType
    from typing import Self

    from runsvc.client.aio.client import AsyncRunClient
    from runsvc.v1.run_pb2 import Progress, Run

_Answer = TypeVar("_Answer")

_DELETED: Final = StatusEvent.STATUS_EVENT_DELETED


class AsyncExecution:
    """A run that the present task executes.

    Entering the block starts the run, leaving it reports the end: SUCCESS, or ERROR with what was raised, which goes on
    its way. Meanwhile heartbeats are sent. When the run is cancelled, the block's task is: what it awaits raises
    CancelledError, its `finally` blocks run, the cancel is acknowledged, and the program goes on behind the block,
    where `cancelled` tells of it. So it does, with `lost`, when the run has ended otherwise or is another worker's. A
    cancellation from anywhere else ends the run as ERROR and goes on its way.
    """

    def __init__(
        self,
        client: AsyncRunClient,
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
        self._background: list[asyncio.Task[None]] = []
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        #: Whether the task was cancelled for the run's sake.
        self._stopping = False
        self._failure: BaseException | None = None

    @property
    def run(self) -> Run:
        """Newest known state, with kwargs; while the block is being cancelled, with the cancellation."""
        return self._known.run

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled, or displaced by a newer one."""
        return self._known.cancelled

    @property
    def lost(self) -> bool:
        """Whether the run has ended otherwise, was removed, or is another worker's."""
        return self._known.lost

    @property
    def progress(self) -> Progress:
        """Usage so far. What is put into it is reported at the end, also when the run was cancelled or is lost."""
        return self._known.progress

    async def update_progress(self, progress: Progress | None = None) -> bool:
        """Report usage now: the fields that are set replace what was told of them before. Whether it was taken.

        While there is no server this returns nevertheless: the next report, at the latest the last, makes up for it.
        InvalidArgument.
        """
        standing, applied = self._known, False
        total = standing.with_progress(progress)
        try:
            answer = await self._client.update_progress(
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
        # A cancel arrives here.
        await asyncio.sleep(0)
        return applied

    async def __aenter__(self) -> Self:
        asked = self._asked
        run = await self._client.get(asked) if isinstance(asked, str) else asked
        try:
            await self._settled(self._start(run))
        except asyncio.CancelledError as stopped:
            if self._standing is not None:
                await self._settled(self._finish(stopped))
            raise
        task = self._task = asyncio.current_task()
        self._cancelling = task.cancelling() if task else 0
        self._background = [asyncio.create_task(self._listen()), asyncio.create_task(self._beat())]
        for each in self._background:
            each.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        failure: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        task, self._task = self._task, None
        is_ours = False
        if task is not None and self._stopping:
            is_last = task.uncancel() <= self._cancelling
            is_ours = is_last and isinstance(failure, asyncio.CancelledError)
        try:
            await self._settled(self._finish(self._failure or failure))
        except RunError as error:
            if failure is None or is_ours:
                raise
            failure.add_note(f"The end of run {self.run.run_id} could not be reported: {error}")
        finally:
            await self._leave_background()
        if self._failure is not None:
            raise self._failure
        return is_ours

    @property
    def _known(self) -> KnownRun:
        if self._standing is None:
            raise RuntimeError("the run has not been started: use async with")
        return self._standing

    async def _start(self, run: Run) -> None:
        started = await self._repeated(
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

    async def _finish(self, failure: BaseException | None) -> None:
        """Report the end, in the way that the run's standing asks for."""
        # Whoever stops the work from outside is in a hurry.
        is_stopped = failure is not None and not isinstance(failure, Exception)
        standing = self._known
        patience = standing.outage if self._outage is None else self._outage
        outage = self._client.timeout if is_stopped else patience
        if not standing.is_over:
            await self._complete(failure, outage)
        if standing.cancelled:
            await self._acknowledge(outage)
        if standing.lost and standing.usage:
            await self._leave_usage()

    async def _complete(self, failure: BaseException | None, outage: float) -> None:
        standing = self._known
        status, error = ending(failure)

        def complete(progress: Progress | None) -> Awaitable[Any]:
            return self._client.complete(
                standing.run_id, status, error=error, progress=progress, worker_id=self._worker_id
            )

        try:
            standing.keep((await self._repeated(lambda: complete(standing.usage), outage)).run)
        except InvalidArgument:
            # Usage that the server had no chance to refuse before: the run ends without it.
            await self._repeated(lambda: complete(None), outage)
            raise
        except RunError as refusal:
            standing.refused(refusal)

    async def _acknowledge(self, outage: float) -> None:
        standing = self._known

        def acknowledge() -> Awaitable[Any]:
            return self._client.acknowledge_cancel(
                standing.run_id, worker_id=self._worker_id, progress=standing.usage
            )

        try:
            standing.learn((await self._repeated(acknowledge, outage)).run)
        except RunError as refusal:
            standing.lose(refusal)

    async def _leave_usage(self) -> None:
        """Say once what a run cost that is lost; whose it is now, its usage is too."""
        standing = self._known
        try:
            await self._client.update_progress(
                standing.run_id, standing.usage, final=True, worker_id=self._worker_id
            )
        except RunError as refusal:
            if not is_passing(refusal):
                standing.lose(refusal)

    async def _repeated(self, report: Callable[[], Awaitable[_Answer]], outage: float) -> _Answer:
        patience = Patience(outage)
        while True:
            try:
                return await report()
            except RunError as error:
                pause = patience.pause(error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _settled(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it come to its end also when the present task is cancelled, but not for longer than a call may take."""
        settling = asyncio.create_task(work)
        try:
            await asyncio.shield(settling)
        except asyncio.CancelledError:
            try:
                await asyncio.wait([settling], timeout=self._client.timeout)
            finally:
                settling.cancel()
            raise

    async def _beat(self) -> None:
        standing, backoff = self._known, Backoff()
        interval, worker_id = standing.heartbeat_interval, self._worker_id
        if interval is None or worker_id is None:
            return
        pause = interval
        while not standing.lost:
            await asyncio.sleep(pause)
            try:
                timeout = min(interval, self._client.timeout)
                run = await self._client.heartbeat(standing.run_id, worker_id, timeout=timeout)
            except RunError as error:
                pause = min(interval, backoff.pause(error))
                self._take(error)
            else:
                backoff.reset()
                pause = interval
                self._learn(run)

    async def _listen(self) -> None:
        standing, backoff = self._known, Backoff()
        while not standing.is_over:
            try:
                await self._watch()
            except RunError as error:
                self._take(error)
                await asyncio.sleep(backoff.pause(error))

    async def _watch(self) -> None:
        standing = self._known
        watch = self._client.watch(
            standing.run_id, after_revision=standing.run.revision, resnapshot=True
        )
        async with watch as events:
            async for event in events:
                if event.HasField("run"):
                    self._learn(event.run, is_removed=event.event == _DELETED)

    def _learn(self, run: Run, *, is_removed: bool = False) -> None:
        """What the background was told of the run; behind the block the report alone counts, which ends it too."""
        if self._task is not None:
            self._known.learn(run)
            if is_removed:
                self._known.lost = True
            self._look()

    def _take(self, error: RunError) -> None:
        """How a call of the background failed: only what tells of the run counts, all else is tried again."""
        if self._task is not None:
            with suppress(RunError):
                self._known.refused(error)
            self._look()

    def _look(self) -> None:
        """Stop the work if the run is over."""
        if self._known.is_over or self._failure:
            self._stop()

    def _stop(self) -> None:
        if self._task is not None and not self._stopping:
            self._stopping = True
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Something in the background has ended; if by a failure of the program's, the work cannot go on."""
        if not task.cancelled() and (failure := task.exception()):
            self._failure = failure
            self._stop()

    async def _leave_background(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
