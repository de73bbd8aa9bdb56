"""The examples and the page of the Python client do what they say."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runsvc.client import AsyncRunClient
from runsvc.v1.run_pb2 import RunStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.server import Process

HERE = Path(__file__).parents[3] / "clients" / "python"
#: A newcomer reads them at a glance.
LONGEST = 60


class Program:
    """An example under way."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, expected: str) -> str:
        """Its output up to the line that begins so; that line."""
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            async for line in self._process.stdout:
                if line.decode().startswith(expected):
                    return line.decode().strip()
        raise AssertionError(f"it never said {expected!r}")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    async def ends(self) -> int:
        """Its exit status."""
        async with asyncio.timeout(30):
            return await self._process.wait()


@asynccontextmanager
async def running(target: str, *command: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"RUNSVC_TARGET": target},
        # Also where whoever started the tests has it ignored, as nohup and `&` do.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def example(name: str) -> str:
    return str(HERE / "examples" / f"{name}.py")


async def test_a_question_is_answered(process: Process) -> None:
    async with running(process.address, example("worker")) as worker:
        await worker.says("waiting for runs")
        async with running(process.address, example("caller"), "what", "is", "it") as caller:
            await worker.says("started")
            await caller.says("RUN_STATUS_PENDING")
            await caller.says("RUN_STATUS_SUCCESS what is it")
            assert await caller.ends() == 0
        await worker.says("done")
        async with running(process.address, example("caller"), "please", "fail") as caller:
            assert await caller.says("error:") == "error: I was asked to fail"
            await caller.says("the newest of the thread: RUN_STATUS_ERROR RUN_STATUS_SUCCESS")
            assert await caller.ends() == 1
        await worker.says("failed")


async def test_ctrl_c_takes_a_question_back(process: Process) -> None:
    async with running(process.address, example("worker")) as worker:
        await worker.says("waiting for runs")
        question = ["word"] * 100
        async with running(process.address, example("caller"), *question) as caller:
            await caller.says("RUN_STATUS_RUNNING word")
            async with running(process.address, example("caller"), "hello") as other:
                assert await other.ends() == 1
            caller.interrupt()
            await caller.says("cancelled, and the worker has stopped")
            assert await caller.ends() == 1
        await worker.says("cancelled")


async def test_a_worker_that_is_stopped_leaves_no_run_behind(process: Process) -> None:
    async with running(process.address, example("worker"), "w7") as worker:
        await worker.says("waiting for runs")
        async with running(process.address, example("caller"), *["word"] * 100) as caller:
            await caller.says("RUN_STATUS_RUNNING word")
            worker.interrupt()
            await worker.says("stopped")
            assert await worker.ends() == 0
            await caller.says("RUN_STATUS_ERROR")
            await caller.ends()
    async with AsyncRunClient(process.address) as client:
        async for page in client.list_by_thread("chat-1"):
            (run,) = page.runs
            assert (run.status, run.worker_id) == (RunStatus.RUN_STATUS_ERROR, "w7")


@pytest.mark.parametrize("name", ["worker", "caller"])
async def test_without_a_server_there_is_one_line(name: str) -> None:
    async with running("127.0.0.1:1", example(name)) as program:
        line = await program.says("no runsvc server at 127.0.0.1:1: start one with make run")
        assert line
        assert await program.ends() == 1


@pytest.mark.parametrize("name", ["worker", "caller"])
def test_the_examples_are_short(name: str) -> None:
    assert len(Path(example(name)).read_text("utf-8").splitlines()) < LONGEST


async def test_the_page_s_python_runs_as_it_stands(process: Process) -> None:
    page = (HERE / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    async with running(process.address, "-c", code) as program:
        await program.says("RUN_STATUS_SUCCESS 3")
        assert await program.ends() == 0
