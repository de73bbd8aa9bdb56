"""The examples of the Python client against a real server."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from runsvc.client import AsyncRunClient
from runsvc.v1.run_pb2 import RunSpec, RunStatus
from tests.clients.python.programs import HERE, Program, running

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.support.server import Process

#: Maximum length of an example, in lines.
LONGEST = 60
WAITING = "worker "


def example(target: str, name: str, *arguments: str) -> AbstractAsyncContextManager[Program]:
    return running(target, sys.executable, f"{HERE}/examples/{name}.py", *arguments)


async def test_executor_answers_callers(process: Process) -> None:
    async with example(process.address, "executor") as executor:
        waiting = await executor.wait_for_line(WAITING)
        assert waiting.startswith(f"worker {socket.gethostname()}-")
        assert waiting.endswith(" waits for runs")
        assert waiting.split()[1].count("-") >= 2
        async with example(process.address, "caller", "what", "is", "it") as caller:
            await executor.wait_for_line("started")
            await caller.wait_for_line("RUN_STATUS_PENDING")
            await caller.wait_for_line("RUN_STATUS_SUCCESS what is it")
            assert await caller.exit_status() == 0
        await executor.wait_for_line("done")
        async with example(process.address, "caller", "please", "fail") as caller:
            error = await caller.wait_for_line("error:")
            assert error == "error: the input asked for a failure"
            await caller.wait_for_line("newest runs: RUN_STATUS_ERROR RUN_STATUS_SUCCESS")
            assert await caller.exit_status() == 1
        await executor.wait_for_line("failed")


async def test_executor_completes_a_run_without_input(process: Process) -> None:
    async with AsyncRunClient(process.address) as client:
        created = await client.create(RunSpec(thread_id="chat-1", assistant_id="echo"))
        async with example(process.address, "executor") as executor:
            await executor.wait_for_line(f"done {created.run.run_id}")
        ended = await client.get(created.run.run_id)
    assert ended.status == RunStatus.RUN_STATUS_SUCCESS


async def test_ctrl_c_in_the_caller_cancels_its_run(process: Process) -> None:
    async with example(process.address, "executor") as executor:
        await executor.wait_for_line(WAITING)
        async with example(process.address, "caller", *["word"] * 100) as caller:
            await caller.wait_for_line("RUN_STATUS_RUNNING word")
            async with example(process.address, "caller", "hello") as other:
                assert await other.exit_status() == 1
            caller.interrupt()
            await caller.wait_for_line("cancelled, and the executor has stopped")
            assert await caller.exit_status() == 1
        await executor.wait_for_line("cancelled")


async def test_ctrl_c_in_the_executor_ends_its_runs(process: Process) -> None:
    async with example(process.address, "executor", "w7") as executor:
        await executor.wait_for_line("worker w7 waits for runs")
        async with example(process.address, "caller", *["word"] * 100) as caller:
            await caller.wait_for_line("RUN_STATUS_RUNNING word")
            executor.interrupt()
            await executor.wait_for_line("stopped")
            assert await executor.exit_status() == 0
            await caller.wait_for_line("RUN_STATUS_ERROR")
            await caller.exit_status()
    async with AsyncRunClient(process.address) as client:
        async for page in client.list_by_thread("chat-1"):
            (run,) = page.runs
            assert (run.status, run.worker_id) == (RunStatus.RUN_STATUS_ERROR, "w7")


@pytest.mark.parametrize("name", ["executor", "caller"])
async def test_missing_server_is_one_line(name: str) -> None:
    async with example("127.0.0.1:1", name) as program:
        (line,) = await program.read_lines()
        assert line == "No runsvc server answers at 127.0.0.1:1. Start one with: make run"
        assert await program.exit_status() == 1


@pytest.mark.parametrize("name", ["executor", "caller"])
def test_examples_are_short(name: str) -> None:
    assert len((HERE / "examples" / f"{name}.py").read_text("utf-8").splitlines()) < LONGEST
