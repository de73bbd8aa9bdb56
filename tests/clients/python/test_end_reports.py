"""Ends that are hard to report: the report is stored, and the failure of the work is the one that is raised."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.client import AsyncRunClient
from tests.clients.python.runs import create, current
from tests.support.calls import ERROR, INTERRUPTED, SUCCESS, call
from tests.support.server import client_of
from tests.support.waiting import PATIENCE
from tests.support.workers import Work, working
from tests.unit.client.test_outcome import FrozenError, failing_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.server import Client, Process


@pytest.fixture
async def client(kind: Any, process: Process) -> AsyncIterator[Any]:
    """A client of the server, not wrapped."""
    client = kind(process.address, token=None, tls_ca=None, timeout=PATIENCE)
    yield client
    await client.close() if isinstance(client, AsyncRunClient) else client.close()


class FailureError(BaseException):
    """A failure that no `except Exception` catches."""


FAILURES = [
    failing_with(RuntimeError("no")),
    failing_with(SystemExit(1)),
    failing_with(None),
    FrozenError(),
    FailureError(),
    ExceptionGroup("\udc80", [ValueError("x" * 100_000)]),
]


async def test_every_failure_of_the_work_is_stored_and_raised(client: Any, others: Client) -> None:
    for number, failure in enumerate(FAILURES):
        run = await create(others, f"t{number}")
        work = Work(run, failure=failure, lease_ttl=None)
        work.end.set()
        with pytest.raises(type(failure)) as raised:
            await working(client, work)
        assert raised.value is failure
        assert (await current(others, run)).status == ERROR


async def test_huge_preview_is_cut(client: Any, others: Client) -> None:
    run = await create(others)
    work = Work(run)
    executing = working(client, work)
    await work.starts()
    work.execution.progress.last_ai_message = "x" * 8_000_000
    work.end.set()
    await executing
    ended = await current(others, run)
    assert (ended.status, ended.progress.last_ai_message) == (SUCCESS, "x" * 2_000)


async def test_invalid_usage_does_not_keep_a_cancel_from_being_acknowledged(
    client: Any, others: Client
) -> None:
    run = await create(others)
    work = Work(run)
    executing = working(client, work)
    await work.starts()
    work.execution.progress.total_tokens = -1
    await call(others, "Cancel", run_id=run.run_id)
    await asyncio.wait([executing])
    assert "total_tokens" in str(executing.exception())
    ended = await current(others, run)
    assert ended.status == INTERRUPTED
    assert ended.cancellation.HasField("acknowledged_at")


async def test_failure_that_takes_no_note_is_raised_without_server(
    client: Any, others: Client, process: Process
) -> None:
    failure = FrozenError()
    run = await create(others)
    work = Work(run, failure=failure, outage=0.1)
    executing = working(client, work)
    await work.starts()
    await process.kill()
    work.end.set()
    await asyncio.wait([executing])
    assert executing.exception() is failure
    await process.start_again()
    async with client_of(process.address) as others_again:
        assert (await current(others_again, run)).error == ""


@pytest.mark.parametrize(
    "result", [{"a": object()}, {"a": "x" * (2 << 20)}, {"a": "x" * (5 << 20)}, ["a"]]
)
async def test_a_result_that_cannot_be_sent_does_not_keep_the_end_from_being_stored(
    client: Any, others: Client, result: Any
) -> None:
    run = await create(others)
    work = Work(run)
    executing = working(client, work)
    await work.starts()
    work.execution.result = result
    work.end.set()
    await asyncio.wait([executing])
    assert "result" in str(executing.exception())
    ended = (await call(others, "Get", run_id=run.run_id)).run
    assert (ended.status, ended.HasField("result")) == (SUCCESS, False)


async def test_a_result_and_a_stop_reason_are_stored(client: Any, others: Client) -> None:
    run = await create(others)
    work = Work(run)
    executing = working(client, work)
    await work.starts()
    work.execution.result = {"answer": 42}
    work.execution.stop_reason = "token_capped"
    work.end.set()
    await executing
    ended = (await call(others, "Get", run_id=run.run_id)).run
    assert (ended.result["answer"], ended.stop_reason) == (42, "token_capped")
