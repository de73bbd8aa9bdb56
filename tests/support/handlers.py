"""Workers of both clients, and handlers whose runs last until the test ends them."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from runsvc.client import AsyncRunClient, AsyncWorker, RunClient, Worker
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.v1.run_pb2 import Progress, Run

#: How a handler is run.
HANDLER_KINDS: Final = ("task", "thread of a loop", "thread")

WORKER: Final = "w1"


@dataclass
class Handler:
    """A handler whose runs last until the test ends them."""

    kind: str
    outcome: Any = None
    #: What it does first, with the execution.
    report: Progress | None = None
    begun: list[Run] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)
    #: It goes on when it is asked to stop.
    stubborn: bool = False

    @property
    def function(self) -> Any:
        return self._in_task if self.kind == "task" else self._in_thread

    async def _in_task(self, execution: Any) -> Any:
        self.begun.append(execution.run)
        try:
            if self.report:
                await execution.update_progress(self.report)
            while not self.end.is_set():  # noqa: ASYNC110 - the event is shared with threads.
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.stopped.append(execution.run.run_id)
            if not self.stubborn:
                raise
        return self._ended()

    def _in_thread(self, execution: Any) -> Any:
        self.begun.append(execution.run)
        try:
            if self.report:
                execution.update_progress(self.report)
            while not self.end.is_set():
                execution.check()
                time.sleep(0.005)
        except BaseException:
            self.stopped.append(execution.run.run_id)
            if not self.stubborn:
                raise
        return self._ended()

    def _ended(self) -> Any:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@asynccontextmanager
async def running(target: str, handler: Handler, **given: Any) -> AsyncIterator[Any]:
    """Run a worker of the handler's kind. Its failure is raised at the end."""
    options: dict[str, Any] = {"assistants": ["a"], "worker_id": WORKER, "grace": 0} | given
    function = handler.function
    if handler.kind == "thread":
        with RunClient(target, token=None, tls_ca=None, timeout=PATIENCE) as client:
            worker = Worker(client, function, **options)
            async with _stopped_at_end(worker, asyncio.to_thread(worker.run)):
                yield worker
    else:
        async with AsyncRunClient(target, token=None, tls_ca=None, timeout=PATIENCE) as aclient:
            aworker = AsyncWorker(aclient, function, **options)
            async with _stopped_at_end(aworker, aworker.run()):
                yield aworker


@asynccontextmanager
async def _stopped_at_end(worker: Any, work: Any) -> AsyncIterator[None]:
    running = asyncio.create_task(work)
    try:
        yield
    finally:
        worker.stop()
        await running
