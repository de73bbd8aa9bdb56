"""The report with which an execution ends, for asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from runsvc.client.error import RunError
from runsvc.client.execution import ExecutionState
from runsvc.client.outcome import BARE_ERROR, outcome
from runsvc.client.retry_window import RetryWindow, is_transient, may_be_refused_contents

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runsvc.client.aio.runs import AsyncRunCalls
    from runsvc.v1.run_pb2 import Run

_Answer = TypeVar("_Answer")


class AsyncReports(ExecutionState):
    """The part of an execution that reports the end, and repeats reports."""

    def __init__(
        self,
        client: AsyncRunCalls,
        run: Run | str,
        worker_id: str | None,
        lease_ttl: float | None,
        outage: float | None,
        fence: bool,
        claimed: float | None = None,
    ) -> None:
        super().__init__(run, worker_id, lease_ttl, outage, fence, claimed)
        self._client = client

    async def _report_end(self, failure: BaseException | None) -> None:
        """Complete the run, acknowledge its cancel, or leave the usage of a lost run."""
        known = self._known
        outage = self._end_outage(failure, self._client.timeout)
        if self._gives_back(failure):
            await self._give_back()
        elif not known.has_ended:
            await self._complete(self._end_of_block(failure), outage)
        if known.cancelled:
            await self._acknowledge(outage)
        if known.lost and known.usage:
            await self._leave_usage()
        self._log_loss()

    async def _complete(self, failure: BaseException | None, outage: float) -> None:
        known = self._known
        status, error = outcome(failure)
        retryable = self._is_retryable(failure)

        def complete(error: str | None, **contents: Any) -> Awaitable[Any]:
            return self._client.complete(
                known.run_id,
                status,
                error=error,
                worker_id=self._worker_id,
                attempt=known.attempt,
                retryable=retryable,
                **contents,
            )

        def complete_bare() -> Awaitable[Any]:
            return complete(None if error is None else BARE_ERROR)

        try:
            answer = await self._report(
                lambda: complete(error, **self._contents(status)), complete_bare, outage
            )
            known.replace(answer.run)
        except RunError as refusal:
            known.record_refusal(refusal)

    async def _give_back(self) -> None:
        """Give the run back. The worker is being stopped, so the call is not repeated for long."""
        known, worker_id = self._known, self._worker_id or ""
        try:
            run = await self._repeat(
                lambda: self._client.release(known.run_id, worker_id, attempt=known.attempt),
                self._client.timeout,
            )
            known.replace(run)
        except RunError as refusal:
            known.record_refusal(refusal)

    async def _acknowledge(self, outage: float) -> None:
        known = self._known

        def acknowledge(**contents: Any) -> Awaitable[Any]:
            return self._client.acknowledge_cancel(
                known.run_id, worker_id=self._worker_id, attempt=known.attempt, **contents
            )

        try:
            answer = await self._report(
                lambda: acknowledge(progress=known.usage, stop_reason=self.stop_reason),
                acknowledge,
                outage,
            )
            known.update(answer.run)
        except RunError as refusal:
            known.record_loss(refusal)

    async def _leave_usage(self) -> None:
        """Report the final usage of a lost run, once. The server rejects it if the run has another holder now."""
        known = self._known
        try:
            await self._client.update_progress(
                known.run_id,
                known.usage,
                final=True,
                worker_id=self._worker_id,
                attempt=known.attempt,
            )
        except RunError as refusal:
            if not is_transient(refusal):
                known.record_loss(refusal)

    async def _report(
        self,
        full: Callable[[], Awaitable[_Answer]],
        bare: Callable[[], Awaitable[_Answer]],
        seconds: float,
    ) -> _Answer:
        """Repeat the report of the end. If it is refused for its contents, store a bare one, and raise the refusal."""
        try:
            return await self._repeat(full, seconds)
        except Exception as refusal:
            if not may_be_refused_contents(refusal):
                raise
            await self._repeat(bare, min(seconds, self._client.timeout))
            raise

    async def _repeat(self, report: Callable[[], Awaitable[_Answer]], seconds: float) -> _Answer:
        """Repeat a report until it succeeds, fails for good, or the time is over."""
        window = RetryWindow(seconds)
        while True:
            try:
                return await report()
            except RunError as error:
                pause = window.pause_after(error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
