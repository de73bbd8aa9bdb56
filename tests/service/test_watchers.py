"""Many watchers: disconnected at random moments, resuming all at once, and one that stops reading."""

from __future__ import annotations

import asyncio
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

import grpc
import pytest

from runsvc.client import AsyncRunClient
from runsvc.v1 import run_pb2
from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse
from tests.bench import http2
from tests.support.calls import CHANGED, Refused, call, created, created_on
from tests.support.engines import EVERY_ENGINE
from tests.support.memory import needs_proc, resident
from tests.support.proxy import proxied
from tests.support.server import Process, client_of
from tests.support.waiting import PATIENCE, until
from tests.support.watchers import (
    CANCELLED,
    METHOD,
    STREAMS,
    Disturbance,
    SharedConnection,
    Watcher,
    following,
    run_disturbed,
    watchers_of_all_kinds,
)

if TYPE_CHECKING:
    from tests.support.engines import StorePlace
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

long_form = [pytest.mark.soak, pytest.mark.timeout(1_800)]
#: Bytes that the server may send to a watcher that does not read.
WINDOW = 64 << 10
#: Expected growth of memory, in bytes: the recent log, the cached runs, and the garbage of calls.
GROWTH = 48 << 20


@pytest.mark.parametrize(
    ("count", "acts"),
    [
        pytest.param(60, 8, id="short"),
        pytest.param(1_000, 150, id="long", marks=long_form),
    ],
)
async def test_a_disconnected_watcher_resumes_and_sees_every_change_once_and_in_order(
    db: StorePlace, count: int, acts: int
) -> None:
    async with (
        Process(db, "--log-keep", "10000000") as process,
        proxied(process.address) as proxy,
    ):
        # Half of the connections go through the proxy.
        lines = [
            SharedConnection(address)
            for address in (process.address, proxy.address)
            for _ in range(2 + count // (2 * STREAMS))
        ]
        watchers = watchers_of_all_kinds(lines, count)
        disturbance = Disturbance(process, proxy, lines, watchers, Random(count))
        await run_disturbed(disturbance, acts)
        assert len(disturbance.done) == 5
        assert min(watcher.cuts for watcher in watchers) >= 2
        for line in lines:
            line.drop()


async def watcher_count(client: Client) -> int:
    return int((await call(client, "GetServerInfo")).watchers)


async def until_watchers(client: Client, count: int) -> None:
    """Wait until the server has this number of watchers."""
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            try:
                if await watcher_count(client) == count:
                    return
            except Refused as refusal:
                # The transport sheds calls of every kind while thousands of watchers return.
                if refusal.error.code is not grpc.StatusCode.CANCELLED:
                    raise
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "count",
    [pytest.param(500, id="short"), pytest.param(10_000, id="long", marks=long_form)],
)
async def test_thousands_of_watchers_resume_at_once_after_a_crash(
    db: StorePlace, count: int
) -> None:
    async with Process(db) as process:
        lines = [SharedConnection(process.address) for _ in range((count - 1) // STREAMS + 1)]
        each = [
            Watcher(lines[number % len(lines)], thread_id=f"w{number}") for number in range(count)
        ]
        async with following(each):
            async with client_of(process.address) as client:
                await until_watchers(client, count)
                await created(client, "w7")
                # The change is sent to one watcher only.
                await until(lambda: each[7].seen == [1])
                assert sum(len(watcher.seen) for watcher in each) == 1
                await created(client, "w8")
                await process.kill()
            await process.start_again()
            async with client_of(process.address) as client:
                await until_watchers(client, count)
                # The transport may have shed some of them, which have come back.
                assert all(watcher.statuses <= {CANCELLED} for watcher in each)
                await until(lambda: each[8].seen == [2])
                await created_on(client, (f"w{number}" for number in range(9, 99)))
                await until(lambda: all(watcher.seen for watcher in each[7:99]))
        assert sorted(chain(*(watcher.seen for watcher in each))) == list(range(1, 93))
        everyone = [Watcher(lines[number % len(lines)], all={}) for number in range(count)]
        for watcher in everyone:
            watcher.position = 92
        async with following(everyone), client_of(process.address) as client:
            await until_watchers(client, count)
            await created(client)
            await until(lambda: all(watcher.seen for watcher in everyone), 120)
        assert all(watcher.seen == [93] for watcher in everyone)
        for line in lines:
            line.drop()
        async with client_of(process.address) as client:
            await until_watchers(client, 0)


async def change(address: str, lanes: int, changes: int) -> None:
    """Create runs, in concurrent lanes."""
    numbers = iter(range(changes))
    async with AsyncRunClient(address, token=None) as client:

        async def lane() -> None:
            for number in numbers:
                spec = run_pb2.RunSpec(thread_id=f"t{number % 100}", metadata={"text": "x" * 400})
                await client.create(spec)

        await asyncio.gather(*(lane() for _ in range(lanes)))


@needs_proc
@pytest.mark.parametrize(
    "changes",
    [pytest.param(2_000, id="short"), pytest.param(100_000, id="long", marks=long_form)],
)
async def test_a_watcher_that_stops_reading_costs_no_memory_and_misses_no_change(
    db: StorePlace, changes: int
) -> None:
    arguments = ("--log-keep", "10000000", "--max-active-per-thread", "100000")
    async with Process(db, *arguments) as process:
        await change(process.address, 30, 300)
        connection = await http2.Connection.open(process.address, WINDOW)
        stalled: list[int] = []

        def take(message: bytes) -> None:
            event = StreamStatusResponse.FromString(message)
            if event.event == CHANGED:
                stalled.append(event.revision)

        request = StreamStatusRequest(all={}, after_revision=300).SerializeToString()
        number, ended = connection.stream(METHOD, request, take)
        line = SharedConnection(process.address)
        other = Watcher(line, all={})
        other.position = 300
        before = resident(process.pid)
        async with following([other]):
            await change(process.address, 30, changes)
            last = 300 + changes
            # The other watcher receives everything on one stream, although the first one is stalled.
            await until(lambda: other.position == last)
            assert other.seen == list(range(301, last + 1))
            assert other.cuts == 0
            assert len(stalled) < WINDOW // 400
            assert resident(process.pid) - before < GROWTH
            connection.grant(number, 1 << 30)
            await until(lambda: bool(stalled) and stalled[-1] == last, 120)
        assert stalled == other.seen
        assert not ended.done()
        line.drop()
        connection.close()
        await asyncio.wait([ended])
        assert ended.exception() is not None
