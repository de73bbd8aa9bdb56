"""A worker for asyncio: it claims runs and executes them."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from runsvc.client.aio.claims import Claims
from runsvc.client.aio.execution import AsyncExecution
from runsvc.client.aio.thread_execution import ThreadExecution, call_in_thread
from runsvc.client.error import RunError
from runsvc.client.execution import CLAIM_WAIT, LEASE_TTL
from runsvc.client.outcome import outcome
from runsvc.client.structs import JsonObject
from runsvc.client.worker import (
    GRACE,
    WorkerHealth,
    WorkerOptions,
    WorkerState,
    checked_result,
    grace_of,
)
from runsvc.client.worker_id import new_worker_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from runsvc.client.aio.runs import AsyncRunCalls
    from runsvc.v1.run_pb2 import Run

_log: Final = logging.getLogger("runsvc.client")

ThreadHandler: TypeAlias = Callable[[ThreadExecution], JsonObject | None]
"""A plain function that executes a run in a thread, and returns its result or None."""

AsyncHandler: TypeAlias = Callable[[AsyncExecution], Awaitable[JsonObject | None]]
"""A coroutine function that executes a run, and returns its result or None."""


class AsyncWorker:
    """Claims the runs of its assistants and executes each with a handler, as `AsyncRunClient.execute` does.

    The handler is a coroutine function that takes an `AsyncExecution`, or a plain function that takes a
    `ThreadExecution` and runs in a thread. It returns the result, a dict, or None. If it raises, the run ends as ERROR
    with the text of the exception; after a `RetryableError` or an exception of `retry_on` the run gets another attempt,
    if it has one left. A cancel of the run stops the handler as in `execute`.

        async def answer(execution: AsyncExecution) -> dict[str, str]:
            return {"output": await model(execution.run.kwargs["input"])}

        async with AsyncRunClient() as client:
            worker = AsyncWorker(client, answer, assistants=["chat"], concurrency=4)
            await worker.run()

    The worker survives outages of the server. `stop` ends it.
    """

    def __init__(
        self,
        client: AsyncRunCalls,
        handler: AsyncHandler | ThreadHandler,
        *,
        assistants: Sequence[str] = (),
        any_assistant: bool = False,
        concurrency: int = 1,
        worker_id: str = "",
        lease_ttl: float = LEASE_TTL,
        grace: float = GRACE,
        wait: float = CLAIM_WAIT,
        outage: float | None = None,
        fence: bool = False,
        retry_on: tuple[type[Exception], ...] = (),
    ) -> None:
        """Create a worker. `run` starts it.

        - `assistants` names 1 to 16 assistants. `any_assistant` claims every run instead.
        - `concurrency` is how many runs it executes at a time. It claims no more runs than it can start at once.
        - `worker_id`, `lease_ttl`, `outage` and `fence` are as in `execute`.
        - `grace` is how long runs may go on after `stop`, in seconds.
        - `wait` is how long the server lets a claim wait for a run, 0 to 60 seconds.
        - `retry_on` lists types of exceptions that are reported as retryable.

        Raises ValueError for options that the server would refuse.
        """
        self._options = WorkerOptions(
            assistants=tuple(assistants),
            any_assistant=any_assistant,
            concurrency=concurrency,
            worker_id=worker_id or new_worker_id(),
            lease_ttl=lease_ttl,
            grace=grace,
            wait=wait,
            outage=outage,
            fence=fence,
            retry_on=retry_on,
        )
        self._client = client
        self._handler: Any = handler
        self._threads: ThreadPoolExecutor | None = None
        self._state = WorkerState.STARTING
        self._stopping = asyncio.Event()
        #: Set when a run has ended, or the worker stops.
        self._changed = asyncio.Event()
        self._claims = Claims(client, self._options, self._stopping)
        self._executions: dict[asyncio.Task[None], AsyncExecution] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def worker_id(self) -> str:
        """The id under which the worker claims and executes runs."""
        return self._options.worker_id

    @property
    def health(self) -> WorkerHealth:
        """What the worker does now."""
        claims = self._claims
        return WorkerHealth(
            state=claims.state if self._state is WorkerState.STARTING else self._state,
            running=len(self._executions),
            last_claim_at=claims.last_at,
            disconnected_since=claims.disconnected_since,
            failure=claims.failure,
        )

    async def run(self) -> None:
        """Claim and execute runs until `stop`, and then until the last one has ended. A worker runs once.

        A cancellation of the task stops the worker without grace.

        Raises `RunError` if claims are refused for good, such as with PERMISSION_DENIED: after the runs have ended.
        """
        if self._loop is not None:
            raise RuntimeError("This worker has run already. Create another one.")
        self._loop = asyncio.get_running_loop()
        working = asyncio.create_task(self._work())
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            self.stop(0)
            await asyncio.wait([working])
            raise

    def stop(self, grace: float | None = None) -> None:
        """Claim no more runs. After `grace` seconds stop the handlers as by a cancel, and give their runs back.

        None is the grace of the worker. A later call may shorten it. It returns at once, and any thread and any signal
        handler may call it.
        """
        seconds = grace_of(grace, self._options.grace)
        if self._loop is None:
            self._stopping.set()
            return
        with suppress(RuntimeError):
            # The loop may be closed: then the worker has ended.
            self._loop.call_soon_threadsafe(self._begin_stop, seconds)

    async def __aenter__(self) -> Self:
        """Run the worker in a task beside the block."""
        self._running = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the worker, and wait for its runs."""
        if self._running is not None:
            self.stop()
            await self._running

    async def _work(self) -> None:
        try:
            await self._claim_runs()
        finally:
            if not self._stopping.is_set():
                # Claims are refused for good.
                self._begin_stop(self._options.grace)
            self._state = WorkerState.DRAINING
            while self._executions:
                await asyncio.wait(self._executions)
            if self._threads is not None:
                self._threads.shutdown()
            self._state = WorkerState.STOPPED

    async def _claim_runs(self) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            free = self._options.claimable(len(self._executions))
            if not free:
                await self._changed.wait()
                continue
            runs, lease_begin = await self._claims.next_runs(free)
            for run in runs:
                self._begin(run, lease_begin)

    def _begin(self, run: Run, lease_begin: float) -> None:
        options = self._options
        execution = AsyncExecution(
            self._client,
            run,
            options.worker_id,
            options.lease_ttl,
            options.outage,
            options.fence,
            claimed=lease_begin,
        )
        task = asyncio.create_task(self._execute(execution, run.run_id))
        self._executions[task] = execution
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            # Retrieved, so that asyncio does not log it.
            task.exception()
        del self._executions[task]
        self._changed.set()

    async def _execute(self, execution: AsyncExecution, run_id: str) -> None:
        """Execute a run. Its failure is reported to the server, and does not concern the worker."""
        try:
            async with execution:
                try:
                    result = checked_result(await self._call_handler(execution))
                except self._options.retry_on:
                    execution.retryable = True
                    raise
                if result is not None:
                    execution.result = result
        except RunError as error:
            _log.warning("Run %s: %s", run_id, error)
        except BaseException as failure:
            _log.warning("Run %s failed: %s", run_id, outcome(failure)[1], exc_info=failure)
            if not isinstance(failure, Exception):
                raise

    async def _call_handler(self, execution: AsyncExecution) -> JsonObject | None:
        if _is_coroutine_function(self._handler):
            result: JsonObject | None = await self._handler(execution)
            return result
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._options.concurrency, "run")
        return await call_in_thread(self._handler, execution, self._threads)

    def _begin_stop(self, grace: float) -> None:
        self._stopping.set()
        self._changed.set()
        self._state = WorkerState.DRAINING
        loop = asyncio.get_running_loop()
        if grace == 0:
            self._release_runs()
        elif grace <= _LONGEST_GRACE:
            loop.call_later(grace, self._release_runs)

    def _release_runs(self) -> None:
        for execution in self._executions.values():
            execution.release()


#: A longer grace does not end: a timer cannot be of any length.
_LONGEST_GRACE: Final = 86_400.0 * 365


def _is_coroutine_function(handler: Any) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(type(handler), "__call__", None)  # noqa: B004 - not a check for callability.
    )
