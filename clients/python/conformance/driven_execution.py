"""An execution that the suite's commands drive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runsvc.client import AsyncExecution
    from runsvc.v1.run_pb2 import Progress, Run


class _End(NamedTuple):
    progress: Progress
    error: str | None = None


class DrivenExecution:
    """An execution in a task of its own."""

    def __init__(self, execution: AsyncExecution) -> None:
        self._execution = execution
        self._started, self._stop_seen = asyncio.Event(), asyncio.Event()
        #: How the suite ends the block.
        self._end: asyncio.Future[_End] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._execute())

    async def _execute(self) -> None:
        async with self._execution as execution:
            self._started.set()
            try:
                end = await asyncio.shield(self._end)
            except asyncio.CancelledError:
                self._stop_seen.set()
                execution.progress.MergeFrom((await self._end).progress)
                raise
            execution.progress.MergeFrom(end.progress)
            if end.error is not None:
                raise RuntimeError(end.error)

    async def started(self) -> Run:
        """Return the run once it is started. Raise the error of a failed start."""
        await self._wait_for(self._started)
        return self._execution.run

    async def report(self, progress: Progress) -> bool:
        """Report progress. Return whether it was applied."""
        return await self._execution.update_progress(progress)

    @property
    def is_executing(self) -> bool:
        """Whether the block runs and was not stopped."""
        return not self._task.done() and not self._stop_seen.is_set()

    async def finish(self, progress: Progress, error: str | None) -> Run:
        """Leave the block, with `error` as an exception if given. Return the run."""
        self._end.set_result(_End(progress, error))
        await asyncio.wait([self._task])
        if error is None or str(self._task.exception()) != error:
            await self._task
        return self._execution.run

    async def stopped(self, progress: Progress) -> AsyncExecution:
        """Wait until the block is stopped, leave it, and return the execution."""
        await self._wait_for(self._stop_seen)
        self._end.set_result(_End(progress))
        await self._task
        return self._execution

    async def _wait_for(self, event: asyncio.Event) -> None:
        """Wait for an event. Raise the error of the block if it ends first."""
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not event.is_set():
            await self._task
