"""A program that calls a server for one owner as fast as it can: flood.py ADDRESS OWNER SECONDS"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import Any

import grpc

from runsvc.v1.run_service_pb2 import HasInflightRequest
from runsvc.v1.run_service_pb2_grpc import RunServiceStub

CONNECTIONS = 1
CALLS = 250


async def flood(address: str, owner: str, seconds: float) -> Counter[str]:
    """Keep many calls under way, each repeated at once. Return their number by status."""
    answers: Counter[str] = Counter()
    end = time.monotonic() + seconds

    async def repeat(stub: RunServiceStub) -> None:
        while time.monotonic() < end:
            call: Any = stub.HasInflight(
                HasInflightRequest(thread_id="t"), metadata=(("runsvc-owner", owner),), timeout=30
            )
            answers[(await call.code()).name] += 1

    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(CONNECTIONS)]
    await asyncio.gather(
        *(repeat(stub) for stub in map(RunServiceStub, channels) for _ in range(CALLS))
    )
    return answers


if __name__ == "__main__":
    print(dict(asyncio.run(flood(sys.argv[1], sys.argv[2], float(sys.argv[3])))))
