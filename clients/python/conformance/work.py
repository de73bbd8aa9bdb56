"""A function that executes a run and does what the suite says next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runsvc.client import AsyncExecution
    from runsvc.v1.run_pb2 import Progress, Run


class _End(NamedTuple):
    progress: Progress
    error: str | None = None


class Work:
    """One execution on its way."""

    def __init__(self, execution: AsyncExecution) -> None:
        self._execution = execution
        self._begun, self._told_to_stop = asyncio.Event(), asyncio.Event()
        self._end: asyncio.Future[_End] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._execute())

    async def _execute(self) -> None:
        async with self._execution as execution:
            self._begun.set()
            try:
                end = await asyncio.shield(self._end)
            except asyncio.CancelledError:
                self._told_to_stop.set()
                execution.progress.MergeFrom((await self._end).progress)
                raise
            execution.progress.MergeFrom(end.progress)
            if end.error is not None:
                raise RuntimeError(end.error)

    async def started(self) -> Run:
        """The run once the function works; how it was refused is raised."""
        await self._first(self._begun)
        return self._execution.run

    async def report(self, progress: Progress) -> bool:
        return await self._execution.update_progress(progress)

    @property
    def is_executing(self) -> bool:
        return not self._task.done() and not self._told_to_stop.is_set()

    async def finish(self, progress: Progress, error: str | None) -> Run:
        """The run after the function has returned, or raised the error."""
        self._end.set_result(_End(progress, error))
        await asyncio.wait([self._task])
        if error is None or str(self._task.exception()) != error:
            await self._task
        return self._execution.run

    async def stopped(self, progress: Progress) -> AsyncExecution:
        """The execution after the function was told to stop, and has returned."""
        await self._first(self._told_to_stop)
        self._end.set_result(_End(progress))
        await self._task
        return self._execution

    async def _first(self, event: asyncio.Event) -> None:
        """Return when it happens; raise what ends the function before."""
        happening = asyncio.create_task(event.wait())
        await asyncio.wait([happening, self._task], return_when=asyncio.FIRST_COMPLETED)
        happening.cancel()
        if not event.is_set():
            await self._task
