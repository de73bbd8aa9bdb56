"""The claims of a worker, across outages."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import uuid4

from runsvc.client.error import RunError
from runsvc.client.fence import now
from runsvc.client.retry import Backoff
from runsvc.client.worker import WorkerState, is_outage, lease_begin

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from runsvc.client.aio.runs import AsyncRunCalls
    from runsvc.client.worker import WorkerOptions
    from runsvc.v1.run_pb2 import Run

_Value = TypeVar("_Value")

_log: Final = logging.getLogger("runsvc.client")

#: Longest time for which a worker that stops looks for runs that it may have taken, in seconds.
_FAREWELL: Final = 5.0


@dataclass
class _Claim:
    """One claim, which is repeated with the same id until it is answered."""

    max_runs: int
    sent: float = field(default_factory=now)
    request_id: str = field(default_factory=lambda: uuid4().hex)
    is_repeated: bool = False


class Claims:
    """The claims of one worker. `stopping` ends them."""

    def __init__(
        self, client: AsyncRunCalls, options: WorkerOptions, stopping: asyncio.Event
    ) -> None:
        self._client = client
        self._options = options
        self._stopping = stopping
        #: When a claim was last answered, since when none is, and why.
        self.last_at: datetime | None = None
        self.disconnected_since: datetime | None = None
        self.failure: RunError | None = None

    @property
    def state(self) -> WorkerState:
        """The state of a worker that claims."""
        if self.disconnected_since is not None:
            return WorkerState.DISCONNECTED
        return WorkerState.STARTING if self.last_at is None else WorkerState.WORKING

    async def next_runs(self, max_runs: int) -> tuple[tuple[Run, ...], float]:
        """Return runs, and the earliest time from which their leases may count.

        Without runs none came, or the worker stops. Raise RunError if claims are refused for good.
        """
        claim, backoff = _Claim(max_runs), Backoff()
        while not self._stopping.is_set():
            try:
                return await self._send(claim)
            except RunError as error:
                if not is_outage(error, was_admitted=self.last_at is not None):
                    raise
                self._record_outage(error)
                pause = backoff.pause_after(error)
            claim.is_repeated = True
            await self._unless_stopping(asyncio.sleep(pause))
        if claim.is_repeated:
            await self._give_back(claim)
        return (), 0

    async def _send(self, claim: _Claim) -> tuple[tuple[Run, ...], float]:
        """Send a claim. If the worker stops before the answer, give back the runs that it may have taken."""
        # The first answer shows that there is a server, so it must not wait for a run.
        wait = self._options.wait if self.state is WorkerState.WORKING else 0.0
        runs = await self._unless_stopping(self._call(claim, claim.max_runs, wait))
        if runs is None or self._stopping.is_set():
            await self._give_back(claim, runs)
            return (), 0
        self._record_answer()
        is_unsure = claim.is_repeated or self._options.fence
        return runs, lease_begin(claim.sent, now(), wait, is_unsure=is_unsure)

    async def _call(
        self, claim: _Claim, max_runs: int, wait: float, timeout: float | None = None
    ) -> tuple[Run, ...]:
        options = self._options
        return await self._client.claim(
            options.worker_id,
            assistants=options.assistants,
            any_assistant=options.any_assistant,
            max_runs=max_runs,
            lease_ttl=options.lease_ttl,
            wait=wait,
            request_id=claim.request_id,
            timeout=timeout,
        )

    async def _give_back(self, claim: _Claim, runs: tuple[Run, ...] | None = None) -> None:
        """Release the runs of a claim. If its answer is unknown, ask for it once more."""
        timeout = min(_FAREWELL, self._client.timeout)
        if runs is None:
            try:
                runs = await self._call(claim, 1, 0, timeout)
            except RunError as error:
                _log.debug("A claim was not answered, and the worker stops: %s", error)
                return
        for run in runs:
            await self._release(run, timeout)

    async def _release(self, run: Run, timeout: float) -> None:
        try:
            await self._client.release(
                run.run_id, self._options.worker_id, attempt=run.attempt or None, timeout=timeout
            )
        except RunError as error:
            _log.warning("Run %s was claimed and could not be given back: %s", run.run_id, error)

    async def _unless_stopping(self, work: Coroutine[Any, Any, _Value]) -> _Value | None:
        """Return the value of `work`. None if the worker stops before: the work is then cancelled."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not working.done():
                working.cancel()
        return working.result() if working.done() else None

    def _record_answer(self) -> None:
        if self.disconnected_since is not None:
            _log.info("The worker %s reaches its server again.", self._options.worker_id)
        self.last_at, self.disconnected_since, self.failure = datetime.now(UTC), None, None

    def _record_outage(self, error: RunError) -> None:
        self.failure = error
        if self.disconnected_since is None:
            self.disconnected_since = datetime.now(UTC)
            _log.warning("The worker %s claims no runs for now: %s", self._options.worker_id, error)
