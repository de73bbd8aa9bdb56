"""Watches of both twins against a real server: killed under them, and left a thousand times."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from runsvc.client import AsyncRunClient, AsyncWatch, RunClient, Unavailable, Watch
from runsvc.v1.run_pb2 import RunSpec, StatusEvent
from tests.support.both_clients import make_client
from tests.support.calls import CHANGED, PENDING, RUNNING, SUCCESS, call
from tests.support.server import client_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.server import Process

KILLS = 4
ROUNDS = 1_000


async def keep_creating(client: Any, stop: asyncio.Event) -> int:
    """Create runs, each until it is there, until told to stop; how many."""
    count = 0
    while not stop.is_set():
        with suppress(Unavailable):
            # On threads of their own: none gets full.
            await client.create(RunSpec(thread_id=f"t{count}"), request_id=f"q{count}")
            count += 1
    return count


async def test_a_killed_server_leaves_no_gap_and_no_repeat(client: Any, process: Process) -> None:
    seen: list[int] = []
    watch = client.watch(all_runs=True, after_revision=0)

    async def read() -> None:
        async for event in watch:
            if event.event == CHANGED:
                seen.append(event.revision)

    reading, stop = asyncio.create_task(read()), asyncio.Event()
    creating = asyncio.create_task(keep_creating(client, stop))
    for number in range(KILLS):
        await until(lambda number=number: len(seen) > 20 * number)  # type: ignore[misc]
        await process.kill()
        await process.start_again()
    already = len(seen)
    await until(lambda: len(seen) > already + 20)
    stop.set()
    created = await creating
    await until(lambda: len(seen) == created)
    await watch.aclose()
    await reading
    assert seen == list(range(1, created + 1))


async def test_a_watch_of_one_run_ends_with_it_across_restarts(
    client: Any, process: Process
) -> None:
    run_id = (await client.create(RunSpec(thread_id="t"))).run.run_id
    statuses: list[int] = []

    async def read() -> None:
        async for event in client.watch(run_id):
            if event.HasField("run"):
                statuses.append(event.run.status)

    reading = asyncio.create_task(read())
    await until(lambda: statuses == [PENDING])
    await process.kill()
    await process.start_again()
    async with client_of(process.address) as executor:
        await call(executor, "SetStatus", run_id=run_id, status=RUNNING)
    await until(lambda: statuses == [PENDING, RUNNING])
    await process.stop()
    await process.start_again()
    async with client_of(process.address) as executor:
        await call(executor, "Complete", run_id=run_id, status=SUCCESS)
    await asyncio.wait_for(reading, 30)
    assert statuses == [PENDING, RUNNING, SUCCESS]


async def nobody_watches(process: Process) -> None:
    """Return when the server has no stream open."""

    async def is_alone() -> bool:
        return bool((await call(other, "GetServerInfo")).watchers == 0)

    async with client_of(process.address) as other:
        await until(is_alone)


def held() -> dict[str, int]:
    """What this process holds open."""
    gc.collect()
    kinds = (Watch, AsyncWatch, grpc.aio.UnaryStreamCall, grpc.Channel, grpc.aio.Channel)
    objects = [each for each in gc.get_objects() if isinstance(each, kinds)]
    return {
        "objects": len(objects),
        "threads": threading.active_count(),
        "native threads": len(list(Path("/proc/self/task").iterdir())),
        "handles": len(list(Path("/proc/self/fd").iterdir())),
    }


async def leave_often(client: AsyncRunClient, rounds: int) -> None:
    for _ in range(rounds):
        async for event in client.watch(all_runs=True):
            assert event.event == StatusEvent.STATUS_EVENT_SNAPSHOT_END
            break


def leave_often_in_a_thread(client: RunClient, rounds: int) -> None:
    for _ in range(rounds):
        for event in client.watch(all_runs=True):
            assert event.event == StatusEvent.STATUS_EVENT_SNAPSHOT_END
            break


def piles_up(before: dict[str, int], after: dict[str, int]) -> bool:
    # The transport has threads and sockets of its own that come and go, a few at a time.
    return any(after[name] > count + 8 for name, count in before.items())


async def test_a_thousand_watches_that_were_left_leave_nothing(process: Process) -> None:
    async with AsyncRunClient(process.address) as client:
        await leave_often(client, 20)
        before, tasks = held(), len(asyncio.all_tasks())
        await leave_often(client, ROUNDS)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: not piles_up(before, held()))
        await nobody_watches(process)


async def test_nor_do_those_in_threads(process: Process) -> None:
    with RunClient(process.address) as client:
        await asyncio.to_thread(leave_often_in_a_thread, client, 20)
        before = held()
        await asyncio.to_thread(leave_often_in_a_thread, client, ROUNDS)
        await until(lambda: not piles_up(before, held()))
        await nobody_watches(process)


async def test_nor_do_clients_that_were_closed(kind: Any, process: Process) -> None:
    async def watch_once() -> None:
        async with make_client(kind, process.address) as client:
            watch = client.watch(all_runs=True)
            await anext(watch)
            await watch.aclose()

    await watch_once()
    before = held()
    for _ in range(100):
        await watch_once()
    await until(lambda: not piles_up(before, held()))
    await nobody_watches(process)
