"""An executor that holds a run and sends heartbeats, in this process or in one that can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc

from runsvc.v1.run_service_pb2 import HeartbeatRequest
from tests.support.calls import RUNNING, call, created
from tests.support.server import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.v1.run_pb2 import Run
    from tests.support.server import Client

WORKER = "w"
#: Length of a lease that a test waits for, in seconds. Its holder renews it in time on a busy machine too.
TTL = 2.0


async def leased(client: Client, thread_id: str = "t", ttl: float = TTL, **spec: object) -> Run:
    """Create a run, start it as the executor with a lease, and return it."""
    run = await created(client, thread_id, **spec)
    answer = await call(
        client,
        "SetStatus",
        run_id=run.run_id,
        status=RUNNING,
        worker_id=WORKER,
        lease_ttl=length(ttl),
    )
    started: Run = answer.run
    return started


def length(seconds: float) -> dict[str, int]:
    """The fields of a Duration message."""
    return {"seconds": int(seconds), "nanos": round(seconds % 1 * 1e9)}


async def send_heartbeats(client: Client, run_id: str, ttl: float) -> None:
    """Send a heartbeat every third of the ttl, regardless of errors, until cancelled."""
    request = HeartbeatRequest(run_id=run_id, worker_id=WORKER)
    while True:
        try:
            await client.runs.Heartbeat(request, timeout=ttl / 3, wait_for_ready=True)
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.05)
        else:
            await asyncio.sleep(ttl / 3)


@asynccontextmanager
async def sending_heartbeats(client: Client, run_id: str, ttl: float = TTL) -> AsyncIterator[None]:
    """Send heartbeats during the block."""
    beating = asyncio.create_task(send_heartbeats(client, run_id, ttl))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait([beating])


@asynccontextmanager
async def worker_process(
    address: str, run_id: str, ttl: float
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Send heartbeats from a separate process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.worker",
        address,
        run_id,
        str(ttl),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _main(address: str, run_id: str, ttl: str) -> None:
    async with client_of(address) as client:
        await send_heartbeats(client, run_id, float(ttl))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
