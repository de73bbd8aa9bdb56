"""deploy/three_servers.sh: one command for three servers over one database."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.calls import Refused, call, created
from tests.support.ports import free_port
from tests.support.server import client_of
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SCRIPT: Final = Path(__file__).parents[2] / "deploy" / "three_servers.sh"
COMMAND: Final = Path(sys.executable).with_name("runsvc")
#: The script starts a database of its own with these programs.
CAN_START: Final = (
    os.environ.get("RUNSVC_REQUIRE_ALL") == "1"
    or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    or which("initdb") is not None
)


class Deployed:
    """The running script."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        #: What the script and the servers have printed.
        self.lines: list[str] = []

    async def read_to(self, pattern: str) -> re.Match[str]:
        """Read lines to the first one with the pattern."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await self._process.stdout.readline()).decode():
                self.lines.append(line)
                if found := re.search(pattern, line):
                    return found
        raise AssertionError("".join(self.lines))

    async def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal to the group, as Ctrl-C does, and return the exit status."""
        os.killpg(self._process.pid, number)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end and return the exit status."""
        output, _ = await self._process.communicate()
        self.lines.append(output.decode())
        return self._process.returncode or 0


@asynccontextmanager
async def deployed(*arguments: str) -> AsyncIterator[Deployed]:
    process = await asyncio.create_subprocess_exec(
        SCRIPT,
        *arguments,
        env=os.environ | {"RUNSVC": str(COMMAND), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield Deployed(process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def serves(address: str) -> bool:
    """True if a server answers there."""
    async with client_of(address) as client:
        try:
            await call(client, "GetServerInfo")
        except Refused:
            return False
    return True


def listener(address: str) -> int:
    """The process of the server at an address."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"--listen" in words and address.encode() in words:
                return int(process.name)
    raise AssertionError(f"no server on {address}")


def exists(folder: str) -> bool:
    return Path(folder).exists()


def three_ports() -> str:
    """A port that is free, like the next two."""
    while True:
        first = free_port()
        with suppress(OSError), ExitStack() as stack:
            for port in (first + 1, first + 2):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return str(first)


async def test_three_servers_share_a_database_until_ctrl_c(postgres_url: str) -> None:
    async with deployed(postgres_url, three_ports()) as script:
        target = (await script.read_to("RUNSVC_TARGET=(ipv4:.*)")).group(1)
        addresses = target.removeprefix("ipv4:").split(",")
        assert len(set(addresses)) == 3
        async with client_of(target) as client:
            run = await created(client)
        for address in addresses:
            async with client_of(address) as client:
                assert (await call(client, "Get", run_id=run.run_id)).run == run
        assert await script.end() == -signal.SIGINT
        assert not any([await serves(address) for address in addresses])


async def test_a_server_that_ends_is_started_again(postgres_url: str) -> None:
    async with deployed(postgres_url, three_ports()) as script:
        target = (await script.read_to("RUNSVC_TARGET=ipv4:(.*)")).group(1)
        first = target.split(",")[0]
        os.kill(listener(first), signal.SIGKILL)
        await until(lambda: serves(first))
        assert await script.end(signal.SIGTERM) == -signal.SIGTERM


async def test_a_database_that_cannot_be_used_ends_the_script(postgres: str) -> None:
    async with deployed(f"{postgres}?schema=UPPER", three_ports()) as script:
        await script.read_to("the name of a schema has lower-case letters")
        assert await script.ended() == 1


async def test_a_port_in_use_ends_the_script(postgres_url: str) -> None:
    port = three_ports()
    with socket.create_server(("127.0.0.1", int(port) + 2)):
        async with deployed(postgres_url, port) as script:
            await script.read_to(f"uses port {int(port) + 2}: name another")
            assert await script.ended() == 1


@pytest.mark.skipif(not CAN_START, reason="needs Debian's package postgresql")
async def test_without_a_url_a_temporary_one_is_started_and_removed() -> None:
    async with deployed("", three_ports()) as script:
        folder = (await script.read_to("starts in (.*)[.]$")).group(1)
        target = (await script.read_to("RUNSVC_TARGET=(ipv4:.*)")).group(1)
        async with client_of(target) as client:
            await created(client)
        assert exists(folder)
        assert await script.end() == -signal.SIGINT
        assert not exists(folder)
