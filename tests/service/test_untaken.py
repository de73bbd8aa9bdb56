"""Clients that ask for large answers and do not take them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runsvc.rpc.untaken import PER_CONNECTION
from runsvc.v1 import run_pb2
from runsvc.v1 import run_service_pb2 as pb
from tests.bench.http2 import Connection, Reply
from tests.support.engines import EVERY_ENGINE
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

LIST = "/runsvc.v1.RunService/ListByThread"
RESOURCE_EXHAUSTED = 8
CALLS = 60


async def test_a_connection_that_takes_no_answers_is_refused_more_of_them(client: Client) -> None:
    spec = run_pb2.RunSpec(thread_id="t", metadata={"text": "x" * 60_000})
    await asyncio.gather(*(client.runs.Create(pb.CreateRequest(spec=spec)) for _ in range(16)))
    request = pb.ListByThreadRequest(thread_id="t", page_size=16)
    size = (await client.runs.ListByThread(request)).ByteSize()
    # Streams of this connection stall after one byte.
    stalled = await Connection.open(client.address, window=1)
    calls = [stalled.unary(LIST, request.SerializeToString()) for _ in range(CALLS)]
    refused = CALLS - PER_CONNECTION // size
    done: set[asyncio.Future[Reply]] = set()
    while len(done) < refused:
        pending = [call for call in calls if call not in done]
        ended, _ = await asyncio.wait(
            pending, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        assert ended, f"{len(done)} of {refused} calls were refused"
        done |= ended
    assert {call.result().status for call in calls if call in done} == {RESOURCE_EXHAUSTED}
    # Others are served, and so is a new connection of that client.
    assert (await client.runs.ListByThread(request)).ByteSize() == size
    stalled.close()
    await asyncio.wait(calls)
    again = await Connection.open(client.address)
    assert (await again.unary(LIST, request.SerializeToString())).status == 0
    again.close()
