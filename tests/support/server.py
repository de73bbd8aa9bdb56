"""Servers for tests, in this process or in one that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc

from runsvc.rpc.server import OPTIONS
from runsvc.service import running
from runsvc.settings import Settings
from runsvc.v1.admin_service_pb2_grpc import AdminServiceStub
from runsvc.v1.run_service_pb2_grpc import RunServiceStub
from tests.support.engines import argument
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from runsvc.rpc.server import Option
    from runsvc.timekeeper import Timekeeper
    from tests.support.engines import StorePlace

READY = "serves on "


class Client:
    """Both stubs over one channel."""

    def __init__(self, address: str) -> None:
        self.address = address
        options = (
            # Otherwise channels with equal options share connections, even to a server that has ended.
            ("grpc.use_local_subchannel_pool", 1),
            # Otherwise the transport may buffer megabytes of unread data, and no watch would stall.
            ("grpc.http2.bdp_probe", 0),
        )
        self.channel = grpc.aio.insecure_channel(address, options=options)
        self.runs = RunServiceStub(self.channel)
        self.admin = AdminServiceStub(self.channel)

    async def close(self) -> None:
        await self.channel.close()


@asynccontextmanager
async def client_of(address: str) -> AsyncIterator[Client]:
    """Open a client during the block."""
    client = Client(address)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def in_process(
    db: StorePlace,
    *,
    timekeeper: Timekeeper | None = None,
    options: Iterable[Option] = OPTIONS,
    **settings: object,
) -> AsyncIterator[Client]:
    """Run a whole server in this process and event loop, and return a client of it."""
    everything = Settings(**{"listen": "127.0.0.1:0", "db": db, "grace": 2.0, **settings})  # type: ignore[arg-type]
    async with (
        running(everything, timekeeper, options) as addresses,
        client_of(addresses.partition(",")[0]) as client,
    ):
        yield client


class Process:
    """A server in a process of its own, started through the command line."""

    def __init__(
        self,
        db: StorePlace,
        *arguments: str,
        stderr: int = asyncio.subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.db = db
        self._stderr = stderr
        self.arguments = arguments
        #: More variables of its environment.
        self.env = dict(env or {})
        self.address = ""
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, listen: str = "") -> str:
        """Start the server and return its address, by default at a free port, once it is ready."""
        listen = listen or f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "runsvc.cli", "serve", "--listen", listen]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            "--db",
            argument(self.db),
            *self.arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | self.env,
        )
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode()
        assert READY in line, f"no ready line: {line!r}"
        self.address = line.partition(READY)[2].split()[0]
        return self.address

    async def start_again(self) -> None:
        """Start the server again at the same address, after it has ended."""
        await self.start(self.address)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """Kill the process, as a crash would."""
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """Stop the server with SIGTERM and return its exit status."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for the end of the process and return its exit status."""
        assert self._process is not None
        status = await self._process.wait()
        self._process = None
        return status

    async def __aenter__(self) -> Process:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()
