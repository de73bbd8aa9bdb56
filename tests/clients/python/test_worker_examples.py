"""The examples of workers: a chat gateway, and a batch for workers of several languages."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from runsvc.client import AsyncRunClient
from runsvc.v1.run_pb2 import RunStatus
from tests.clients.python.programs import HERE, ROOT, Program, running
from tests.support.server import Process
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

EXAMPLES = HERE / "examples"
PYTHON_WORKER = f"exec {sys.executable} clients/python/examples/worker.py 8"
GO_WORKER = "cd clients/go && exec go run ./example/worker"
COMMAND_WORKER = (
    f"exec {sys.executable} -m runsvc.cli work echo --concurrency 2 -- tr a-z A-Z 2>/dev/null"
)


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    """A server that cancels the runs of users who have left at once."""
    async with Process(tmp_path / "runs.db", "--attach-grace", "0.2s") as process:
        yield process


@asynccontextmanager
async def gateway(target: str) -> AsyncIterator[str]:
    """The gateway, beside a worker. Return its port."""
    async with (
        running(target, sys.executable, f"{EXAMPLES}/worker.py") as worker,
        running(target, sys.executable, f"{EXAMPLES}/gateway.py", "0") as program,
    ):
        await worker.wait_for_line("worker ")
        line = await program.wait_for_line("the gateway listens on")
        yield line.rpartition(":")[2]


class Chat:
    """A message to the gateway, and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, port: str, path: str, text: str, method: str = "POST") -> Chat:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        head = f"{method} {path} HTTP/1.1\r\nContent-Length: {len(text.encode())}\r\n\r\n"
        writer.write((head + text).encode())
        return cls(reader, writer)

    async def line(self, start: str) -> str:
        """Read up to a line that begins with `start`."""
        async with asyncio.timeout(PATIENCE):
            async for line in self._reader:
                if line.decode().startswith(start):
                    return line.decode().strip()
        raise AssertionError(f"no line begins with {start!r}")

    async def rest(self) -> list[str]:
        """Return the remaining lines, after the gateway has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            lines = (await self._reader.read()).decode().splitlines()
        await self.leave()
        return lines

    async def leave(self) -> None:
        """Close the connection."""
        self._writer.close()
        await self._writer.wait_closed()


async def test_gateway_streams_answers_in_order(process: Process) -> None:
    async with gateway(process.address) as port:
        # Goes on for longer than the next message takes to arrive.
        first = await Chat.begin(port, "/alice/chat-1", "what is a run and what is it for")
        await first.line("running")
        second = await Chat.begin(port, "/alice/chat-1", "and a thread")
        assert await second.line("queued") == "queued"
        # Another user has threads of the same name.
        other = await Chat.begin(port, "/bob/chat-1", "hello")
        await other.line("running")
        assert (await first.rest())[-1] == "success what is a run and what is it for"
        assert (await other.rest())[-1] == "success hello"
        assert (await second.rest())[-1] == "success and a thread"


async def test_user_who_leaves_cancels_the_run(process: Process) -> None:
    async with gateway(process.address) as port, AsyncRunClient(process.address) as client:
        chat = await Chat.begin(port, "/alice/chat-1", "word " * 100)
        await chat.line("running word")
        following = await Chat.begin(port, "/alice/chat-1", "hello")
        await following.line("queued")
        await chat.leave()
        assert (await following.rest())[-1] == "success hello"
        async for page in client.for_owner("alice").list_by_thread("chat-1"):
            statuses = [RunStatus.Name(run.status) for run in page.runs]
            assert statuses == ["RUN_STATUS_SUCCESS", "RUN_STATUS_INTERRUPTED"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/alice/chat-1"), ("POST", "/alice"), ("POST", "/alice/$c")]
)
async def test_gateway_refuses_other_requests(process: Process, method: str, path: str) -> None:
    async with gateway(process.address) as port:
        chat = await Chat.begin(port, path, "hello", method)
        assert (await chat.rest())[0] == "HTTP/1.1 400 Bad Request"


def batch(target: str, runs: int, *workers: str) -> AbstractAsyncContextManager[Program]:
    command = [sys.executable, f"{EXAMPLES}/batch.py", "--runs", str(runs), *workers]
    return running(target, *command)


async def test_batch_is_shared_by_workers(process: Process) -> None:
    workers = [PYTHON_WORKER, PYTHON_WORKER, COMMAND_WORKER]
    if shutil.which("go") and (ROOT / "clients/go/example/worker").exists():
        workers.append(GO_WORKER)
    async with batch(process.address, 60, *workers) as program:
        await program.wait_for_line("60 runs in")
        await program.wait_for_line("RUN_STATUS_SUCCESS: 60")
        shares = await program.read_lines()
        assert await program.exit_status() == 0
    assert sum(int(re.findall(r": (\d+)$", line)[0]) for line in shares) == 60
    assert len(shares) >= 3
