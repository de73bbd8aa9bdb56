"""Runs and their clients: a run is cancelled when its last attached client has left, and only then."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.v1 import run_pb2, run_service_pb2
from tests.support.calls import (
    CHANGED,
    INTERRUPTED,
    PENDING,
    SNAPSHOT,
    SNAPSHOT_END,
    SUCCESS,
    Refused,
    call,
    created,
    in_status,
    watched,
    watching,
)
from tests.support.engines import EVERY_ENGINE
from tests.support.server import Process, client_of, in_process
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.engines import StorePlace
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

CLIENT_DISCONNECTED = run_pb2.STATUS_REASON_CLIENT_DISCONNECTED
CONTINUE = run_pb2.DISCONNECT_MODE_CONTINUE
GRACE = 0.5


@pytest.fixture
async def client(db: StorePlace) -> AsyncIterator[Client]:
    """A client of a server with a short grace period, and a long one for lost connections of a server's stop."""
    graces: dict[str, Any] = {"attach_grace": GRACE, "reconnect_grace": 3_600.0}
    async with in_process(db, **graces) as client:
        yield client


async def attachment_count(client: Client) -> int:
    return int((await call(client, "GetServerInfo")).attachments)


async def until_attached(client: Client, count: int) -> None:
    """Wait until the server has this number of attachments."""
    async with asyncio.timeout(PATIENCE):
        while await attachment_count(client) != count:
            pass


async def status(client: Client, run: run_pb2.Run) -> int:
    return int((await call(client, "Get", run_id=run.run_id)).run.status)


async def past_the_grace_period(client: Client) -> None:
    """Leave another run and wait until it is cancelled: by then, every earlier grace period is over."""
    other = await created(client, "other")
    async with watching(client, run_id=other.run_id, attach=True) as stream:
        await stream.read()
    assert (await watched(client, run_id=other.run_id))[-1][2] in (INTERRUPTED, 0)


async def test_a_run_is_cancelled_once_its_last_client_has_left(client: Client) -> None:
    run = await created(client)
    async with watching(client, run_id=run.run_id) as plain:
        assert [(await plain.read()).event for _ in range(2)] == [SNAPSHOT, SNAPSHOT_END]
        async with watching(client, run_id=run.run_id, attach=True) as one:
            await one.read()
            async with watching(client, run_id=run.run_id, attach=True) as other:
                await other.read()
                assert await attachment_count(client) == 2
            await until_attached(client, 1)
            # One client left longer than the grace period ago; the other one is still attached.
            await past_the_grace_period(client)
            assert await status(client, run) == PENDING
        (last,) = await plain.rest()
    assert (last.event, last.run.status, last.run.status_reason) == (
        CHANGED,
        INTERRUPTED,
        CLIENT_DISCONNECTED,
    )
    assert last.run.cancellation.action == run_pb2.CANCEL_ACTION_INTERRUPT
    await until_attached(client, 0)


async def test_a_client_that_did_not_attach_cancels_no_run(client: Client) -> None:
    run = await created(client)
    independent = await created(client, on_disconnect=CONTINUE)
    targets: list[dict[str, Any]] = [{"run_id": run.run_id}, {"thread_id": "t"}, {"all": {}}]
    for target in targets:
        async with watching(client, **target) as stream:
            await stream.read()
    async with watching(client, run_id=independent.run_id, attach=True) as stream:
        await stream.read()
    await past_the_grace_period(client)
    assert await status(client, run) == PENDING
    assert await status(client, independent) == PENDING


async def test_a_client_that_loses_its_connection_has_left(client: Client) -> None:
    run = await created(client)
    async with (
        client_of(client.address) as other,
        watching(other, run_id=run.run_id, attach=True) as stream,
    ):
        await stream.read()
        assert await attachment_count(client) == 1
        await other.close()
        await until_attached(client, 0)
    assert (await watched(client, run_id=run.run_id))[-1][2] in (INTERRUPTED, 0)
    assert await status(client, run) == INTERRUPTED


async def test_an_attached_watch_of_a_terminal_run_is_an_ordinary_watch(client: Client) -> None:
    run = await in_status(client, SUCCESS)
    assert await watched(client, run_id=run.run_id, attach=True) == [
        (SNAPSHOT, 0, SUCCESS),
        (SNAPSHOT_END, 2, 0),
    ]
    with pytest.raises(Refused, match="RUN_NOT_FOUND"):
        await watched(client, run_id="unknown", attach=True)
    await until_attached(client, 0)
    assert await status(client, run) == SUCCESS


async def test_a_drain_cancels_no_run_and_leaves_clients_time_to_return(db: StorePlace) -> None:
    async with in_process(db, attach_grace=0.0, reconnect_grace=10.0) as client:
        lost, resumed = await created(client, "lost"), await created(client, "resumed")
        left_open: list[Any] = []
        for run in (lost, resumed):
            # Left open: the stop of the server ends them.
            request = run_service_pb2.StreamStatusRequest(run_id=run.run_id, attach=True)
            left_open.append(client.runs.StreamStatus(request))
            await left_open[-1].read()
    async with in_process(db, attach_grace=0.0, reconnect_grace=10.0) as client:
        # The clients have time to return, so both runs continue.
        await past_the_grace_period(client)
        assert await status(client, lost) == await status(client, resumed) == PENDING
    async with (
        in_process(db, attach_grace=0.0, reconnect_grace=1.0) as client,
        watching(client, run_id=resumed.run_id, attach=True) as stream,
    ):
        await stream.read()
        assert (await watched(client, run_id=lost.run_id))[-1][2] == INTERRUPTED
        assert await status(client, resumed) == PENDING


async def test_a_crash_leaves_clients_time_to_return(db: StorePlace) -> None:
    async with (
        Process(db, "--attach-grace", "0.1") as process,
        client_of(process.address) as client,
    ):
        run = await created(client)
        async with watching(client, run_id=run.run_id, attach=True) as stream:
            await stream.read()
            await process.kill()
    async with (
        Process(db, "--attach-grace", "0.1") as process,
        client_of(process.address) as client,
    ):
        await past_the_grace_period(client)
        assert await status(client, run) == PENDING
        async with watching(client, run_id=run.run_id, attach=True) as stream:
            await stream.read()
            assert await attachment_count(client) == 1
        await until_attached(client, 0)
        # The attachment that was lost in the crash keeps the run for its minute, in spite of later clients.
        await past_the_grace_period(client)
        assert await status(client, run) == PENDING
