"""Programs in processes of their own, for the examples and the page of the Python client."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[3]
#: The folder of the client's page and examples.
HERE = ROOT / "clients" / "python"


class Program:
    """A running program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def wait_for_line(self, part: str) -> str:
        """Read the output up to a line that contains `part`, and return that line."""
        assert self._process.stdout is not None
        output: list[str] = []
        async with asyncio.timeout(PATIENCE):
            async for line in self._process.stdout:
                output.append(line.decode())
                if part in output[-1]:
                    return output[-1].strip()
        raise AssertionError(f"no line contains {part!r}: {''.join(output)}")

    async def read_lines(self) -> list[str]:
        """Return the rest of the output."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._process.stdout.read()).decode().splitlines()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    async def exit_status(self) -> int:
        """Wait for the program's end and return its exit status."""
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()


@asynccontextmanager
async def running(target: str, *command: str) -> AsyncIterator[Program]:
    """A program with RUNSVC_TARGET set, killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"RUNSVC_TARGET": target},
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
