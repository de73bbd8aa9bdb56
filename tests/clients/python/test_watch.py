"""Watches of both clients against a real server: across kills and restarts, and without leaks."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from runsvc.client import AsyncRunClient, AsyncWatch, RunClient, Unavailable, Watch
from runsvc.v1.run_pb2 import RunSpec, StatusEvent
from tests.support.both_clients import make_client
from tests.support.calls import CHANGED, PENDING, RUNNING, SUCCESS, call
from tests.support.server import Process, client_of
from tests.support.waiting import PATIENCE, until

KILLS = 4
ROUNDS = 1_000


async def keep_creating(client: Any, stop: asyncio.Event) -> int:
    """Create runs until `stop` is set, each until it succeeds. Return their number."""
    count = 0
    while not stop.is_set():
        with suppress(Unavailable):
            # Each on its own thread: a thread has a limit of active runs.
            await client.create(RunSpec(thread_id=f"t{count}"), request_id=f"q{count}")
            count += 1
    return count


async def test_killed_server_causes_no_gap_and_no_repeat(client: Any, process: Process) -> None:
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


async def test_watch_of_one_run_ends_with_it_across_restarts(client: Any, process: Process) -> None:
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
    await asyncio.wait_for(reading, PATIENCE)
    assert statuses == [PENDING, RUNNING, SUCCESS]


async def wait_without_watchers(process: Process) -> None:
    """Wait until the server has no open stream."""

    async def has_none() -> bool:
        return bool((await call(other, "GetServerInfo")).watchers == 0)

    async with client_of(process.address) as other:
        await until(has_none)


def resources() -> dict[str, int]:
    """Return the numbers of open resources of this process."""
    gc.collect()
    kinds = (Watch, AsyncWatch, grpc.aio.UnaryStreamCall, grpc.Channel, grpc.aio.Channel)
    objects = [each for each in gc.get_objects() if isinstance(each, kinds)]
    return {
        "objects": len(objects),
        "threads": threading.active_count(),
        "native threads": len(list(Path("/proc/self/task").iterdir())),
        "handles": len(list(Path("/proc/self/fd").iterdir())),
    }


async def leave_watches(client: AsyncRunClient, rounds: int) -> None:
    for _ in range(rounds):
        async for event in client.watch(all_runs=True):
            assert event.event == StatusEvent.STATUS_EVENT_SNAPSHOT_END
            break


def leave_watches_in_thread(client: RunClient, rounds: int) -> None:
    for _ in range(rounds):
        for event in client.watch(all_runs=True):
            assert event.event == StatusEvent.STATUS_EVENT_SNAPSHOT_END
            break


def has_grown(before: dict[str, int], after: dict[str, int]) -> bool:
    # grpc opens and closes a few threads and sockets of its own.
    return any(after[name] > count + 8 for name, count in before.items())


async def test_left_watches_leak_nothing(process: Process) -> None:
    async with AsyncRunClient(process.address) as client:
        await leave_watches(client, 20)
        before, tasks = resources(), len(asyncio.all_tasks())
        await leave_watches(client, ROUNDS)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: not has_grown(before, resources()))
        await wait_without_watchers(process)


async def test_left_watches_in_threads_leak_nothing(process: Process) -> None:
    with RunClient(process.address) as client:
        await asyncio.to_thread(leave_watches_in_thread, client, 20)
        before = resources()
        await asyncio.to_thread(leave_watches_in_thread, client, ROUNDS)
        await until(lambda: not has_grown(before, resources()))
        await wait_without_watchers(process)


async def test_closed_clients_leak_nothing(kind: Any, process: Process) -> None:
    async def watch_once() -> None:
        async with make_client(kind, process.address) as client:
            watch = client.watch(all_runs=True)
            await anext(watch)
            await watch.aclose()

    await watch_once()
    before = resources()
    for _ in range(100):
        await watch_once()
    await until(lambda: not has_grown(before, resources()))
    await wait_without_watchers(process)


async def test_giving_up_a_wait_does_not_detach_the_client(tmp_path: Path) -> None:
    async with (
        Process(tmp_path / "grace.db", "--attach-grace", "0") as process,
        AsyncRunClient(process.address) as client,
        client_of(process.address) as others,
    ):
        run_id = (await client.create(RunSpec(thread_id="t"))).run.run_id
        async with client.watch(run_id, attach=True) as watch:
            statuses: list[int] = []
            while len(statuses) < 3:
                try:
                    event = await asyncio.wait_for(anext(watch), 0.05)
                except TimeoutError:
                    if len(statuses) == 1:
                        await call(others, "SetStatus", run_id=run_id, status=RUNNING)
                    else:
                        await call(others, "Complete", run_id=run_id, status=SUCCESS)
                else:
                    statuses += [event.run.status] if event.HasField("run") else []
        assert statuses == [PENDING, RUNNING, SUCCESS]
