"""An execution that the suite's commands drive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from runsvc.client import AsyncExecution
    from runsvc.v1.run_pb2 import Progress, Run


class End(NamedTuple):
    """How the suite ends the block."""

    progress: Progress
    error: str | None = None
    result: dict[str, Any] | None = None
    stop_reason: str | None = None
    #: Another failure of the block: "no_text" or "panic".
    throws: str | None = None


class _NoText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class _Panic(BaseException):
    """A failure that is no Exception."""


_THROWN: Final = {"no_text": _NoText, "panic": _Panic}


class DrivenExecution:
    """An execution in a task of its own."""

    def __init__(self, execution: AsyncExecution) -> None:
        self._execution = execution
        self._started, self._stop_seen = asyncio.Event(), asyncio.Event()
        #: How the suite ends the block.
        self._end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._execute())

    async def _execute(self) -> None:
        async with self._execution as execution:
            self._started.set()
            try:
                end = await asyncio.shield(self._end)
            except asyncio.CancelledError:
                self._stop_seen.set()
                apply(execution, await self._end)
                raise
            apply(execution, end)
            if end.throws is not None:
                raise _THROWN[end.throws]
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

    async def finish(self, end: End) -> Run:
        """Leave the block, with its error as an exception if given. Return the run."""
        self._end.set_result(end)
        await asyncio.wait([self._task])
        failure = self._task.exception()
        is_own = (
            isinstance(failure, _THROWN[end.throws]) if end.throws else str(failure) == end.error
        )
        if not is_own:
            await self._task
        return self._execution.run

    async def stopped(self, end: End) -> AsyncExecution:
        """Wait until the block is stopped, leave it, and return the execution."""
        await self._wait_for(self._stop_seen)
        self._end.set_result(end)
        await self._task
        return self._execution

    async def _wait_for(self, event: asyncio.Event) -> None:
        """Wait for an event. Raise the error of the block if it ends first."""
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not event.is_set():
            await self._task


def apply(execution: AsyncExecution, end: End) -> None:
    execution.progress.MergeFrom(end.progress)
    execution.result, execution.stop_reason = end.result, end.stop_reason
