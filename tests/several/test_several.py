"""Several servers over one store behave as one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.v1 import run_pb2
from tests.service.test_claims import claim, enqueued, seconds, status_of
from tests.support.calls import (
    CHANGED,
    INTERRUPTED,
    PENDING,
    PROGRESS,
    RUNNING,
    SNAPSHOT,
    SNAPSHOT_END,
    SUCCESS,
    Refused,
    call,
    created,
    watching,
)
from tests.support.several import servers
from tests.support.waiting import PATIENCE, until
from tests.support.worker import TTL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from runsvc.store.base import Store
    from tests.support.server import Client
    from tests.support.several import Servers


async def next_of(stream: Any, *events: int) -> Any:
    """The next message of a stream with one of these events."""
    async with asyncio.timeout(PATIENCE):
        while (message := await stream.read()).event not in events:
            pass
    return message


async def test_a_change_on_one_server_reaches_the_watches_of_all(
    clients: Sequence[Client],
) -> None:
    first = await created(clients[0], "t", assistant_id="a")
    targets: list[dict[str, Any]] = [
        {"run_id": first.run_id},
        {"thread_id": "t"},
        {"all": {}},
        {"all": {"assistant_id": "a"}},
    ]
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(watching(client, **target))
            for client in clients
            for target in targets
        ]
        for stream in streams:
            assert (await next_of(stream, SNAPSHOT)).run.run_id == first.run_id
            await next_of(stream, SNAPSHOT_END)
        for number, client in enumerate(clients):
            status = SUCCESS if number == len(clients) - 1 else RUNNING
            await call(client, "SetStatus", run_id=first.run_id, status=status)
        for stream in streams:
            seen = [(await next_of(stream, CHANGED)).run.status for _ in range(2)]
            assert seen == [RUNNING, SUCCESS]


async def test_each_watch_has_every_change_once_and_in_order(clients: Sequence[Client]) -> None:
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(watching(client, all={}, after_revision=0))
            for client in clients
        ]
        calls = [created(client, f"t{number}") for client in clients for number in range(40)]
        await asyncio.gather(*calls)
        for stream in streams:
            seen = [(await next_of(stream, CHANGED)).revision for _ in calls]
            assert seen == list(range(1, len(calls) + 1))


async def test_an_answered_write_is_read_on_every_server(clients: Sequence[Client]) -> None:
    for writer in clients:
        run = await created(writer)
        for reader in clients:
            assert await status_of(reader, run) == PENDING


async def test_of_concurrent_creations_over_all_servers_one_is_admitted(
    clients: Sequence[Client],
) -> None:
    spec = run_pb2.RunSpec(thread_id="t")
    ends = await asyncio.gather(
        *(
            call(client, "CreateOrReject", spec=spec)
            for client, _ in zip(cycle(clients), range(50), strict=False)
        ),
        return_exceptions=True,
    )
    refusals = [each.error.reason for each in ends if isinstance(each, Refused)]
    assert refusals == ["THREAD_BUSY"] * 49


async def test_progress_on_one_server_reaches_the_watches_of_another(
    clients: Sequence[Client],
) -> None:
    one, other, _ = clients
    run = await created(one)
    await call(one, "SetStatus", run_id=run.run_id, status=RUNNING)
    targets: list[dict[str, Any]] = [{"run_id": run.run_id}, {"thread_id": "t"}, {"all": {}}]
    for target in targets:
        async with watching(other, include_progress=True, **target) as stream:
            await next_of(stream, SNAPSHOT_END)
            # Progress of a thread that is not watched must not disturb.
            for tokens in (5, 7):
                progress = {"total_tokens": tokens}
                await call(one, "UpdateProgress", run_id=run.run_id, progress=progress)
            while (await next_of(stream, PROGRESS)).run.progress.total_tokens != 7:
                pass


async def test_a_watch_resumes_on_another_server(every: Servers, clients: Sequence[Client]) -> None:
    one, other, third = clients
    run = await created(one)
    async with watching(one, all={}) as stream:
        begin = await next_of(stream, SNAPSHOT_END)
    await every.stop(one)
    await call(third, "SetStatus", run_id=run.run_id, status=SUCCESS)
    position = {"after_revision": begin.revision, "store_id": begin.store_id}
    async with watching(other, all={}, **position) as stream:
        assert (await next_of(stream, CHANGED)).run.status == SUCCESS


async def test_a_run_of_one_server_wakes_a_claim_of_another(clients: Sequence[Client]) -> None:
    one, other, _ = clients
    waiting = asyncio.ensure_future(claim(other, wait=20))
    await asyncio.sleep(0.1)
    run = await created(one, "t", assistant_id="a")
    assert [each.run_id for each in await waiting] == [run.run_id]


async def test_each_run_is_claimed_once_over_all_servers(clients: Sequence[Client]) -> None:
    waiting = [
        asyncio.ensure_future(claim(client, f"w{number}", wait=20))
        for number, client in zip(range(12), cycle(clients), strict=False)
    ]
    await asyncio.sleep(0.1)
    runs = [
        await created(client, "t", assistant_id="a")
        for client, _ in zip(cycle(clients), waiting, strict=False)
    ]
    claimed = [run.run_id for each in await asyncio.gather(*waiting) for run in each]
    assert sorted(claimed) == sorted(run.run_id for run in runs)


async def test_the_end_of_a_run_on_one_server_promotes_the_next_for_a_claim_of_another(
    clients: Sequence[Client],
) -> None:
    one, other, third = clients
    first, second = await enqueued(one), await enqueued(third)
    await claim(one)
    waiting = asyncio.ensure_future(claim(other, "w2", wait=20))
    await asyncio.sleep(0.1)
    await call(third, "Complete", run_id=first.run_id, status=SUCCESS, worker_id="w", attempt=1)
    assert [run.run_id for run in await waiting] == [second.run_id]


async def test_a_delayed_run_starts_although_its_server_has_stopped(
    every: Servers, clients: Sequence[Client]
) -> None:
    one, other, _ = clients
    spec = run_pb2.RunSpec(
        thread_id="t", assistant_id="a", multitask_strategy=run_pb2.MULTITASK_STRATEGY_ENQUEUE
    )
    now = (await created(one, "other")).created_at.ToNanoseconds()
    spec.not_before.FromNanoseconds(now + 1_000_000_000)
    run = (await call(one, "CreateOrReject", spec=spec)).run
    waiting = asyncio.ensure_future(claim(other, wait=20))
    await every.stop(one)
    assert [each.run_id for each in await waiting] == [run.run_id]


async def test_a_started_server_leaves_the_attachments_of_living_ones(
    every: Servers, clients: Sequence[Client]
) -> None:
    run = await created(clients[0])
    async with watching(clients[0], run_id=run.run_id, attach=True) as stream:
        await next_of(stream, SNAPSHOT_END)
        newcomer = await every.start()
        # A client of the newcomer leaves, and its run is cancelled: grace periods end there.
        left = await created(newcomer, "left")
        async with watching(newcomer, run_id=left.run_id, attach=True) as other:
            await next_of(other, SNAPSHOT_END)
        await until(lambda: _has(newcomer, left, INTERRUPTED))
        await asyncio.sleep(1.5)
        assert await status_of(newcomer, run) == PENDING
    await until(lambda: _has(newcomer, run, INTERRUPTED))


@pytest.fixture
async def patient(make_shared: Callable[[], Store]) -> AsyncIterator[Servers]:
    """Servers that leave clients time to return on a busy machine."""
    async with servers(make_shared, attach_grace=0.5, reconnect_grace=4.0) as patient:
        yield patient


async def test_clients_of_a_stopped_server_return_to_another_in_time_or_their_runs_end(
    patient: Servers,
) -> None:
    one, other = await patient.start(), await patient.start()
    returns, leaves = await created(one, "returns"), await created(one, "leaves")
    async with AsyncExitStack() as stack:
        for run in (returns, leaves):
            stream = await stack.enter_async_context(watching(one, run_id=run.run_id, attach=True))
            await next_of(stream, SNAPSHOT_END)
        await patient.stop(one)
    async with watching(other, run_id=returns.run_id, attach=True) as stream:
        await next_of(stream, SNAPSHOT_END)
        await until(lambda: _has(other, leaves, INTERRUPTED))
        assert await status_of(other, returns) == PENDING


async def test_a_lease_is_renewed_and_expires_on_any_server(clients: Sequence[Client]) -> None:
    one, other, third = clients
    run = await created(one, "t", assistant_id="a")
    (run,) = await claim(one, lease_ttl=seconds(TTL))
    end = run.lease.expires_at.ToNanoseconds() + TTL * 1e9
    while run.lease.expires_at.ToNanoseconds() < end:
        await asyncio.sleep(0.25)
        run = (await call(other, "Heartbeat", run_id=run.run_id, worker_id="w")).run
    assert await status_of(third, run) == RUNNING
    await until(lambda: _has(third, run, 4))


async def test_orphans_are_kept_while_other_servers_are_alive(
    every: Servers, clients: Sequence[Client]
) -> None:
    run = await created(clients[0])
    newcomer = await every.start(orphans="fail")
    assert await status_of(newcomer, run) == PENDING
    for client in (*clients, newcomer):
        await every.stop(client)
    alone = await every.start(orphans="fail")
    assert await status_of(alone, run) == 4


async def test_servers_stop_and_start_under_load_without_a_lost_change(
    every: Servers, clients: Sequence[Client]
) -> None:
    """One server after the other is replaced while calls and watches go on at those that are there."""
    alive = list(clients)
    stop = asyncio.Event()
    made: list[str] = []

    async def create(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            with suppress(Refused):
                run = await created(alive[number % len(alive)], f"t{number}-{count}")
                made.append(run.run_id)

    async with asyncio.TaskGroup() as load:
        for number in range(6):
            load.create_task(create(number))
        for _ in range(3):
            done = len(made)
            await until(lambda done=done: len(made) > done + 30)  # type: ignore[misc]
            gone = alive.pop(0)
            await every.stop(gone)
            alive.append(await every.start())
        stop.set()
    async with watching(alive[-1], all={}, after_revision=0) as stream:
        last = int((await call(alive[0], "GetServerInfo")).current_revision)
        seen = [await next_of(stream, CHANGED) for _ in range(last)]
    assert [each.revision for each in seen] == list(range(1, last + 1))
    assert set(made) <= {each.run.run_id for each in seen}


async def _has(client: Client, run: run_pb2.Run, status: int) -> bool:
    return await status_of(client, run) == status
