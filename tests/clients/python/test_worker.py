"""Workers of both clients against a real server, which stops and dies, as do the workers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.client import AsyncRunClient, RetryableError, RunError, WorkerState
from runsvc.v1.run_pb2 import Progress, Retry, Run, RunStatus
from tests.clients.python.programs import HERE, running
from tests.clients.python.runs import create, current
from tests.support.calls import ERROR, INTERRUPTED, PENDING, RUNNING, SUCCESS, call, refused
from tests.support.handlers import HANDLER_KINDS, WORKER, Handler
from tests.support.handlers import running as working
from tests.support.waiting import until

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.clients.python.programs import Program
    from tests.support.server import Client, Process


@pytest.fixture(params=HANDLER_KINDS)
def handler(request: pytest.FixtureRequest) -> Handler:
    return Handler(request.param)


def example(target: str) -> AbstractAsyncContextManager[Program]:
    return running(target, sys.executable, f"{HERE}/examples/worker.py")


async def ended(others: Client, run: Run, status: Any, seconds: float = 30) -> Run:
    """Wait until the run has the status, and return it."""

    async def has_ended() -> bool:
        return bool((await current(others, run)).status == status)

    await until(has_ended, seconds)
    return await current(others, run)


async def test_run_is_claimed_and_completed(
    process: Process, others: Client, handler: Handler
) -> None:
    handler.outcome, handler.report = {"output": "HELLO"}, Progress(total_tokens=7)
    handler.end.set()
    async with working(process.address, handler, lease_ttl=9):
        run = await create(others, assistant_id="a", kwargs={"input": "hello"})
        done = await ended(others, run, SUCCESS)
    assert (done.worker_id, done.attempt, done.lease.ttl.seconds) == (WORKER, 1, 9)
    assert dict(done.result.items()) == {"output": "HELLO"}
    assert (done.progress.total_tokens, done.progress.final) == (7, True)
    assert handler.begun[0].kwargs["input"] == "hello"
    assert handler.begun[0].fencing_token > 0


async def test_runs_of_other_assistants_are_left(
    process: Process, others: Client, handler: Handler
) -> None:
    handler.end.set()
    async with working(process.address, handler, assistants=["a", "b"]):
        other = await create(others, "t1", assistant_id="c")
        run = await create(others, "t2", assistant_id="b")
        await ended(others, run, SUCCESS)
        assert (await current(others, other)).status == PENDING


async def test_two_workers_share_the_runs(process: Process, others: Client) -> None:
    first, second = Handler("task"), Handler("task")
    runs = [await create(others, f"t{number}", assistant_id="a") for number in range(4)]
    async with (
        working(process.address, first, concurrency=2, worker_id="w1"),
        working(process.address, second, concurrency=2, worker_id="w2"),
    ):
        await until(lambda: len(first.begun) + len(second.begun) == 4)
        assert (len(first.begun), len(second.begun)) == (2, 2)
        first.end.set()
        second.end.set()
        for run in runs:
            await ended(others, run, SUCCESS)
    assert len({run.run_id for run in first.begun + second.begun}) == 4


async def test_cancel_reaches_the_handler(
    process: Process, others: Client, handler: Handler
) -> None:
    async with working(process.address, handler):
        run = await create(others, assistant_id="a")
        await until(lambda: handler.begun)
        await call(others, "Cancel", run_id=run.run_id)
        await until(lambda: handler.stopped)

        async def is_acknowledged() -> bool:
            return (await current(others, run)).cancellation.HasField("acknowledged_at")

        await until(is_acknowledged)
        handler.end.set()
        following = await create(others, assistant_id="a")
        await ended(others, following, SUCCESS)
    assert (await current(others, run)).status == INTERRUPTED


async def test_retryable_failure_gets_another_attempt(
    process: Process, others: Client, handler: Handler
) -> None:
    handler.outcome = RetryableError("busy")
    handler.end.set()
    async with working(process.address, handler):
        run = await create(others, assistant_id="a", retry=Retry(max_attempts=2))
        failed = await ended(others, run, ERROR)
    assert [each.attempt for each in handler.begun] == [1, 2]
    assert (failed.attempt, failed.error) == (2, "busy")


async def test_failure_that_is_not_retryable_is_final(
    process: Process, others: Client, handler: Handler
) -> None:
    handler.outcome = ValueError("no")
    handler.end.set()
    async with working(process.address, handler):
        run = await create(others, assistant_id="a", retry=Retry(max_attempts=2))
        failed = await ended(others, run, ERROR)
    assert (failed.attempt, failed.error, len(handler.begun)) == (1, "no", 1)


#: Failures that end tasks, or that a future cannot hold, with a part of the error of their runs.
UNUSUAL = (
    (StopIteration("s"), "s"),
    (StopAsyncIteration("s"), "s"),
    (concurrent.futures.CancelledError("c"), "c"),
    (asyncio.CancelledError(), "stopped before"),
    (GeneratorExit(), "stopped before"),
)


def _is_logged(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text


async def test_unusual_failure_of_a_handler_ends_its_run_and_not_the_worker(
    process: Process, others: Client, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    handler.end.set()
    async with working(process.address, handler):
        for number, (failure, text) in enumerate(UNUSUAL):
            handler.outcome = failure
            run = await create(others, f"t{number}", assistant_id="a")
            assert text in (await ended(others, run, ERROR)).error
            logged = f"Run {run.run_id} failed"
            await until(partial(_is_logged, caplog, logged))


async def test_stopped_worker_gives_its_run_to_another(
    process: Process, others: Client, handler: Handler
) -> None:
    run = await create(others, assistant_id="a")
    async with working(process.address, handler):
        await until(lambda: handler.begun)
    assert handler.stopped == [run.run_id]
    given_back = await current(others, run)
    assert (given_back.status, given_back.worker_id, given_back.attempt) == (PENDING, "", 1)
    successor = Handler(handler.kind)
    successor.end.set()
    async with working(process.address, successor, worker_id="w2"):
        done = await ended(others, run, SUCCESS)
    # The attempt that was given back does not count towards the retries: the run has one.
    assert (done.worker_id, done.attempt) == ("w2", 2)


async def test_worker_survives_restarts_of_the_server(
    process: Process, others: Client, handler: Handler
) -> None:
    async with working(process.address, handler, concurrency=2, lease_ttl=6) as worker:
        run = await create(others, "t1", assistant_id="a")
        await until(lambda: handler.begun)
        await process.kill()
        await until(lambda: worker.health.disconnected_since is not None)
        # Longer than the lease: it does not count while there is no server.
        await asyncio.sleep(7)
        assert worker.health.running == 1
        await process.start_again()
        await until(lambda: worker.health.disconnected_since is None)
        assert worker.health.state is WorkerState.WORKING
        following = await create(others, "t2", assistant_id="a")
        await until(lambda: len(handler.begun) == 2)
        handler.end.set()
        for each in (run, following):
            assert (await ended(others, each, SUCCESS)).attempt == 1


async def test_worker_waits_for_its_first_server(process: Process, handler: Handler) -> None:
    await process.stop()
    async with working(process.address, handler) as worker:
        await until(lambda: worker.health.disconnected_since is not None)
        assert worker.health.state == "disconnected"
        await process.start_again()
        await until(lambda: worker.health.state is WorkerState.WORKING)


async def test_killed_worker_loses_its_run_to_another(process: Process, others: Client) -> None:
    run = await create(
        others,
        assistant_id="echo",
        kwargs={"input": "word " * 200},
        retry=Retry(max_attempts=2),
    )
    once = await create(others, "t2", assistant_id="echo", kwargs={"input": "word " * 200})
    async with example(process.address) as first:
        await first.wait_for_line("started")
        await first.wait_for_line("started")
        killed = await current(others, run)
        first.signal(signal.SIGKILL)
        await first.exit_status()
    handler = Handler("task")
    async with working(process.address, handler, assistants=["echo"], concurrency=2):
        await until(lambda: handler.begun)
        taken = await current(others, run)
        # Its lease ran out.
        assert taken.started_at.ToNanoseconds() >= killed.lease.expires_at.ToNanoseconds()
        assert (taken.status, taken.attempt, taken.worker_id) == (RUNNING, 2, WORKER)
        assert taken.fencing_token > killed.fencing_token
        async with AsyncRunClient(process.address) as client:
            with pytest.raises(RunError) as refusal:
                await client.complete(
                    run.run_id,
                    RunStatus.RUN_STATUS_SUCCESS,
                    worker_id=killed.worker_id,
                    attempt=killed.attempt,
                )
        assert refusal.value.reason == "NOT_HOLDER"
        assert (await ended(others, once, ERROR)).attempt == 1
        handler.end.set()
        await ended(others, run, SUCCESS)


async def test_reports_of_an_earlier_attempt_are_refused(process: Process, others: Client) -> None:
    run = await create(others, assistant_id="a", retry=Retry(max_attempts=2))
    async with AsyncRunClient(process.address) as client:
        (first,) = await client.claim(WORKER, assistants=["a"], wait=0)
        await client.complete(
            run.run_id,
            RunStatus.RUN_STATUS_ERROR,
            error="busy",
            worker_id=WORKER,
            attempt=1,
            retryable=True,
        )
        (second,) = await client.claim(WORKER, assistants=["a"], wait=0)
    assert (first.attempt, second.attempt) == (1, 2)
    refusal = await refused(others, "Heartbeat", run_id=run.run_id, worker_id=WORKER, attempt=1)
    assert refusal.reason == "NOT_HOLDER"


async def test_signal_drains_the_example(process: Process, others: Client) -> None:
    async with example(process.address) as worker:
        await worker.wait_for_line("worker ")
        run = await create(others, assistant_id="echo", kwargs={"input": "one two three"})
        long = await create(others, "t2", assistant_id="echo", kwargs={"input": "word " * 100})
        await worker.wait_for_line("started")
        await worker.wait_for_line("started")
        worker.signal(signal.SIGTERM)
        await worker.wait_for_line("stopped")
        assert await worker.exit_status() == 0
    done = await current(others, run)
    assert (done.status, dict(done.result.items())) == (SUCCESS, {"output": "one two three"})
    assert (await current(others, long)).status == PENDING
