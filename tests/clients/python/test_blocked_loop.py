"""Work that blocks the event loop, against a real server: it keeps its lease."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import AsyncRunClient, RunClient
from tests.clients.python.runs import create, current
from tests.support.calls import ERROR, RUNNING, SUCCESS, call
from tests.support.waiting import until
from tests.support.workers import WORKER, Work, working

if TYPE_CHECKING:
    from runsvc.client import AsyncExecution
    from tests.support.server import Client, Process


#: Length of a lease, in seconds, that is renewed in time on a busy machine too.
LEASE = 3


def block_past_the_lease(process: Process, run_id: str) -> None:
    """Block the event loop until the lease has been renewed for its whole length, or the run has ended."""
    with RunClient(process.address) as client:
        run = client.get(run_id)
        end = run.lease.expires_at.ToNanoseconds() + LEASE * 1_000_000_000
        while run.status == RUNNING and run.lease.expires_at.ToNanoseconds() < end:
            run = client.get(run_id)


async def token() -> str:
    await asyncio.sleep(0)
    return "secret"


@pytest.mark.parametrize("given", [None, "secret", lambda: "secret", token])
async def test_blocked_loop_keeps_its_lease(process: Process, others: Client, given: Any) -> None:
    run = await create(others)
    async with AsyncRunClient(process.address, token=given) as client:
        async with client.execute(run, worker_id=WORKER, lease_ttl=LEASE) as execution:
            block_past_the_lease(process, run.run_id)
        assert not execution.lost
    assert (await current(others, run)).status == SUCCESS


async def test_cancel_stops_blocking_work_at_its_next_await(
    process: Process, others: Client
) -> None:
    run = await create(others)
    went_on = False
    async with AsyncRunClient(process.address) as client:
        async with client.execute(run, worker_id=WORKER, lease_ttl=LEASE) as execution:
            with RunClient(process.address) as other:
                other.cancel(run.run_id)
            await asyncio.Event().wait()
            went_on = True
        assert (execution.cancelled, went_on) == (True, False)
    assert (await current(others, run)).cancellation.HasField("acknowledged_at")


class Interceptor(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc,unused-ignore]
    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return await continuation(details, request)


async def test_late_heartbeats_and_lost_results_are_logged(
    process: Process, others: Client, caplog: pytest.LogCaptureFixture
) -> None:
    run = await create(others)
    execution: AsyncExecution | None = None
    async with AsyncRunClient(process.address, interceptors=[Interceptor()]) as client:
        with caplog.at_level(logging.WARNING, "runsvc.client"):
            async with client.execute(run, worker_id=WORKER, lease_ttl=LEASE) as execution:
                # No heartbeat can be sent: the lease runs out.
                block_past_the_lease(process, run.run_id)
                await asyncio.Event().wait()
    assert execution.lost
    assert (await current(others, run)).status == ERROR
    assert "The work blocks the event loop; run it in a thread." in caplog.text
    assert f"Run {run.run_id} was lost" in caplog.text


@pytest.mark.parametrize("kind", [AsyncRunClient, RunClient])
async def test_lost_result_is_logged(
    process: Process, others: Client, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = kind(process.address)
    run = await create(others)
    work = Work(run, lease_ttl=None)
    executing = working(client, work)
    await work.starts()
    await call(others, "ReconcileOrphans", error="gone")
    await executing
    await client.close() if kind is AsyncRunClient else client.close()
    message = "was lost, and the result of its work was not stored: it ended as ERROR (ORPHANED)"
    assert f"Run {run.run_id} {message}" in caplog.messages


async def test_heartbeat_thread_ends_with_the_last_execution(
    process: Process, others: Client
) -> None:
    async with AsyncRunClient(process.address) as client:
        works = [Work(await create(others, f"t{number}"), lease_ttl=LEASE) for number in range(3)]
        tasks = [working(client, work) for work in works]
        for work in works:
            await work.starts()
        assert client.heartbeats is not None
        thread = client.heartbeats._thread
        assert thread is not None
        for work in works:
            work.end.set()
        await asyncio.gather(*tasks)
        await until(lambda: not thread.is_alive())
        work = Work(await create(others, "t9"))
        work.end.set()
        await working(client, work)
        assert work.went_on
