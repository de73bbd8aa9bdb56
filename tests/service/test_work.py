"""`runsvc work` over a real server: a worker in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.v1.run_pb2 import Retry, Run
from tests.support.calls import ERROR, INTERRUPTED, PENDING, SUCCESS, call, created
from tests.support.engines import EVERY_ENGINE
from tests.support.server import in_process
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.engines import StorePlace
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

#: Its input selects what it does.
SCRIPT = """
read line
case "$line" in
  *fail*) echo "no such tool" >&2; exit 3;;
  *busy*) [ $RUNSVC_ATTEMPT = 2 ] || exit 75;;
  *wait*) echo begun; sleep 1000;;
esac
echo "{\\"attempt\\": $RUNSVC_ATTEMPT}"
"""


@pytest.fixture
async def server(db: StorePlace) -> AsyncIterator[Client]:
    async with in_process(db) as client:
        yield client


class Work:
    """A running `runsvc work`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def wait_for(self, text: str) -> None:
        """Read the output up to a line that holds the text."""
        assert self._process.stderr is not None
        output: list[str] = []
        async with asyncio.timeout(PATIENCE):
            async for line in self._process.stderr:
                output.append(line.decode())
                if text in output[-1]:
                    return
        status = await self._process.wait()
        raise AssertionError(f"exit status {status}, no line has {text!r}: {''.join(output)}")

    async def exit_status(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()


@asynccontextmanager
async def working(
    server: Client, *options: str, script: str = SCRIPT, stderr: int = asyncio.subprocess.PIPE
) -> AsyncIterator[Work]:
    command = [sys.executable, "-m", "runsvc.cli", "work", "a", *options, "--", "sh", "-c", script]
    process = await asyncio.create_subprocess_exec(
        *command,
        stderr=stderr,
        env=os.environ | {"RUNSVC_TARGET": server.address},
    )
    try:
        yield Work(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def current(server: Client, run: Run) -> Run:
    found: Run = (await call(server, "Get", run_id=run.run_id)).run
    return found


async def in_status(server: Client, run: Run, status: int) -> Run:
    async def has_status() -> bool:
        return bool((await current(server, run)).status == status)

    await until(has_status)
    return await current(server, run)


async def make(server: Client, thread_id: str, text: str, **spec: Any) -> Run:
    return await created(server, thread_id, assistant_id="a", kwargs={"input": text}, **spec)


async def test_outcomes_of_commands(server: Client) -> None:
    runs = [await make(server, text, text) for text in ("hello", "fail")]
    busy = await make(server, "busy", "busy", retry=Retry(max_attempts=2))
    async with working(server, "--concurrency", "2", "--lease", "7s", "--worker-id", "w1") as work:
        done, failed = (
            await in_status(server, runs[0], SUCCESS),
            await in_status(server, runs[1], ERROR),
        )
        retried = await in_status(server, busy, SUCCESS)
        work.signal(signal.SIGINT)
        assert await work.exit_status() == 0
    assert (done.worker_id, done.lease.ttl.seconds) == ("w1", 7)
    assert dict(done.result.items()) == {"attempt": 1}
    assert failed.error == "The command exited with code 3: no such tool"
    assert dict(retried.result.items()) == {"attempt": 2}


async def test_cancel_ends_the_command(server: Client) -> None:
    run = await make(server, "t", "wait")
    async with working(server) as work:
        await work.wait_for(f"{run.run_id} | begun")
        await call(server, "Cancel", run_id=run.run_id)

        async def is_acknowledged() -> bool:
            return (await current(server, run)).cancellation.HasField("acknowledged_at")

        await until(is_acknowledged)
        # The worker goes on.
        await in_status(server, await make(server, "t", "hello"), SUCCESS)
    assert (await current(server, run)).status == INTERRUPTED


async def test_drain_gives_back_what_goes_on(server: Client) -> None:
    run = await make(server, "t", "wait")
    async with working(server, "--grace", "0.5s") as work:
        await work.wait_for("begun")
        work.signal(signal.SIGTERM)
        await work.wait_for("SIGTERM: draining, 1 running.")
        assert await work.exit_status() == 0
    given_back = await current(server, run)
    assert (given_back.status, given_back.worker_id) == (PENDING, "")


async def test_terminal_that_closes_drains(server: Client) -> None:
    run = await make(server, "t", "wait")
    async with working(server, "--grace", "0.5s") as work:
        await work.wait_for("begun")
        for _ in range(3):
            work.signal(signal.SIGHUP)
        await work.wait_for("SIGHUP: draining, 1 running.")
        assert await work.exit_status() == 0
    assert (await current(server, run)).status == PENDING


@pytest.mark.parametrize("is_open", [True, False])
async def test_stderr_that_nobody_reads_holds_up_no_run(server: Client, is_open: bool) -> None:
    run = await make(server, "t", "hello")
    reading, writing = os.pipe()
    try:
        if not is_open:
            os.close(reading)
        async with working(server, script=f"seq 30000 >&2; {SCRIPT}", stderr=writing) as work:
            await in_status(server, run, SUCCESS)
            work.signal(signal.SIGTERM)
            assert await work.exit_status() == 0
    finally:
        os.close(writing)
        if is_open:
            os.close(reading)


async def test_second_signal_stops_at_once(server: Client) -> None:
    run = await make(server, "t", "wait")
    async with working(server, "--grace", "1h", "--kill-after", "1h") as work:
        await work.wait_for("begun")
        work.signal(signal.SIGTERM)
        await work.wait_for("draining")
        work.signal(signal.SIGINT)
        await work.wait_for("Stopping at once.")
        assert await work.exit_status() == 0
    assert (await current(server, run)).status == PENDING
