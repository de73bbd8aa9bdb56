"""Thousands of executors in one process, each of which holds a run with a lease and sends heartbeats."""

from __future__ import annotations

import asyncio
import itertools
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from runsvc.v1.run_pb2 import RunSpec
from runsvc.v1.run_service_pb2 import CreateRequest, CreateResponse, HeartbeatRequest
from tests.bench.http2 import Connection
from tests.support.worker import WORKER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

_SERVICE = "/runsvc.v1.RunService/"
_CONNECTIONS = 4
#: Concurrent calls that create runs.
_CALLERS = 64
#: Heartbeats per length of a lease.
HEARTBEATS = 3


class Fleet:
    """Executors that renew their leases in turn, evenly over a third of the leases' length."""

    def __init__(self, connections: Sequence[Connection], ttl: float) -> None:
        self._connections = connections
        self._turns = itertools.cycle(connections)
        self._ttl = ttl
        self.run_ids: list[str] = []
        #: Duration of the slowest renewal, in seconds.
        self.slowest = 0.0
        #: gRPC statuses of failed renewals.
        self.refusals: list[int] = []

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    async def renew_leases(self, seconds: float) -> None:
        """Send heartbeats for this many seconds."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        pause = self._ttl / HEARTBEATS / len(self.run_ids)
        renewals: set[asyncio.Task[None]] = set()
        for number, run_id in enumerate(itertools.cycle(self.run_ids)):
            due = begin + number * pause
            if due > begin + seconds:
                break
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            renewal = asyncio.create_task(self._renew(run_id, due))
            renewals.add(renewal)
            renewal.add_done_callback(renewals.discard)
        await asyncio.gather(*renewals)

    async def _renew(self, run_id: str, due: float) -> None:
        request = HeartbeatRequest(run_id=run_id, worker_id=WORKER)
        reply = await next(self._turns).unary(_SERVICE + "Heartbeat", request.SerializeToString())
        self.slowest = max(self.slowest, asyncio.get_running_loop().time() - due)
        if reply.status:
            self.refusals.append(reply.status)

    async def _create(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            spec = RunSpec(thread_id=f"t{number}", worker_id=WORKER)
            spec.lease_ttl.FromTimedelta(timedelta(seconds=self._ttl))
            request = CreateRequest(spec=spec)
            reply = await next(self._turns).unary(_SERVICE + "Create", request.SerializeToString())
            assert reply.status == 0
            self.run_ids.append(CreateResponse.FromString(reply.message).run.run_id)


@asynccontextmanager
async def fleet_of(address: str, size: int, ttl: float) -> AsyncIterator[Fleet]:
    """Run this many executors, each with a run of its own, during the block."""
    fleet = Fleet([await Connection.open(address) for _ in range(_CONNECTIONS)], ttl)
    numbers = iter(range(size))
    try:
        await asyncio.gather(*(fleet._create(numbers) for _ in range(_CALLERS)))
        yield fleet
    finally:
        fleet.close()


@asynccontextmanager
async def busy_core() -> AsyncIterator[None]:
    """Run a process that takes all of a core during the block."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    try:
        yield
    finally:
        process.kill()
        await process.wait()
