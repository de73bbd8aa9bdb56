"""Executors with either client, for runs that last until the test ends them."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runsvc.client import AsyncRunClient, RunClient
from tests.support.waiting import until

if TYPE_CHECKING:
    from runsvc.v1.run_pb2 import Progress, Run

WORKER = "w1"


@dataclass
class Work:
    """The instructions for an executor, and its results."""

    run: Run | str
    worker_id: str | None = WORKER
    lease_ttl: float | None = 30
    outage: float | None = None
    fence: bool = False
    usage: Progress | None = None
    failure: BaseException | None = None
    #: The exception that the clean-up raises.
    on_stop: BaseException | None = None
    #: Set by the executor when it has begun, and by the test to end the run.
    begun: threading.Event = field(default_factory=threading.Event)
    end: threading.Event = field(default_factory=threading.Event)
    execution: Any = None
    #: Whether the executor was stopped before the end.
    stopped: bool = False
    #: Whether the program continued after the block.
    went_on: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "worker_id": self.worker_id,
            "lease_ttl": self.lease_ttl,
            "outage": self.outage,
            "fence": self.fence,
        }

    async def starts(self) -> None:
        """Wait until the executor has begun."""
        await until(self.begun.is_set)


def working(client: AsyncRunClient | RunClient, work: Work) -> asyncio.Task[None]:
    """Start the executor, in a task or in a thread."""
    if isinstance(client, AsyncRunClient):
        return asyncio.create_task(_in_task(client, work))
    return asyncio.create_task(asyncio.to_thread(_in_thread, client, work))


async def _in_task(client: AsyncRunClient, work: Work) -> None:
    async with client.execute(work.run, **work.settings) as work.execution:
        try:
            if work.usage:
                await work.execution.update_progress(work.usage)
            work.begun.set()
            while not work.end.is_set():  # noqa: ASYNC110 - the event is shared with threads.
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            work.stopped = True
            raise (work.on_stop or asyncio.CancelledError) from None
        if work.failure:
            raise work.failure
    work.went_on = True


def _in_thread(client: RunClient, work: Work) -> None:
    with client.execute(work.run, **work.settings) as work.execution:
        if work.usage:
            work.execution.update_progress(work.usage)
        work.begun.set()
        try:
            while not work.end.is_set():
                work.execution.check()
                time.sleep(0.005)
        finally:
            work.stopped = not work.end.is_set()
            if work.stopped and work.on_stop:
                raise work.on_stop
        if work.failure:
            raise work.failure
    work.went_on = True
