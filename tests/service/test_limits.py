"""Limits on a real server: calls beyond them are refused with a delay, and other owners do not notice."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest

from runsvc.client import error_of
from runsvc.rpc import limits
from runsvc.rpc.holds import Holds
from runsvc.rpc.server import OPTIONS
from runsvc.usecases.manager import RunManager
from runsvc.v1.run_pb2 import AllRuns, RunSpec
from runsvc.v1.run_service_pb2 import (
    CreateRequest,
    GetRequest,
    HasInflightRequest,
    HeartbeatRequest,
    StreamStatusRequest,
)
from tests.support.calls import SNAPSHOT_END
from tests.support.identities import Identity
from tests.support.server import client_of, in_process
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.client import RunError
    from tests.support.server import Client

#: More than any machine lets pass within the rate of a test.
CALLS: Final = 200
ASK: Final = HasInflightRequest(thread_id="t")


def of(client: Client, owner: str) -> Any:
    """The calls of one owner."""
    return Identity("", None, owner).calls(client).runs


async def error_in(call: Any) -> RunError | None:
    """The error of a call, if it fails."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error_of(error)
    return None


async def test_calls_beyond_an_owners_rate_are_refused(tmp_path: Path) -> None:
    async with in_process(tmp_path / "runs.db", max_rate_per_owner=5) as client:
        begin = time.monotonic()
        flood = [error_in(of(client, "a").HasInflight(ASK)) for _ in range(CALLS)]
        errors = [error for error in await asyncio.gather(*flood) if error is not None]
        # A burst of five, and five more per second while the flood arrived.
        assert 5 <= CALLS - len(errors) <= 5 + 5 * (time.monotonic() - begin)
        assert errors
        for error in errors:
            assert (error.reason, error.retry_after) == ("OVERLOADED", 1.0)
            assert "'a' makes more than 5 calls per second" in error.message
        assert await error_in(of(client, "b").HasInflight(ASK)) is None
        # Calls for every owner count towards none.
        for _ in range(20):
            assert await error_in(client.runs.HasInflight(ASK)) is None


async def test_a_refused_call_has_no_effect(tmp_path: Path) -> None:
    async with in_process(tmp_path / "runs.db", max_rate_per_owner=1) as client:
        create = CreateRequest(spec=RunSpec(thread_id="t"))
        made = [error_in(of(client, "a").Create(create)) for _ in range(CALLS)]
        refused = sum(error is not None for error in await asyncio.gather(*made))
        assert 0 < refused < CALLS
        # Without authentication this call sees every owner.
        info = await asyncio.wait_for(snapshot(client), PATIENCE)
        assert len(info) == CALLS - refused


async def snapshot(client: Client) -> list[str]:
    stream: Any = client.runs.StreamStatus(StreamStatusRequest(all=AllRuns()))
    run_ids = []
    async for event in stream:
        if event.event == SNAPSHOT_END:
            break
        run_ids.append(event.run.run_id)
    stream.cancel()
    return run_ids


async def test_a_refusal_arrives_before_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the deadline: a refusal that does not consider it would come too late.
    monkeypatch.setattr(limits, "Holds", lambda: Holds(60.0))
    async with in_process(tmp_path / "runs.db", max_rate_per_owner=1) as client:
        calls = of(client, "a")
        made = [error_in(calls.HasInflight(ASK, timeout=3)) for _ in range(10)]
        reasons = {error.reason for error in await asyncio.gather(*made) if error is not None}
        assert "OVERLOADED" in reasons


async def test_a_flood_does_not_starve_heartbeats_of_the_same_owner(tmp_path: Path) -> None:
    async with in_process(tmp_path / "runs.db", max_rate_per_owner=20) as client:
        calls = of(client, "a")
        spec = RunSpec(thread_id="t", worker_id="w")
        run_id = (await calls.Create(CreateRequest(spec=spec))).run.run_id
        flood = [asyncio.create_task(error_in(calls.HasInflight(ASK))) for _ in range(150)]
        for _ in range(10):
            beat = HeartbeatRequest(run_id=run_id, worker_id="w")
            assert await error_in(calls.Heartbeat(beat)) is None
        assert any(await asyncio.gather(*flood))


async def test_an_owner_has_a_number_of_watches(tmp_path: Path) -> None:
    async with in_process(tmp_path / "runs.db", max_watches_per_owner=2) as client:
        request = StreamStatusRequest(all=AllRuns())
        streams = [of(client, "a").StreamStatus(request) for _ in range(2)]
        for stream in streams:
            assert (await stream.read()).event == SNAPSHOT_END
        error = await error_in(of(client, "a").StreamStatus(request).read())
        assert error is not None
        assert error.reason == "OVERLOADED"
        other = of(client, "b").StreamStatus(request)
        assert (await other.read()).event == SNAPSHOT_END
        streams[0].cancel()
        async with asyncio.timeout(PATIENCE):
            # The server notices the cancel in a moment.
            while await error_in(  # noqa: ASYNC110 - nothing announces it.
                (again := of(client, "a").StreamStatus(request)).read()
            ):
                await asyncio.sleep(0.02)
        for stream in (streams[1], other, again):
            stream.cancel()


async def test_the_server_has_a_number_of_calls_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    arrived, go = asyncio.Semaphore(0), asyncio.Event()
    get = RunManager.get

    async def slow(self: RunManager, *arguments: Any) -> Any:
        arrived.release()
        await go.wait()
        return await get(self, *arguments)

    monkeypatch.setattr(RunManager, "get", slow)
    async with in_process(tmp_path / "runs.db", max_calls=2) as client:
        waiting = [
            asyncio.create_task(error_in(client.runs.Get(GetRequest(run_id="r")))) for _ in range(2)
        ]
        for _ in waiting:
            await asyncio.wait_for(arrived.acquire(), PATIENCE)
        error = await error_in(client.runs.HasInflight(ASK))
        assert error is not None
        assert (error.reason, error.retry_after) == ("OVERLOADED", 1.0)
        # A watch does not count.
        stream: Any = client.runs.StreamStatus(StreamStatusRequest(all=AllRuns()))
        assert (await stream.read()).event == SNAPSHOT_END
        stream.cancel()
        go.set()
        assert [each and each.reason for each in await asyncio.gather(*waiting)] == [
            "RUN_NOT_FOUND"
        ] * 2
        assert await error_in(client.runs.HasInflight(ASK)) is None


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], ids=["none", "some"])
async def test_a_connection_without_a_handshake_is_closed(tmp_path: Path, sent: bytes) -> None:
    options = {**dict(OPTIONS), "grpc.server_handshake_timeout_ms": 500}
    async with in_process(tmp_path / "runs.db", options=options.items()) as client:
        host, _, port = client.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            while await reader.read(1 << 16):
                pass
        writer.close()
        async with client_of(client.address) as other:
            assert await error_in(other.runs.HasInflight(ASK)) is None


async def test_metadata_is_bounded(tmp_path: Path) -> None:
    async with in_process(tmp_path / "runs.db") as client:
        error = await error_in(client.runs.HasInflight(ASK, metadata=[("x-large", "x" * 20_000)]))
        assert error is not None
        assert await error_in(client.runs.HasInflight(ASK)) is None
