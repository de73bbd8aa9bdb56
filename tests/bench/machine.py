"""Processes under measurement: one core for servers, the other for the load, and what each of them used."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What a server's ready line says in front of its address.
READY: Final = "serves on "

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@functools.cache
def cores() -> tuple[int, int]:
    """The core of the servers and the core of the load; the same one where there is no second."""
    # Asked once: whoever is pinned already sees one core only.
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pin(core: int) -> None:
    """Keep this process on a core."""
    os.sched_setaffinity(0, {core})


class Server:
    """A server as a process of its own, pinned to the servers' core."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Start it, and return its address once it serves."""
        core, _ = cores()
        # Its log is written, as it ships, and seen when something is wrong.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            preexec_fn=lambda: pin(core),
        )
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode()
        if READY not in line:
            raise RuntimeError(f"{' '.join(self._command)} did not start: {self.said()}")
        return line.partition(READY)[2].split()[0]

    async def stop(self) -> None:
        """End it in order, if it did not end by itself."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
        self._log.close()

    def said(self) -> str:
        """The end of what it logged."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2_000:]

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
