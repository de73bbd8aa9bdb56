"""A worker whose handlers wait for the suite's commands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clients.python.conformance.driven_execution import apply
from runsvc.client import AsyncExecution, AsyncWorker, RetryableError

if TYPE_CHECKING:
    from clients.python.conformance.driven_execution import End
    from runsvc.client import AsyncRunClient


class _Call:
    """One call of the handler."""

    def __init__(self, execution: AsyncExecution) -> None:
        self.execution = execution
        self.end: asyncio.Future[tuple[End, bool]] = asyncio.get_running_loop().create_future()
        self._task = asyncio.current_task()

    async def ended(self) -> AsyncExecution:
        """Wait until the end of the run was reported."""
        if self._task is not None:
            await asyncio.wait([self._task])
        return self.execution


class DrivenWorker:
    """A worker in a task of its own."""

    def __init__(self, client: AsyncRunClient, **options: Any) -> None:
        self._worker = AsyncWorker(client, self._handle, **options)
        #: The calls that no command has asked for yet.
        self._called = asyncio.Queue[_Call]()
        self._calls: dict[str, _Call] = {}
        self._task = asyncio.create_task(self._worker.run())

    async def _handle(self, execution: AsyncExecution) -> None:
        call = self._calls[execution.run.run_id] = _Call(execution)
        self._called.put_nowait(call)
        end, is_retryable = await call.end
        apply(execution, end)
        if end.error is not None:
            raise (RetryableError if is_retryable else RuntimeError)(end.error)

    async def next(self) -> AsyncExecution:
        """Wait for the next call of the handler."""
        return (await self._called.get()).execution

    async def finish(self, run_id: str, end: End, *, is_retryable: bool) -> AsyncExecution:
        """Let a call of the handler end, and wait for its report."""
        call = self._calls[run_id]
        call.end.set_result((end, is_retryable))
        return await call.ended()

    async def stopped(self, run_id: str) -> AsyncExecution:
        """Wait until a call of the handler was stopped, and its end reported."""
        return await self._calls[run_id].ended()

    async def stop(self) -> None:
        """Stop the worker, and wait for its end."""
        self._worker.stop()
        await self._task

    @property
    def health(self) -> dict[str, Any]:
        """The state, and the number of runs in progress."""
        health = self._worker.health
        return {"state": health.state.value, "running": health.running}
