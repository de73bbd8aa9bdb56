"""Server processes: pinned to a core apart from the load's, with their processor time and memory."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: The text in front of the address in a server's ready line.
READY: Final = "serves on "

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@functools.cache
def cores() -> tuple[int, int]:
    """The core of the servers and the core of the load, which are the same on a machine with one core."""
    # Cached: after `pin` this process sees one core only.
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pin(core: int) -> None:
    """Pin this process to a core."""
    os.sched_setaffinity(0, {core})


@contextmanager
def on_servers_core() -> Iterator[None]:
    """Run the block, and the threads that it starts, on the servers' core."""
    servers, load = cores()
    pin(servers)
    try:
        yield
    finally:
        pin(load)


class Server:
    """A server in a process of its own, pinned to the servers' core."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """Start the server and return its address once it serves."""
        core, _ = cores()
        # The log is written as in production, and shown if the start fails.
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
            raise RuntimeError(f"{' '.join(self._command)} did not start: {self.log_tail()}")
        return line.partition(READY)[2].split()[0]

    async def stop(self) -> None:
        """Stop the server with SIGTERM, unless it has already ended."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
        self._log.close()

    def log_tail(self) -> str:
        """The last 2,000 characters of the log."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2_000:]

    def cpu(self) -> float:
        """Processor time used so far, in seconds."""
        # The fields follow the process name, which may contain any characters.
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Resident memory, in bytes."""
        return int(self._proc("statm").split()[1]) * _PAGE

    def _proc(self, name: str) -> str:
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/{name}").read_text("ascii")
