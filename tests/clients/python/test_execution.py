"""Executions of both clients against a real server: every way in which a run can end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.client import AsyncRunClient, FailedPrecondition, RunClient, RunError, Unavailable
from runsvc.v1.run_pb2 import Progress, RunSpec
from tests.clients.python.runs import create, current
from tests.support.calls import (
    ERROR,
    INTERRUPT,
    INTERRUPTED,
    PENDING,
    RUNNING,
    SUCCESS,
    call,
    refused,
    watched,
    watching,
)
from tests.support.server import client_of
from tests.support.waiting import PATIENCE, until
from tests.support.workers import WORKER, Work, working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.server import Client, Process

#: Length of a lease, in seconds, that is renewed in time on a busy machine too.
LEASE = 3
USED = Progress(total_tokens=7, last_ai_message="☃")


@pytest.fixture
async def client(kind: Any, process: Process) -> AsyncIterator[AsyncRunClient | RunClient]:
    """A client of the server, not wrapped."""
    client = kind(process.address, token=None, tls_ca=None, timeout=PATIENCE)
    yield client
    if isinstance(client, AsyncRunClient):
        await client.close()
    else:
        client.close()


async def test_finished_work_ends_as_success(client: Any, others: Client) -> None:
    run = await create(others, kwargs={"input": "hello"})
    work = Work(run.run_id, usage=USED)
    executing = working(client, work)
    await work.starts()
    started = await current(others, run)
    assert (started.status, started.worker_id, started.progress) == (RUNNING, WORKER, USED)
    assert started.lease.ttl.seconds == 30
    assert work.execution.run.kwargs["input"] == "hello"
    work.end.set()
    await executing
    ended = await current(others, run)
    assert (ended.status, ended.progress.final) == (SUCCESS, True)
    assert (ended.progress.total_tokens, ended.progress.last_ai_message) == (7, "☃")
    assert (work.execution.run.status, work.execution.run.kwargs["input"]) == (SUCCESS, "hello")
    assert (work.went_on, work.execution.cancelled, work.execution.lost) == (True, False, False)


async def test_run_of_a_list_or_a_watch_is_executed_with_its_input(
    client: Any, others: Client
) -> None:
    await create(others, "t1", kwargs={"input": "hello"})
    await create(others, "t2", kwargs={"input": "hello"})
    page = await call(others, "ListByThread", thread_id="t1")
    async with watching(others, thread_id="t2") as watch:
        watched = (await watch.read()).run
    for run in (page.runs[0], watched):
        assert not run.HasField("kwargs")
        work = Work(run)
        executing = working(client, work)
        await work.starts()
        assert work.execution.run.kwargs["input"] == "hello"
        work.end.set()
        await asyncio.wait([executing])


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (ValueError("no such tool"), "no such tool"),
        (NotImplementedError(), "NotImplementedError"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError("☃" * 10_000), "☃" * 5_458 + " … (cut)"),
        (RuntimeError("\udc80"), "?"),
    ],
    ids=["text", "none", "key", "long", "not unicode"],
)
async def test_exception_of_the_work_becomes_the_error(
    client: Any, others: Client, failure: Exception, error: str
) -> None:
    run = await create(others)
    work = Work(run, usage=USED, failure=failure)
    work.end.set()
    with pytest.raises(type(failure)) as raised:
        await working(client, work)
    assert raised.value is failure
    ended = await current(others, run)
    assert (ended.status, ended.error, ended.progress.final) == (ERROR, error, True)


@pytest.mark.parametrize("lease_ttl", [30, None])
async def test_cancel_stops_the_work_and_is_acknowledged(
    client: Any, others: Client, lease_ttl: float | None
) -> None:
    run = await create(others)
    work = Work(run, lease_ttl=lease_ttl, usage=USED)
    executing = working(client, work)
    await work.starts()
    await call(others, "Cancel", run_id=run.run_id, action=2)
    await executing
    assert (work.stopped, work.went_on, work.execution.cancelled) == (True, True, True)
    ended = await current(others, run)
    assert ended.status == INTERRUPTED
    assert ended.cancellation.HasField("acknowledged_at")
    assert (ended.progress.final, ended.progress.total_tokens) == (True, 7)
    assert work.execution.run.cancellation.action == 2


async def test_newer_run_on_the_thread_stops_the_work(client: Any, others: Client) -> None:
    run = await create(others)
    work = Work(run)
    executing = working(client, work)
    await work.starts()
    spec = RunSpec(thread_id="t", multitask_strategy=INTERRUPT)  # type: ignore[arg-type]
    newer = (await call(others, "CreateOrReject", spec=spec)).run
    await executing
    assert work.execution.cancelled
    ended = await current(others, run)
    assert (ended.superseded_by, ended.cancellation.HasField("acknowledged_at")) == (
        newer.run_id,
        True,
    )


async def test_exception_of_the_cleanup_after_a_cancel_is_raised(
    client: Any, others: Client
) -> None:
    run = await create(others)
    work = Work(run, on_stop=OSError("disk full"))
    executing = working(client, work)
    await work.starts()
    await call(others, "Cancel", run_id=run.run_id)
    with pytest.raises(OSError, match="disk full"):
        await executing
    assert (await current(others, run)).cancellation.HasField("acknowledged_at")


async def test_work_finished_during_a_cancel_acknowledges_it(client: Any, others: Client) -> None:
    for number in range(20):
        run = await create(others, f"t{number}")
        work = Work(run, usage=USED)
        executing = working(client, work)
        await work.starts()
        cancelling = asyncio.ensure_future(call(others, "Cancel", run_id=run.run_id))
        work.end.set()
        await asyncio.gather(executing, cancelling)
        ended = await current(others, run)
        assert work.execution.cancelled is (ended.status == INTERRUPTED)
        assert ended.status in (INTERRUPTED, SUCCESS)
        assert ended.cancellation.HasField("acknowledged_at") is (ended.status == INTERRUPTED)
        assert ended.progress.final


async def test_run_ended_by_another_caller_is_lost(client: Any, others: Client) -> None:
    run = await create(others)
    work = Work(run, lease_ttl=None, usage=USED)
    executing = working(client, work)
    await work.starts()
    await call(others, "ReconcileOrphans", error="gone")
    await executing
    assert (work.stopped, work.went_on) == (True, True)
    assert (work.execution.lost, work.execution.cancelled) == (True, False)
    ended = await current(others, run)
    # The usage is reported nevertheless.
    assert (ended.status, ended.error, ended.progress.final) == (ERROR, "gone", True)


async def test_removed_run_is_lost(client: Any, others: Client) -> None:
    run = await create(others)
    work = Work(run, lease_ttl=None, usage=USED)
    executing = working(client, work)
    await work.starts()
    await call(others, "Complete", run_id=run.run_id, status=SUCCESS, worker_id=WORKER)
    await call(others, "Delete", run_id=run.run_id)
    await executing
    assert work.execution.lost


async def test_ended_or_held_run_is_not_started(client: Any, others: Client) -> None:
    ended, held = await create(others), await create(others)
    await call(others, "Cancel", run_id=ended.run_id)
    await call(others, "SetStatus", run_id=held.run_id, status=RUNNING, worker_id="other")
    for run, reason in ((ended, "INVALID_TRANSITION"), (held, "NOT_HOLDER")):
        work = Work(run.run_id)
        with pytest.raises(FailedPrecondition) as refusal:
            await working(client, work)
        assert refusal.value.reason == reason
        assert not work.begun.is_set()


async def test_heartbeats_keep_the_run(client: Any, others: Client) -> None:
    run = await create(others)
    work = Work(run, lease_ttl=LEASE)
    executing = working(client, work)
    await work.starts()
    first = (await current(others, run)).lease.expires_at.ToNanoseconds()

    async def outlives_its_first_lease() -> bool:
        found = await current(others, run)
        assert found.status == RUNNING
        return bool(found.lease.expires_at.ToNanoseconds() - first > LEASE * 1e9)

    await until(outlives_its_first_lease)
    work.end.set()
    await executing
    assert (await current(others, run)).status == SUCCESS


@pytest.mark.parametrize("failure", [None, ValueError("no")], ids=["success", "error"])
async def test_report_waits_for_a_killed_server(
    client: Any, others: Client, process: Process, failure: Exception | None
) -> None:
    run = await create(others)
    work = Work(run, usage=USED, failure=failure)
    executing = working(client, work)
    await work.starts()
    await process.kill()
    work.end.set()
    await asyncio.wait([executing], timeout=0.3)
    assert not executing.done()
    await process.start_again()
    await asyncio.wait([executing])
    assert executing.exception() is failure
    expected = ERROR if failure else SUCCESS
    async with client_of(process.address) as others_again:
        ended = await current(others_again, run)
        changes = await watched(others_again, run_id=run.run_id, after_revision=0)
    assert (ended.status, ended.progress.final) == (expected, True)
    assert [status for _, _, status in changes] == [PENDING, RUNNING, expected]


async def test_work_continues_without_server(client: Any, others: Client, process: Process) -> None:
    run = await create(others)
    # Long enough for a client to reconnect on a busy machine.
    work = Work(run, lease_ttl=10)
    executing = working(client, work)
    await work.starts()
    await process.kill()
    if isinstance(client, AsyncRunClient):
        await work.execution.update_progress(USED)
    else:
        await asyncio.to_thread(work.execution.update_progress, USED)
    assert work.execution.progress == USED
    await process.start_again()
    async with client_of(process.address) as others_again:
        assert (await current(others_again, run)).status == RUNNING
        await call(others_again, "Cancel", run_id=run.run_id)
        await executing
        ended = await current(others_again, run)
    assert (ended.progress.total_tokens, ended.progress.final) == (7, True)


async def test_report_without_server_raises(client: Any, others: Client, process: Process) -> None:
    runs = [await create(others), await create(others)]
    broken = ValueError("no")
    works = [Work(runs[0], outage=0.1), Work(runs[1], outage=0.1, failure=broken)]
    tasks = [working(client, work) for work in works]
    for work in works:
        await work.starts()
    await process.kill()
    for work in works:
        work.end.set()
    await asyncio.wait(tasks)
    assert isinstance(tasks[0].exception(), Unavailable)
    assert tasks[1].exception() is broken
    assert "could not be reported" in broken.__notes__[0]


async def test_invalid_usage_does_not_keep_a_run_active(
    client: Any, others: Client, process: Process
) -> None:
    run = await create(others)
    work = Work(run)
    executing = working(client, work)
    await work.starts()
    await process.kill()
    wrong = Progress(total_tokens=-1)
    if isinstance(client, AsyncRunClient):
        await work.execution.update_progress(wrong)
    else:
        await asyncio.to_thread(work.execution.update_progress, wrong)
    await process.start_again()
    work.end.set()
    with pytest.raises(RunError, match="total_tokens"):
        await executing
    async with client_of(process.address) as others_again:
        assert (await current(others_again, run)).status == SUCCESS


async def test_executions_leak_nothing(client: Any, others: Client) -> None:
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    for number in range(30):
        work = Work(await create(others, f"t{number}"))
        work.end.set()
        await working(client, work)

    async def has_no_watchers() -> bool:
        return bool((await call(others, "GetServerInfo")).watchers == 0)

    await until(has_no_watchers)
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    # One thread of the executor pool stays.
    await until(lambda: threading.active_count() <= threads + 1)


async def test_second_worker_cannot_execute_the_run(client: Any, others: Client) -> None:
    run = await create(others)
    work = Work(run)
    executing = working(client, work)
    await work.starts()
    error = await refused(others, "SetStatus", run_id=run.run_id, status=RUNNING, worker_id="other")
    assert error.reason == "NOT_HOLDER"
    work.end.set()
    await executing


async def test_run_without_holder_has_no_lease(client: Any, others: Client) -> None:
    run = await create(others)
    work = Work(run, worker_id=None)
    executing = working(client, work)
    await work.starts()
    started = await current(others, run)
    assert (started.status, started.HasField("lease")) == (RUNNING, False)
    work.execution.progress.llm_call_count = 2
    work.end.set()
    await executing
    assert (await current(others, run)).progress == Progress(llm_call_count=2, final=True)


async def test_second_execution_without_worker_ids_is_refused(client: Any, others: Client) -> None:
    run = await create(others)
    first, second = Work(run, worker_id=""), Work(run, worker_id="")
    executing = working(client, first)
    await first.starts()
    with pytest.raises(FailedPrecondition) as refusal:
        await working(client, second)
    assert refusal.value.reason == "NOT_HOLDER"
    first.end.set()
    await executing
    ended = await current(others, run)
    assert (ended.status, ended.worker_id) == (SUCCESS, first.execution.worker_id)
