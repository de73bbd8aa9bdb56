"""A worker for threads: it claims runs and executes each in a thread."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import TYPE_CHECKING

from runsvc.client.aio.client import AsyncRunClient
from runsvc.client.aio.worker import AsyncWorker
from runsvc.client.execution import CLAIM_WAIT, LEASE_TTL
from runsvc.client.worker import GRACE, WorkerHealth, WorkerOptions, WorkerState
from runsvc.client.worker_id import new_worker_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from runsvc.client.aio.worker import ThreadHandler
    from runsvc.client.sync.client import RunClient


class Worker:
    """Claims the runs of its assistants and executes each with a function, in threads.

    The function takes a `ThreadExecution`. It returns the result, a dict, or None. If it raises, the run ends as ERROR
    with the text of the exception; after a `RetryableError` or an exception of `retry_on` the run gets another attempt,
    if it has one left. If the run is cancelled, the next `check` or `update_progress` raises `RunStopped`.

        def answer(execution: ThreadExecution) -> dict[str, str]:
            return {"output": model(execution.run.kwargs["input"])}

        with RunClient() as client:
            Worker(client, answer, assistants=["chat"], concurrency=4).run()

    One event loop makes the calls of all runs, over a connection of its own with the settings of the client.
    """

    def __init__(
        self,
        client: RunClient,
        handler: ThreadHandler,
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
        """Create a worker. `run` starts it. The arguments are those of `AsyncWorker`.

        Raises ValueError for options that the server would refuse, and for a client with interceptors.
        """
        if client.has_interceptors:
            raise ValueError("The client has interceptors, which need threads. Use AsyncWorker")
        self._client = client
        self._handler = handler
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
        #: None until `run` has made it in its event loop.
        self._worker: AsyncWorker | None = None
        #: The grace of a stop that came before.
        self._stopped: tuple[float | None] | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def worker_id(self) -> str:
        """The id under which the worker claims and executes runs."""
        return self._options.worker_id

    @property
    def health(self) -> WorkerHealth:
        """What the worker does now."""
        if self._worker is None:
            return WorkerHealth(WorkerState.STARTING, 0)
        return self._worker.health

    def run(self) -> None:
        """Claim and execute runs until `stop`, and then until the last one has ended. A worker runs once.

        In the main thread, Ctrl-C stops the worker without grace and raises KeyboardInterrupt.

        Raises `RunError` if claims are refused for good, such as with PERMISSION_DENIED: after the runs have ended.
        """
        if self._worker is not None:
            raise RuntimeError("This worker has run already. Create another one.")
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with async_client_of(self._client) as client:
            self._worker = AsyncWorker(client, self._handler, **vars(self._options))
            if self._stopped is not None:
                self._worker.stop(*self._stopped)
            await self._worker.run()

    def stop(self, grace: float | None = None) -> None:
        """Claim no more runs. After `grace` seconds stop the functions as by a cancel, and give their runs back.

        None is the grace of the worker. A later call may shorten it. It returns at once, and any thread and any signal
        handler may call it.
        """
        self._stopped = (grace,)
        if self._worker is not None:
            self._worker.stop(grace)

    def __enter__(self) -> Self:
        """Run the worker in a thread beside the block."""
        self._thread = threading.Thread(target=self._run_safely, name=f"worker {self.worker_id}")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the worker, and wait for its runs."""
        if self._thread is not None:
            self.stop()
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run_safely(self) -> None:
        try:
            self.run()
        except BaseException as failure:  # noqa: BLE001 - raised again at the end of the block.
            self._failure = failure


def async_client_of(client: RunClient) -> AsyncRunClient:
    """Return a client with the same settings, and for the same owner, for the running event loop."""
    settings = client.settings
    token = settings.token
    made = AsyncRunClient(
        settings.target,
        # A function for threads may block.
        token=partial(asyncio.to_thread, token) if callable(token) else token,
        timeout=settings.timeout,
        **settings.tls,
    )
    made.metadata = client.metadata
    return made
