"""Start and stop of a server: addresses, drain, signals."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, closing
from itertools import count
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from runsvc.client import error_of
from runsvc.core.errors import ListenRefused, StoreRefused
from runsvc.service import running
from runsvc.settings import Settings
from runsvc.v1 import run_service_pb2
from tests.bench import http2
from tests.support.calls import Refused, call, created, watching
from tests.support.server import Process, client_of, in_process
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import Client


async def _end_of_watch(client: Client, ready: asyncio.Event) -> Any:
    """The error with which the server ends a watch of all runs."""
    async with watching(client, all={}) as stream:
        await stream.read()
        ready.set()
        with pytest.raises(grpc.aio.AioRpcError) as end:
            await stream.rest()
    return error_of(end.value)


async def _answer(client: Client, number: int) -> str | None:
    """The run that a call created; None if the server refused the call."""
    try:
        return (await created(client, f"t{number}")).run_id
    except Refused as refusal:
        if refusal.error.code is not grpc.StatusCode.UNAVAILABLE:
            raise
        return None


async def test_a_stop_notifies_watchers_and_answers_callers(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with AsyncExitStack() as server, asyncio.timeout(PATIENCE):
        settings = Settings(listen="127.0.0.1:0", db=db, grace=5.0)
        address = await server.enter_async_context(running(settings))
        async with client_of(address) as client:
            ready = asyncio.Event()
            watch = asyncio.create_task(_end_of_watch(client, ready))
            await ready.wait()
            calls = [asyncio.create_task(_answer(client, number)) for number in range(50)]
            await calls[0]
            await server.aclose()
            answered = {run_id for run_id in await asyncio.gather(*calls) if run_id}
            error = await watch
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    assert error.retry_after
    # Closed in order, the file needs no write-ahead log beside it.
    assert not db.with_name("runs.db-wal").exists()
    with closing(sqlite3.connect(db)) as file:
        stored = {run_id for (run_id,) in file.execute("SELECT run_id FROM runs")}
    assert answered <= stored


async def test_a_stop_under_load_gives_every_caller_a_reason(tmp_path: Path) -> None:
    ends: Counter[tuple[grpc.StatusCode, str]] = Counter()

    async def calls(client: Client, caller: int) -> None:
        for number in count():
            try:
                await created(client, f"t{caller}-{number}")
            except Refused as refusal:
                ends[refusal.error.code, refusal.error.reason] += 1
                if not refusal.error.reason:
                    # There is no server any more.
                    return

    async with Process(tmp_path / "runs.db") as process, client_of(process.address) as client:
        callers = [asyncio.create_task(calls(client, number)) for number in range(60)]
        await created(client)
        assert await process.stop() == 0
        await asyncio.gather(*callers)
    unavailable = grpc.StatusCode.UNAVAILABLE
    # A CANCELLED of the transport would give no reason, and its client could not distinguish it from its own.
    assert ends.keys() <= {(unavailable, "SERVER_DRAINING"), (unavailable, "")}
    assert ends[unavailable, "SERVER_DRAINING"] > 0


async def test_sigterm_drains_a_process_and_a_second_signal_ends_it(tmp_path: Path) -> None:
    async with Process(tmp_path / "a.db") as process, client_of(process.address) as client:
        ready = asyncio.Event()
        watch = asyncio.create_task(_end_of_watch(client, ready))
        await ready.wait()
        assert await process.stop() == 0
        assert (await watch).reason == "SERVER_DRAINING"
    for number in range(10):
        # Its call waits for a second. On a busy machine the drain may end before the second signal.
        if status := await _status_after_two_signals(tmp_path / f"{number}.db"):
            break
    assert status == -signal.SIGTERM


async def _status_after_two_signals(db: Path) -> int:
    """The exit status of a server that gets a second signal while it drains."""
    async with Process(db) as process, client_of(process.address) as client:
        await created(client)
        with closing(sqlite3.connect(db, isolation_level=None)) as other:
            # A call that waits for the lock keeps the first signal's drain from coming to its end.
            other.execute("BEGIN IMMEDIATE")
            call_in_flight = asyncio.create_task(_answer(client, 1))
            ready = asyncio.Event()
            watch = asyncio.create_task(_end_of_watch(client, ready))
            await ready.wait()
            process.signal(signal.SIGINT)
            await watch
            process.signal(signal.SIGTERM)
            status = await process.ended()
        await call_in_flight
    return status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_that_is_delivered_twice_drains(tmp_path: Path, number: int) -> None:
    async with Process(tmp_path / "a.db") as process, client_of(process.address) as client:
        ready = asyncio.Event()
        watch = asyncio.create_task(_end_of_watch(client, ready))
        await ready.wait()
        process.signal(number)
        # The drain has begun.
        assert (await watch).reason == "SERVER_DRAINING"
        process.signal(number)
        assert await process.ended() == 0


async def test_a_watcher_that_does_not_read_does_not_delay_a_stop(tmp_path: Path) -> None:
    async with AsyncExitStack() as server:
        settings = Settings(listen="127.0.0.1:0", db=tmp_path / "runs.db", grace=3_600.0)
        address = await server.enter_async_context(running(settings))
        async with client_of(address) as client:
            connection = await http2.Connection.open(address, window=0)
            request = run_service_pb2.StreamStatusRequest(all={})
            connection.stream(
                "/runsvc.v1.RunService/StreamStatus", request.SerializeToString(), print
            )
            ready = asyncio.Event()
            watch = asyncio.create_task(_end_of_watch(client, ready))
            await ready.wait()
            while (await call(client, "GetServerInfo")).watchers < 2:
                pass
            # More than the transport takes for a client that takes nothing.
            for number in range(20):
                await created(client, f"t{number}", metadata={"m": "x" * 10_000})
            # Far less than the grace.
            async with asyncio.timeout(PATIENCE):
                await server.aclose()
            assert (await watch).reason == "SERVER_DRAINING"
            connection.close()


async def test_a_second_server_on_the_same_file_is_refused(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        with pytest.raises(StoreRefused, match="another server uses it: stop that server"):
            async with in_process(db):
                pass
        await created(client)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "example.com:0", "50051", "127.0.0.1:x"])
async def test_an_address_that_other_machines_reach_is_refused_by_default(
    tmp_path: Path, listen: str
) -> None:
    with pytest.raises(ListenRefused, match=r"--insecure-listen|HOST:PORT"):
        async with in_process(tmp_path / "runs.db", listen=listen):
            pass
    assert not (tmp_path / "runs.db").exists()


async def test_insecure_listen_allows_an_address_that_other_machines_reach(tmp_path: Path) -> None:
    settings = Settings(listen="0.0.0.0:0", db=tmp_path / "runs.db", insecure_listen=True)
    async with running(settings) as address:
        port = address.rpartition(":")[2]
        async with client_of(f"localhost:{port}") as client:
            await created(client)


async def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    async with in_process(tmp_path / "a.db") as client:
        with pytest.raises(ListenRefused, match="is in use"):
            async with in_process(tmp_path / "b.db", listen=client.address):
                pass
        await call(client, "GetServerInfo")


async def test_health_and_reflection_answer(client: Client) -> None:
    health: Any = health_pb2_grpc.HealthStub(client.channel)
    for service in ("", "runsvc.v1.RunService", "runsvc.v1.AdminService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    channel: Any = client.channel
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    async for listed in reflection.ServerReflectionInfo(asked):
        names = {service.name for service in listed.list_services_response.service}
        assert {"runsvc.v1.RunService", "runsvc.v1.AdminService"} <= names


async def test_an_idle_reflection_client_does_not_delay_a_stop(tmp_path: Path) -> None:
    async with AsyncExitStack() as server, asyncio.timeout(PATIENCE):
        settings = Settings(listen="127.0.0.1:0", db=tmp_path / "runs.db", grace=3_600.0)
        address = await server.enter_async_context(running(settings))
        async with client_of(address) as client:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(client.channel)  # type: ignore[arg-type]
            stream = stub.ServerReflectionInfo()
            await stream.write(reflection_pb2.ServerReflectionRequest(list_services="*"))
            answer = await stream.read()
            assert "runsvc.v1.RunService" in str(answer)
            await server.aclose()
            assert await stream.read() is grpc.aio.EOF
