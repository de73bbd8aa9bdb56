"""The execution of a run by a plain function, in a thread of its own beside the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any

from runsvc.client.execution import RunStopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from typing import TypeAlias

    from runsvc.client.aio.execution import AsyncExecution
    from runsvc.client.structs import JsonObject
    from runsvc.v1.run_pb2 import Progress, Run

    #: The value of a function, or its failure.
    _Outcome: TypeAlias = tuple[JsonObject | None, BaseException | None]


class ThreadExecution:
    """A run that a function executes in a thread. A worker passes it to the function.

    If the work must stop, because the run was cancelled or lost or the worker stops, `stopped` is set, and the next
    `check` or `update_progress` raises `RunStopped`: let it end the function.
    """

    def __init__(self, execution: AsyncExecution, loop: asyncio.AbstractEventLoop) -> None:
        """Create it. A worker is the public way."""
        self._execution = execution
        self._loop = loop
        self.stopped: threading.Event = threading.Event()
        """Set when the work must stop. Any thread may wait for it."""

    @property
    def run(self) -> Run:
        """Newest known state of the run, with kwargs. After a cancel it holds the cancellation."""
        return self._execution.run

    @property
    def worker_id(self) -> str | None:
        """The id under which the run is executed."""
        return self._execution.worker_id

    @property
    def cancelled(self) -> bool:
        """Whether the run was cancelled, or displaced by a newer run."""
        return self._execution.cancelled

    @property
    def lost(self) -> bool:
        """Whether the run ended otherwise, was removed, or has another holder."""
        return self._execution.lost

    @property
    def progress(self) -> Progress:
        """Usage so far. Changes are reported with the end."""
        return self._execution.progress

    @property
    def stop_reason(self) -> str | None:
        """Why the work stopped, such as token_capped. Set it: it is reported with the end."""
        return self._execution.stop_reason

    @stop_reason.setter
    def stop_reason(self, value: str | None) -> None:
        self._execution.stop_reason = value

    @property
    def retryable(self) -> bool:
        """Whether a failure of the work may succeed in another attempt. Set it before the failure is raised."""
        return self._execution.retryable

    @retryable.setter
    def retryable(self, value: bool) -> None:
        self._execution.retryable = value

    def check(self) -> None:
        """Raise `RunStopped` if the work must stop. It makes no call: call it often."""
        if self.stopped.is_set() or self._execution.stopping:
            raise RunStopped

    def update_progress(self, progress: Progress | None = None) -> bool:
        """Report usage: the fields that are set replace those of earlier reports. Return whether it was applied.

        Without a server it returns False. A later report, or the report of the end, then includes the usage.

        Raises `RunStopped` and `InvalidArgument`.
        """
        report = self._execution.update_progress(progress)
        applied = asyncio.run_coroutine_threadsafe(report, self._loop).result()
        self.check()
        return applied


async def call_in_thread(
    function: Callable[[ThreadExecution], JsonObject | None],
    execution: AsyncExecution,
    threads: Executor,
) -> JsonObject | None:
    """Call the function in a thread and return its value. A stop of the work waits for the function."""
    loop = asyncio.get_running_loop()
    view = ThreadExecution(execution, loop)
    context: Any = contextvars.copy_context()
    call: asyncio.Future[_Outcome] = loop.run_in_executor(
        threads, context.run, _outcome_of, function, view
    )
    while not call.done():
        try:
            await asyncio.wait([call])
        except asyncio.CancelledError:
            view.stopped.set()
    result, failure = call.result()
    if isinstance(failure, RunStopped) and view.stopped.is_set():
        raise asyncio.CancelledError from None
    if failure is not None:
        raise failure
    return result


def _outcome_of(
    function: Callable[[ThreadExecution], JsonObject | None], view: ThreadExecution
) -> _Outcome:
    """Call the function, and return its value or its failure.

    A future cannot hold every exception: with StopIteration, as of a bare `next`, it would never be done.
    """
    try:
        return function(view), None
    except BaseException as failure:  # noqa: BLE001 - raised again in the event loop.
        return None, failure
