"""A client's driver: a process that executes commands with its client, one per line."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parents[2]
DRIVERS = ROOT / ".tools/drivers"

#: Timeout of a driver's answer, in seconds.
LIMIT = PATIENCE


class Driver:
    """A process of a language's driver."""

    def __init__(self, language: str, environment: dict[str, str], log: Path) -> None:
        self.language = language
        self.log = log
        self._environment = environment
        self._process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, command: dict[str, Any]) -> None:
        """Send a command; `answer` returns its result."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    async def answer(self, limit: float = LIMIT) -> dict[str, Any]:
        """Return the next answer, which arrives within `limit` seconds."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(limit):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        assert line, f"the {self.language} driver did not answer:\n{self.log.read_text()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def kill(self) -> None:
        """Kill the process, as a crash would."""
        self._process.kill()
        await self._process.wait()

    async def quit(self) -> None:
        """Send `quit`, and check the answer and the exit status."""
        await self.send({"cmd": "quit"})
        assert await self.answer() == {"ok": {}}
        async with asyncio.timeout(LIMIT):
            status = await self._process.wait()
        assert status == 0, (
            f"the {self.language} driver ended with {status}:\n{self.log.read_text()}"
        )

    async def __aenter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                DRIVERS / self.language,
                cwd=ROOT,
                env=_environment() | self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # An answer holds up to a few hundred runs.
                limit=16 << 20,
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._process.returncode is None:
                await self.quit()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


def _environment() -> dict[str, str]:
    """This process's environment without the variables that configure clients."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNSVC_")}
