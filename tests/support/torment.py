"""Disturbances of a server's life: crashes, restarts, a disk that fails or is slow, a pause, a restored backup."""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.support import shim
from tests.support.server import Process
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

#: Seconds of a fault that lasts.
A_WHILE: Final = 1.0


class Switch:
    """A fault of the disk that is on while a file exists."""

    def __init__(self, variable: str, folder: Path) -> None:
        self._file = folder / variable
        self.env = {variable: str(self._file)}

    def on(self, *, once: bool = False) -> None:
        """Switch it on, until it is switched off or, with `once`, until one call has failed."""
        self._file.write_text("once" if once else "")

    def off(self) -> None:
        """Switch it off, if it is on."""
        self._file.unlink(missing_ok=True)

    def is_on(self) -> bool:
        """Return whether it is on."""
        return self._file.exists()


class Torment:
    """A server process whose life can be disturbed. `server` serves until the end of the block."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._flush = Switch("SHIM_SYNC_FAILS", folder)
        self._write = Switch("SHIM_WRITE_FAILS", folder)
        self._slow = Switch("SHIM_SLOW", folder)
        env = shim.build(folder) | self._flush.env | self._write.env | self._slow.env
        self.server = Process(folder / "runs.db", *arguments, env=env)
        #: Those after which the store has all that was acknowledged.
        self.disturbances: tuple[Callable[[], Awaitable[None]], ...] = (
            self.crash,
            self.stop,
            partial(self.fail_once, self._flush),
            partial(self.fail_once, self._write),
            partial(self.fail, self._flush),
            partial(self.fail, self._write),
            partial(self.crash_while_failing, self._flush),
            partial(self.crash_while_failing, self._write),
            self.be_slow,
            self.freeze,
        )

    async def crash(self) -> None:
        """Kill the server and start it again."""
        await self.server.kill()
        await self.server.start_again()

    async def stop(self) -> None:
        """Stop the server and start it again."""
        assert await self.server.stop() == 0
        await self.server.start_again()

    async def fail_once(self, switch: Switch) -> None:
        """Have one change of the -wal fail, if there is one soon."""
        switch.on(once=True)
        try:
            await until(lambda: not switch.is_on(), 10)
        except TimeoutError:
            switch.off()

    async def fail(self, switch: Switch) -> None:
        """Have each change of the -wal fail for a while, as on a full disk."""
        switch.on()
        await asyncio.sleep(A_WHILE)
        switch.off()

    async def crash_while_failing(self, switch: Switch) -> None:
        """Kill the server while its disk fails."""
        switch.on()
        await asyncio.sleep(A_WHILE / 4)
        await self.server.kill()
        switch.off()
        await self.server.start_again()

    async def be_slow(self) -> None:
        """Have each flush take long for a while."""
        self._slow.on()
        await asyncio.sleep(A_WHILE)
        self._slow.off()

    async def freeze(self) -> None:
        """Stop the process for a while, as a debugger or a machine that is moved does."""
        self.server.signal(signal.SIGSTOP)
        await asyncio.sleep(A_WHILE)
        self.server.signal(signal.SIGCONT)

    async def restore(self) -> None:
        """Put a backup of a moment ago in the place of the store: what happened since is lost."""
        backup = self._folder / "backup.db"
        await self._administer("backup", str(backup), "--db", str(self.server.db))
        await asyncio.sleep(A_WHILE)
        await self.server.kill()
        await self._administer("restore", str(backup), str(self.server.db))
        backup.unlink()
        await self.server.start_again()

    async def _administer(self, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "runsvc.cli",
            "admin",
            *arguments,
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0
