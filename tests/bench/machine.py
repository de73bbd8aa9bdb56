"""Processes under measurement: one core for servers, the other for the load, and what each of them used."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a server's ready line says in front of its address.
READY: Final = "serves on "

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def cores() -> tuple[int, int]:
    """The core of the servers and the core of the load; the same one where there is no second."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


class Server:
    """A server as a process of its own, pinned to the servers' core."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Start it, and return its address once it serves."""
        core, _ = cores()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode()
        if READY not in line:
            raise RuntimeError(f"{' '.join(self._command)} did not start: {line!r}")
        return line.partition(READY)[2].split()[0]

    async def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()
            self._process = None

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        # Behind the name, which may hold anything.
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Bytes that it holds in memory."""
        return int(self._proc("statm").split()[1]) * _PAGE

    def _proc(self, name: str) -> str:
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/{name}").read_text("ascii")
