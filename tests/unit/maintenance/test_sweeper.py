"""The sweeper repeats its jobs, also after failures."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from runsvc.core.errors import StoreUnavailable
from runsvc.maintenance.sweeper import Job, Sweeper

NO_PAUSE = timedelta(0)


async def run_until(event: asyncio.Event, *jobs: Job) -> None:
    running = asyncio.create_task(Sweeper(jobs).run())
    async with asyncio.timeout(30):
        await event.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_job_is_repeated_after_failures(caplog: pytest.LogCaptureFixture) -> None:
    succeeded = asyncio.Event()
    failures: list[Exception] = [
        StoreUnavailable("full"),
        StoreUnavailable("full"),
        ValueError("?"),
    ]

    async def work() -> None:
        if failures:
            raise failures.pop(0)
        succeeded.set()

    await run_until(succeeded, Job("Log compaction", NO_PAUSE, work))
    expected, unexpected, recovery = caplog.records
    assert expected.message == (
        "Log compaction failed: The store is unavailable and nothing was changed: full."
    )
    assert expected.levelno == logging.WARNING
    assert expected.exc_info is None
    assert unexpected.message == "Log compaction failed."
    assert unexpected.exc_info is not None
    assert recovery.message == "Log compaction works again."


async def test_a_failing_job_does_not_stop_the_others() -> None:
    rounds = 0
    done = asyncio.Event()

    async def fail() -> None:
        raise ValueError("?")

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            done.set()

    await run_until(done, Job("One", NO_PAUSE, fail), Job("Another", NO_PAUSE, work))
    assert rounds >= 3
