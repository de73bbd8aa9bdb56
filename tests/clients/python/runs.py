"""Runs as other callers create and read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runsvc.v1.run_pb2 import Run, RunSpec
from tests.support.calls import call

if TYPE_CHECKING:
    from tests.support.server import Client


async def create(others: Client, thread_id: str = "t", **spec: Any) -> Run:
    """Create a run."""
    answer = await call(others, "Create", spec=RunSpec(thread_id=thread_id, **spec))
    run: Run = answer.run
    return run


async def current(others: Client, run: Run) -> Run:
    """Return the run's current state."""
    answer = await call(others, "Get", run_id=run.run_id)
    found: Run = answer.run
    return found
