"""Workers that are killed: what happens to their runs."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from runsvc.v1.run_pb2 import STATUS_REASON_LEASE_EXPIRED, Retry, Run
from tests.support.calls import ERROR, RUNNING, SUCCESS, call, created, refused
from tests.support.server import in_process
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.server import Client

#: Lasts as long as its worker.
COMMAND = ("sh", "-c", "while kill -0 $PPID; do sleep 0.1; done")
#: A worker renews it in time while another one starts on a busy machine.
LEASE = timedelta(seconds=3)
#: How long after the end of its lease a run is RUNNING again, at most.
LATENESS = timedelta(seconds=1)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Client]:
    async with in_process(tmp_path / "runs.db") as client:
        yield client


@asynccontextmanager
async def working(server: Client, worker_id: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process whose command does not end by itself. It is killed at the end of the block."""
    options = ["--worker-id", worker_id, "--lease", f"{LEASE.total_seconds():g}s"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "runsvc.cli", "work", "a", *options, "--", *COMMAND),
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"RUNSVC_TARGET": server.address},
    )
    try:
        yield process
    finally:
        await killed(process)


async def killed(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


async def state(server: Client, run: Run) -> Run:
    found: Run = (await call(server, "Get", run_id=run.run_id)).run
    return found


async def held_by(server: Client, run: Run, worker_id: str) -> Run:
    """Wait until the worker performs the run."""

    async def holds() -> bool:
        now = await state(server, run)
        return (now.status, now.worker_id) == (RUNNING, worker_id)

    await until(holds)
    return await state(server, run)


async def fail_over(server: Client, thread_id: str) -> tuple[Run, Run]:
    """Kill the worker of a run while another one waits. Return the run as each of them got it."""
    run = await created(server, thread_id, assistant_id="a", retry=Retry(max_attempts=2))
    async with working(server, "first") as first:
        await held_by(server, run, "first")
        async with working(server, "second"):
            await killed(first)
            before = await state(server, run)
            after = await held_by(server, run, "second")
            late = {"run_id": run.run_id, "worker_id": "first", "attempt": 1}
            for method, fields in (
                ("Heartbeat", {}),
                ("UpdateProgress", {"progress": {"total_tokens": 1}}),
                ("SetStatus", {"status": SUCCESS}),
                ("Complete", {"status": SUCCESS}),
                ("Release", {}),
            ):
                error = await refused(server, method, **late, **fields)
                assert error.reason == "NOT_HOLDER", method
            assert (await state(server, run)).revision == after.revision
    return before, after


async def test_the_run_of_a_killed_worker_goes_to_another_one(server: Client) -> None:
    before, after = await fail_over(server, "t")
    assert (before.worker_id, before.attempt) == ("first", 1)
    assert (after.worker_id, after.attempt) == ("second", 2)
    assert after.fencing_token > before.fencing_token


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_it_is_running_again_soon_after_its_lease(server: Client) -> None:
    for number in range(20):
        before, after = await fail_over(server, f"t{number}")
        lease_end = before.lease.expires_at.ToDatetime(UTC)
        late = after.started_at.ToDatetime(UTC) - lease_end
        print(f"RUNNING {late.total_seconds():.3f} s after the end of the lease")
        assert timedelta(0) <= late < LATENESS
        await call(server, "Cancel", run_id=after.run_id)


async def test_without_further_attempts_the_run_of_a_killed_worker_fails(server: Client) -> None:
    run = await created(server, "t", assistant_id="a")

    async def has_ended() -> bool:
        return (await state(server, run)).status == ERROR

    async with working(server, "first") as first:
        await held_by(server, run, "first")
        async with working(server, "second"):
            await killed(first)
            await until(has_ended)
    ended = await state(server, run)
    assert (ended.status_reason, ended.worker_id) == (STATUS_REASON_LEASE_EXPIRED, "first")
    late = {"run_id": run.run_id, "worker_id": "first", "attempt": 1, "status": SUCCESS}
    assert (await refused(server, "Complete", **late)).reason == "INVALID_TRANSITION"
