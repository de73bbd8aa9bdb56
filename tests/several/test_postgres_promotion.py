"""A replica that lacks the last changes takes over, while servers and their watches go on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import error_of
from tests.several.test_several import next_of
from tests.support.calls import CHANGED, SNAPSHOT, SNAPSHOT_END, Refused, created, watching
from tests.support.cluster import cluster
from tests.support.postgres_binaries import find
from tests.support.postgres_keeper import Server
from tests.support.postgres_replica import Replica, halt
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Client


@pytest.fixture
def pair(postgres: str) -> Iterator[tuple[Server, Replica]]:
    """A primary and its replica. Where the tests are given a server, its replica cannot be made."""
    if (binaries := find()) is None:
        pytest.skip(f"needs the programs of PostgreSQL, not only {postgres.partition('?')[0]}")
    primary = Server(binaries)
    replica = Replica(binaries, primary)
    try:
        primary.start()
        replica.start()
        yield primary, replica
    finally:
        replica.stop()
        primary.stop()


@pytest.mark.timeout(900)
async def test_watches_end_and_start_again_after_the_last_changes_were_lost(
    pair: tuple[Server, Replica],
) -> None:
    primary, replica = pair
    hosts = ",".join(each.url.partition("@")[2].partition("/")[0] for each in pair)
    url = f"postgresql://runsvc@{hosts}/postgres?connect_timeout=2"
    async with cluster(url, count=2) as two, AsyncExitStack() as stack:
        kept = await created(two.clients[0], "kept")
        replica.wait_for(1)
        halt(replica)
        streams = [await _opened(stack, client) for client in two.clients]
        lost = await created(two.clients[1], "lost")
        for stream in streams:
            assert (await next_of(stream, CHANGED)).run.run_id == lost.run_id
        halt(primary)
        replica.start_again()
        replica.promote()
        for client in two.clients:
            await until(lambda client=client: _writes(client))  # type: ignore[misc]
        # The revision of the lost change belongs to another one now.
        reasons = [await _end_of(stream) for stream in streams]
        assert reasons == ["REVISION_UNKNOWN"] * 2
        for client in two.clients:
            async with watching(client, all={}) as stream:
                assert (await next_of(stream, SNAPSHOT)).run.run_id == kept.run_id
                begin = await next_of(stream, SNAPSHOT_END)
                await created(two.clients[0])
                assert (await next_of(stream, CHANGED)).revision == begin.revision + 1


async def _opened(stack: AsyncExitStack, client: Client) -> Any:
    stream = await stack.enter_async_context(watching(client, all={}))
    await next_of(stream, SNAPSHOT_END)
    return stream


async def _end_of(stream: Any) -> str:
    try:
        while True:
            async with asyncio.timeout(PATIENCE):
                await stream.read()
    except grpc.aio.AioRpcError as error:
        return error_of(error).reason


async def _writes(client: Client) -> bool:
    try:
        await created(client)
    except Refused:
        return False
    return True
