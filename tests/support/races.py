"""Races and crashes over a real connection, of any size, with their checks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc

from runsvc.v1 import run_pb2, run_service_pb2
from tests.support.engines import StorePlace, opened
from tests.support.server import Process, client_of

if TYPE_CHECKING:
    from random import Random

    from tests.support.engines import StorePlace
from tests.support.server import Client

PENDING, RUNNING, SUCCESS = 1, 2, 3
REJECT, INTERRUPT = 1, 2
CHANGED, HEARTBEAT = 3, 5
ENDED_BY_SERVER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

#: Concurrent callers that give up.
CALLERS = 30

Change = tuple[int, str, int]


def on_thread(thread_id: str, strategy: int = REJECT) -> run_pb2.RunSpec:
    """The spec of a run on a thread."""
    return run_pb2.RunSpec(thread_id=thread_id, multitask_strategy=strategy)  # type: ignore[arg-type]


async def admitted(client: Client, thread_id: str, strategy: int = REJECT) -> run_pb2.Run:
    """Create a run under its strategy and return it."""
    request = run_service_pb2.CreateOrRejectRequest(spec=on_thread(thread_id, strategy))
    return (await client.runs.CreateOrReject(request)).run


async def status(client: Client, run_id: str, number: int) -> run_pb2.Run:
    """Report a status and return the run."""
    request = run_service_pb2.SetStatusRequest(run_id=run_id, status=number)  # type: ignore[arg-type]
    return (await client.runs.SetStatus(request)).run


async def cancelled(client: Client, run_id: str) -> run_pb2.Run:
    """Cancel a run and return it."""
    return (await client.runs.Cancel(run_service_pb2.CancelRequest(run_id=run_id))).run


async def found(client: Client, run_id: str) -> run_pb2.Run:
    """The run, without kwargs."""
    run = (await client.runs.Get(run_service_pb2.GetRequest(run_id=run_id))).run
    run.ClearField("kwargs")
    return run


async def listed(client: Client, thread_id: str) -> list[run_pb2.Run]:
    """All runs of a thread."""
    request = run_service_pb2.ListByThreadRequest(thread_id=thread_id, page_size=500)
    return list((await client.runs.ListByThread(request)).runs)


async def changes_since(client: Client, revision: int) -> list[Change]:
    """Every change after a revision, up to the first heartbeat."""
    request = run_service_pb2.StreamStatusRequest(
        all=run_pb2.AllRuns(), after_revision=revision, heartbeat_interval={"seconds": 1}
    )
    changes = []
    async for event in client.runs.StreamStatus(request):
        if event.event == HEARTBEAT:
            break
        changes.append((event.revision, event.run.run_id, int(event.run.status)))
    return changes


def log_of(db: StorePlace) -> list[Change]:
    """Read the log from the store and check that it agrees with the runs."""
    with opened(db) as run:
        log = run("SELECT revision, run_id, status FROM log ORDER BY revision")
        newest = {run_id: (revision, state) for revision, run_id, state in log}
        runs = run("SELECT run_id, revision, status FROM runs")
        if isinstance(db, Path):
            assert run("PRAGMA integrity_check") == [("ok",)]
    assert [revision for revision, _, _ in log] == list(range(1, len(log) + 1))
    assert {run_id: (revision, state) for run_id, revision, state in runs} == newest
    ends = [run_id for _, run_id, state in log if state > RUNNING]
    assert len(ends) == len(set(ends)), "a run ended twice"
    births = [run_id for _, run_id, state in log if state == PENDING]
    assert len(births) == len(set(births)) == len(runs)
    return log


@dataclass
class Load:
    """The responses and events that a load received, over several servers."""

    #: Each run as of the newest response about it.
    acknowledged: dict[str, run_pb2.Run] = field(default_factory=dict)
    #: The changes that the watcher of all runs has received, over all its streams.
    seen: list[Change] = field(default_factory=list)
    position: int = 0

    def note(self, *runs: run_pb2.Run) -> None:
        """Note the runs of a response. Responses may arrive out of order."""
        for run in runs:
            run.ClearField("kwargs")
            known = self.acknowledged.get(run.run_id)
            if known is None or known.revision < run.revision:
                self.acknowledged[run.run_id] = run


async def crash_cycles(db: StorePlace, cycles: int, chance: Random) -> None:
    """Kill a busy server repeatedly, and check that no acknowledged change is lost and no event repeated."""
    load = Load()
    for _ in range(cycles):
        async with Process(db) as process, client_of(process.address) as client:
            enough = asyncio.Event()
            goal = len(load.acknowledged) + chance.randrange(20, 150)
            workers = [_work(client, load, f"t{n}", chance, enough, goal) for n in range(12)]
            tasks = [asyncio.create_task(each) for each in (*workers, _follow(client, load))]
            await enough.wait()
            await process.kill()
            await asyncio.gather(*tasks)
    async with Process(db) as process, client_of(process.address) as client:
        load.seen += await changes_since(client, load.position)
        for run_id, run in load.acknowledged.items():
            now = await found(client, run_id)
            assert now.revision > run.revision or now == run
        assert await process.stop() == 0
    assert load.seen == log_of(db)


async def _work(
    client: Client, load: Load, thread_id: str, chance: Random, enough: asyncio.Event, goal: int
) -> None:
    try:
        while True:
            request = run_service_pb2.CreateOrRejectRequest(
                request_id=str(uuid4()), spec=on_thread(thread_id, INTERRUPT)
            )
            created = await client.runs.CreateOrReject(request)
            load.note(*created.superseded, created.run)
            run_id = created.run.run_id
            load.note(await status(client, run_id, RUNNING))
            if len(load.acknowledged) >= goal:
                enough.set()
            match chance.randrange(3):
                case 0:
                    load.note(await cancelled(client, run_id))
                case 1:
                    load.note(await status(client, run_id, SUCCESS))
    except grpc.aio.AioRpcError as error:
        if error.code() not in ENDED_BY_SERVER:
            raise


async def _follow(client: Client, load: Load) -> None:
    request = run_service_pb2.StreamStatusRequest(
        all=run_pb2.AllRuns(), after_revision=load.position
    )
    try:
        async for event in client.runs.StreamStatus(request):
            load.position = event.revision
            if event.event == CHANGED:
                load.seen.append((event.revision, event.run.run_id, int(event.run.status)))
    except grpc.aio.AioRpcError as error:
        if error.code() not in ENDED_BY_SERVER:
            raise


async def race_to_the_end(client: Client, runs: int) -> list[str]:
    """Start, finish and cancel each run at the same time. Get, the list and a watcher must agree on the result."""
    run_ids = []
    for number in range(runs):
        run_id = (await admitted(client, f"race-{number}")).run_id
        run_ids.append(run_id)
        watch = asyncio.create_task(_watched(client, run_id))
        await asyncio.gather(
            status(client, run_id, RUNNING),
            status(client, run_id, SUCCESS),
            cancelled(client, run_id),
            return_exceptions=True,
        )
        run = await found(client, run_id)
        assert run.status > RUNNING
        assert await listed(client, f"race-{number}") == [run]
        assert await watch == run.status
    return run_ids


async def _watched(client: Client, run_id: str) -> int:
    """Watch the run to the end of the stream and return the last status."""
    last = 0
    async for event in client.runs.StreamStatus(run_service_pb2.StreamStatusRequest(run_id=run_id)):
        last = int(event.run.status) or last
    return last


async def give_up(client: Client, calls: int, chance: Random) -> set[str]:
    """Create runs with random deadlines, and return the threads of the calls that were given up."""
    numbers, given_up = iter(range(calls)), set()

    async def one(number: int, patience: float) -> None:
        spec = on_thread(f"given-up-{number}")
        try:
            if number % 2:
                request = run_service_pb2.CreateRequest(spec=spec)
                await client.runs.Create(request, timeout=patience)
            else:
                other = run_service_pb2.CreateOrRejectRequest(spec=spec)
                await asyncio.wait_for(client.runs.CreateOrReject(other), patience)
        except (grpc.aio.AioRpcError, TimeoutError):
            given_up.add(spec.thread_id)

    async def caller(longest: float) -> None:
        for number in numbers:
            # Half of the deadlines are shorter than that, and a few are much longer.
            await one(number, 4 * longest * chance.random() ** 2)

    # The duration of a call among as many others, measured without deadlines.
    longest = await _slowest(client)
    await asyncio.gather(*(caller(longest) for _ in range(CALLERS)))
    return given_up


async def _slowest(client: Client) -> float:
    loop = asyncio.get_running_loop()

    async def one(number: int) -> float:
        begin = loop.time()
        await admitted(client, f"patient-{number}")
        return loop.time() - begin

    for warm in (0, CALLERS):
        slowest = max(await asyncio.gather(*(one(warm + number) for number in range(CALLERS))))
    return slowest


async def check_given_up(client: Client, calls: int) -> dict[str, str]:
    """Check that each thread has no run, or the same run in all reads. Return the runs by thread."""
    runs = {}
    for number in range(calls):
        thread_id = f"given-up-{number}"
        request = run_service_pb2.HasInflightRequest(thread_id=thread_id)
        active = list((await client.runs.HasInflight(request)).run_ids)
        assert [run.run_id for run in await listed(client, thread_id)] == active
        for run_id in active:
            assert (await found(client, run_id)).thread_id == thread_id
            runs[thread_id] = run_id
    return runs
