"""Three server processes over one PostgreSQL database, which are killed, stopped and paused in turn."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.v1 import run_pb2
from tests.several.test_several import next_of
from tests.support.calls import CHANGED, SNAPSHOT_END, Refused, call, created, watching
from tests.support.cluster import cluster
from tests.support.waiting import until
from tests.support.watchers import SharedConnection, Watcher, following, keep_changing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.cluster import Cluster
    from tests.support.server import Client


@pytest.fixture
async def three(postgres_url: str) -> AsyncIterator[Cluster]:
    async with cluster(postgres_url, "--log-keep", "100000000") as three:
        yield three


async def test_of_fifty_concurrent_creations_over_three_servers_one_is_admitted(
    three: Cluster,
) -> None:
    spec = run_pb2.RunSpec(thread_id="t")
    calls = [
        call(client, "CreateOrReject", spec=spec)
        for client, _ in zip(cycle(three.clients), range(50), strict=False)
    ]
    ends = await asyncio.gather(*calls, return_exceptions=True)
    refusals = [each.error.reason for each in ends if isinstance(each, Refused)]
    assert refusals == ["THREAD_BUSY"] * 49
    assert three.fetch("SELECT count(*) FROM runs") == [(1,)]


async def test_watches_of_every_server_have_each_change_once_while_servers_are_killed_in_turn(
    three: Cluster,
) -> None:
    addresses = [server.address for server in three.servers]
    connections = [SharedConnection(address) for address in addresses]
    targets: tuple[dict[str, Any], ...] = (
        {"all": {}},
        {"thread_id": "t1"},
        {"all": {"assistant_id": "a1"}},
    )
    watchers = [Watcher(each, **target) for each in connections for target in targets]
    stop = asyncio.Event()
    async with following(watchers):
        async with asyncio.TaskGroup() as load:
            for number, address in enumerate(addresses):
                load.create_task(keep_changing(address, number, stop))
            for number in (0, 1, 2, 0):
                # The next server watches on while this one is away.
                known = watchers[3 * ((number + 1) % 3)].position
                await until(
                    lambda n=number, k=known: watchers[3 * ((n + 1) % 3)].position > k + 20  # type: ignore[misc]
                )
                await three.kill(number)
            stop.set()
        last = three.writes()[-1].revision
        await until(lambda: all(watcher.position >= last for watcher in watchers))
    log = three.writes()
    assert [each.revision for each in log] == list(range(1, last + 1))
    for watcher in watchers:
        thread_id, every = watcher.target.get("thread_id"), watcher.target.get("all", {})
        assistant_id = every.get("assistant_id")
        assert watcher.seen == [
            each.revision
            for each in log
            if thread_id in (None, each.thread_id) and assistant_id in (None, each.assistant_id)
        ]


async def test_a_watch_resumes_on_another_server_after_its_own_was_killed(three: Cluster) -> None:
    one, other, third = three.clients
    async with watching(one, all={}) as stream:
        begin = await next_of(stream, SNAPSHOT_END)
        run = await created(other)
        await three.servers[0].kill()
    await call(third, "SetStatus", run_id=run.run_id, status=3)
    position = {"after_revision": begin.revision, "store_id": begin.store_id}
    async with watching(other, all={}, **position) as stream:
        seen = [(await next_of(stream, CHANGED)).run.status for _ in range(2)]
    assert seen == [1, 3]


async def test_a_server_that_is_paused_while_it_holds_the_clock_loses_it_and_recovers(
    three: Cluster,
) -> None:
    paused, stop = three.servers[0], asyncio.Event()
    async with asyncio.TaskGroup() as load:
        load.create_task(_keep_creating(three.clients[0], stop))
        await _pause_in_transaction(three)
        stop.set()
        # The other servers wait for the clock until the database ends the transaction.
        await until(lambda: _writes(three.clients[1]))
        await until(lambda: _writes(three.clients[2]))
        paused.signal(signal.SIGCONT)
        await until(lambda: _writes(three.clients[0]))
    async with watching(three.clients[0], all={}, after_revision=0) as stream:
        last = three.writes()[-1].revision
        seen = [(await next_of(stream, CHANGED)).revision for _ in range(last)]
    assert seen == list(range(1, last + 1))


async def _keep_creating(client: Client, stop: asyncio.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        with suppress(Refused):
            await asyncio.gather(*(created(client, f"t{number}-{each}") for each in range(8)))


async def _pause_in_transaction(three: Cluster) -> None:
    """Stop the process of the first server in a moment in which it holds the clock."""
    holds = """
        SELECT 1 FROM pg_stat_activity JOIN pg_locks USING (pid)
        WHERE application_name = 'server-0' AND state = 'idle in transaction'
          AND relation = 'clock'::regclass
    """
    for _ in range(1_000):
        three.servers[0].signal(signal.SIGSTOP)
        await asyncio.sleep(0.02)
        if three.fetch(holds):
            # Another server's transaction would have ended by now.
            await asyncio.sleep(0.3)
            if three.fetch(holds):
                return
        three.servers[0].signal(signal.SIGCONT)
        await asyncio.sleep(0.01)
    raise AssertionError("the server never held the clock")


async def _writes(client: Client) -> bool:
    try:
        await created(client)
    except Refused:
        return False
    return True
