"""Executions whose task or thread is interrupted, against a real server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from runsvc.client import AsyncRunClient, RunClient
from runsvc.v1.run_pb2 import Progress
from tests.clients.python.runs import create, current
from tests.support.calls import (
    ERROR,
    PENDING,
    RUNNING,
    call,
)
from tests.support.waiting import until
from tests.support.workers import WORKER, Work, working

if TYPE_CHECKING:
    from tests.support.server import Client, Process


USED = Progress(total_tokens=7, last_ai_message="☃")


async def test_task_cancelled_by_other_code_ends_its_run(process: Process, others: Client) -> None:
    run = await create(others)
    async with AsyncRunClient(process.address) as client:
        work = Work(run, usage=USED)
        executing = working(client, work)
        await work.starts()
        executing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await executing
    assert not work.went_on
    ended = await current(others, run)
    assert (ended.status, ended.progress.final) == (ERROR, True)
    assert ended.error == "The work was stopped before the run had ended."


async def test_task_cancelled_at_any_moment_ends_its_run(process: Process, others: Client) -> None:
    async with AsyncRunClient(process.address) as client:
        for number in range(40):
            run = await create(others, f"t{number}")
            work = Work(run)
            executing = working(client, work)
            for _ in range(number):
                await asyncio.sleep(0)
            executing.cancel()
            await asyncio.wait([executing])
            assert executing.cancelled()
            # Not started, or ended.
            assert (await current(others, run)).status in (PENDING, ERROR)


async def test_cancel_of_run_and_task_both_take_effect(process: Process, others: Client) -> None:
    run = await create(others)
    begun, cleaning = asyncio.Event(), asyncio.Event()

    async def work(client: AsyncRunClient) -> None:
        async with client.execute(run, worker_id=WORKER):
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                cleaning.set()
                await asyncio.Event().wait()

    async with AsyncRunClient(process.address) as client:
        executing = asyncio.create_task(work(client))
        await begun.wait()
        await call(others, "Cancel", run_id=run.run_id)
        await cleaning.wait()
        executing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await executing
    assert (await current(others, run)).cancellation.HasField("acknowledged_at")


async def test_cancel_is_acknowledged_when_stubborn_work_ends(
    process: Process, others: Client
) -> None:
    run = await create(others)

    async def stubborn(client: AsyncRunClient) -> None:
        async with client.execute(run, worker_id=WORKER):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)
        # The cancellation does not remain on the task.
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        await asyncio.sleep(0.01)

    async with AsyncRunClient(process.address) as client:
        executing = asyncio.create_task(stubborn(client))

        async def is_running() -> bool:
            return bool((await current(others, run)).status == RUNNING)

        await until(is_running)
        await call(others, "Cancel", run_id=run.run_id)
        await executing
    assert (await current(others, run)).cancellation.HasField("acknowledged_at")


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), SystemExit(1)])
async def test_interrupted_thread_ends_its_run(
    process: Process, others: Client, failure: BaseException
) -> None:
    run = await create(others)

    def work() -> None:
        with (
            RunClient(process.address) as client,
            pytest.raises(type(failure)),
            client.execute(run, worker_id=WORKER),
        ):
            raise failure

    await asyncio.to_thread(work)
    ended = await current(others, run)
    assert (ended.status, ended.error) == (ERROR, "The work was stopped before the run had ended.")
