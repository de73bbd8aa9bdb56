"""Executions at the same time, whose work fails in every way that the language has."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from runsvc.client import AsyncRunClient, RunClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runsvc.client import AsyncExecution, Execution


class _Textless(BaseException):
    def __str__(self) -> str:
        raise self


def _raises(failure: Callable[..., BaseException], *details: Any) -> Callable[[Any], None]:
    def end(_: Any) -> None:
        raise failure(*details)

    return end


def _uses(**usage: Any) -> Callable[[Any], None]:
    def end(execution: AsyncExecution | Execution) -> None:
        for name, value in usage.items():
            setattr(execution.progress, name, value)

    return end


#: The ends of work in either client. KeyboardInterrupt and SystemExit end the program: the work did not fail.
_ENDS: Final = (
    _uses(total_tokens=1),
    _raises(RuntimeError, "the work failed"),
    _raises(RuntimeError),
    _raises(_Textless),
    _raises(RuntimeError, "long" * 100_000),
    _raises(RuntimeError, "\ud800\x00"),
    _raises(ExceptionGroup, "several", [ValueError("one"), OSError("two")]),
    _raises(GeneratorExit),
    _raises(StopIteration),
    _raises(asyncio.CancelledError, "own"),
    _uses(total_tokens=-1),
    _uses(last_ai_message="long" * 2_000_000),
)


async def execute_all(
    client: AsyncRunClient, run_ids: Sequence[str], first: int, **settings: Any
) -> None:
    """Execute the runs, by turns with either client, and return once all executions have returned.

    `first` is the number of the end of the first run.
    """
    blocking = RunClient()
    executions = [
        _in_task(client, run_id, number, **settings)
        if number % 2
        else asyncio.to_thread(_in_thread, blocking, run_id, number, **settings)
        for number, run_id in enumerate(run_ids, first)
    ]
    await asyncio.gather(*executions, return_exceptions=True)
    await asyncio.to_thread(blocking.close)


async def _in_task(
    client: AsyncRunClient, run_id: str, number: int, lease_ttl: float, work: float
) -> None:
    async with client.execute(run_id, lease_ttl=lease_ttl) as execution:
        try:
            await asyncio.sleep(work)
        finally:
            # Also if the run was cancelled.
            _ENDS[number % len(_ENDS)](execution)


def _in_thread(client: RunClient, run_id: str, number: int, lease_ttl: float, work: float) -> None:
    with suppress(BaseException), client.execute(run_id, lease_ttl=lease_ttl) as execution:
        try:
            until = time.monotonic() + work
            while time.monotonic() < until:
                execution.check()
                time.sleep(0.01)
        finally:
            _ENDS[number % len(_ENDS)](execution)
