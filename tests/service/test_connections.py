"""Connections that break, freeze or age out: the server detects it and removes their streams."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import grpc

from runsvc.client import AsyncRunClient, error_of
from runsvc.maintenance.attachments import RECONNECT_GRACE
from runsvc.rpc.server import OPTIONS
from runsvc.v1 import run_pb2, run_service_pb2
from tests.bench import http2
from tests.support.calls import CHANGED, INTERRUPTED, SNAPSHOT_END, Refused, call, created, watching
from tests.support.proxy import proxied
from tests.support.server import client_of, in_process
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.rpc.server import Option
    from tests.support.server import Client

METHOD: Final = "/runsvc.v1.RunService/StreamStatus"


def faster(**times: int) -> tuple[Option, ...]:
    """The transport's options with shorter times, in milliseconds."""
    changed = {f"grpc.{name.replace('__', '.')}_ms": value for name, value in times.items()}
    assert changed.keys() <= dict(OPTIONS).keys()
    return tuple((dict(OPTIONS) | changed).items())


async def info_of(client: Client) -> Any:
    """GetServerInfo, also while the client's own connection ages out."""
    while True:
        with suppress(Refused):
            return await call(client, "GetServerInfo")


async def created_at_last(client: Client) -> run_pb2.Run:
    """Create a run, also while the client's own connection ages out."""
    while True:
        with suppress(Refused):
            return await created(client)


async def aged_out(client: Client, **fields: Any) -> grpc.aio.AioRpcError:
    """Watch until the connection has aged out, and return the error that ends the stream."""
    while True:
        events = 0
        async with watching(client, **fields) as stream:
            try:
                while await stream.read():
                    events += 1
            except grpc.aio.AioRpcError as error:
                # A busy machine may take the whole age of a connection to open the stream.
                if events:
                    return error


async def nothing_is_left(client: Client) -> None:
    async with asyncio.timeout(PATIENCE):
        while (info := await info_of(client)).watchers or info.attachments:
            pass


async def test_a_silent_client_is_detected_and_its_streams_are_removed(
    tmp_path: Path,
) -> None:
    options = faster(keepalive_time=500, keepalive_timeout=2_000, http2__ping_timeout=2_000)
    async with (
        in_process(tmp_path / "runs.db", attach_grace=0.0, options=options) as client,
        proxied(client.address) as proxy,
        client_of(proxy.address) as far,
    ):
        run = await created(client)
        async with (
            watching(far, all={}) as everything,
            watching(far, run_id=run.run_id, attach=True) as attached,
        ):
            for stream in (everything, attached):
                while (await stream.read()).event != SNAPSHOT_END:
                    pass
            info = await info_of(client)
            assert (info.watchers, info.attachments) == (2, 1)
            proxy.swallow()
            await nothing_is_left(client)
        async with watching(client, run_id=run.run_id) as stream:
            assert (await stream.rest())[-1].event in (CHANGED, SNAPSHOT_END)
        assert (await call(client, "Get", run_id=run.run_id)).run.status == INTERRUPTED


async def test_an_aged_connection_ends_with_unavailable_and_its_watch_resumes_without_a_gap(
    tmp_path: Path,
) -> None:
    options = faster(max_connection_age=1_000, max_connection_age_grace=500)
    async with in_process(tmp_path / "runs.db", options=options) as client:
        # The code on which clients resume a watch. The transport sends it, so it has no reason.
        assert error_of(await aged_out(client, all={})).code is grpc.StatusCode.UNAVAILABLE
        seen: list[int] = []

        async def read(resuming: AsyncRunClient) -> None:
            async for event in resuming.watch(thread_id="t", after_revision=0):
                if event.event == CHANGED:
                    seen.append(event.revision)

        async with AsyncRunClient(client.address, token=None) as resuming:
            reading = asyncio.create_task(read(resuming))
            lived_out = 0
            while lived_out < 3:
                try:
                    await created(client)
                except Refused:
                    # This client's own connection has aged out.
                    lived_out += 1
            made = (await info_of(client)).current_revision
            await until(lambda: len(seen) == made)
            reading.cancel()
        assert seen == list(range(1, made + 1))
        await nothing_is_left(client)


async def test_a_run_waits_for_its_client_after_its_connection_aged_out(
    tmp_path: Path,
) -> None:
    options = faster(max_connection_age=1_000, max_connection_age_grace=500)
    db = tmp_path / "runs.db"
    # A client that leaves by itself gets no time to return.
    async with in_process(db, attach_grace=0.0, options=options) as client:
        run = await created_at_last(client)
        await aged_out(client, run_id=run.run_id, attach=True)
        await until(lambda: _released(db) is not None)
        left = datetime.fromtimestamp(_released(db) or 0, UTC) - datetime.now(UTC)
        assert left > RECONNECT_GRACE / 2


def _released(db: Path) -> float | None:
    """The expiry of the only attachment, in seconds since 1970; 0 without one, None while the server holds it."""
    with closing(sqlite3.connect(db)) as file:
        for server, expires_at in file.execute("SELECT server, expires_at FROM attachments"):
            return None if server else expires_at / 1_000_000
    return 0


async def test_a_client_that_does_not_read_is_disconnected_when_its_connection_ages_out(
    tmp_path: Path,
) -> None:
    options = faster(max_connection_age=1_000, max_connection_age_grace=500)
    async with in_process(tmp_path / "runs.db", options=options) as client:
        connection = await http2.Connection.open(client.address, window=0)
        request = run_service_pb2.StreamStatusRequest(all={})
        _, ended = connection.stream(METHOD, request.SerializeToString(), print)
        while not ended.done() and not (await info_of(client)).watchers:
            pass
        assert (await ended).status in (http2.RESET, grpc.StatusCode.UNAVAILABLE.value[0])
        await nothing_is_left(client)
        connection.close()
