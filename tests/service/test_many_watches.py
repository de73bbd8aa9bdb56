"""More watches of one client than a connection takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from runsvc.client import AsyncRunClient, RunClient
from runsvc.client.streams import OWN, SHARED
from runsvc.rpc.server import MAX_STREAMS
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import RunSpec
from runsvc.v1.run_service_pb2_grpc import RunServiceStub
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.support.server import Client

COUNT = SHARED + OWN + 20


async def test_watches_beyond_a_connections_limit_do_not_delay_other_calls(
    client: Client,
) -> None:
    assert MAX_STREAMS > OWN > SHARED
    async with asyncio.timeout(PATIENCE), AsyncRunClient(client.address, token=None) as many:
        watches = [many.watch(thread_id="t") for _ in range(COUNT)]
        # The end of each snapshot.
        await asyncio.gather(*(anext(watch) for watch in watches))
        changes = [asyncio.create_task(anext(watch)) for watch in watches]
        created = await many.create(RunSpec(thread_id="t"))
        events = await asyncio.gather(*changes)
        assert {event.run.run_id for event in events} == {created.run.run_id}
        assert len(many._streams.further_channels()) == 2
        for watch in watches:
            await watch.aclose()


async def test_watches_of_threads_use_further_connections_too(client: Client) -> None:
    def watch_many() -> None:
        with RunClient(client.address, token=None) as many:
            watches = [many.watch(thread_id="t") for _ in range(SHARED + 1)]
            for watch in watches:
                next(watch)
            assert len(many._streams.further_channels()) == 1
            assert many.get(many.create(RunSpec(thread_id="t")).run.run_id)
            for watch in watches:
                watch.close()

    await asyncio.wait_for(asyncio.to_thread(watch_many), PATIENCE)


async def test_a_compressed_request_is_refused(client: Client) -> None:
    async with grpc.aio.insecure_channel(client.address) as channel:
        request = pb.CreateRequest(spec=RunSpec(thread_id="t", metadata={"text": "0" * 10_000}))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await RunServiceStub(channel).Create(request, compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert not (await client.runs.HasInflight(pb.HasInflightRequest(thread_id="t"))).has_inflight
