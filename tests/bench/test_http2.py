"""Tests of the benchmark's HTTP/2 client against a grpc.aio server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.bench.http2 import Connection, ConnectionLost
from tests.bench.readers import Readers
from tests.bench.systems import GrpcCaller, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LARGE = 3 << 20


class Handler(grpc.GenericRpcHandler):
    """Calls the coroutine with the name of the method."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        name = handler_call_details.method.rpartition("/")[2].lower()
        method = getattr(self, name, None)
        if method is None:
            return None
        if name in ("count", "forever"):
            return grpc.unary_stream_rpc_method_handler(method)
        return grpc.unary_unary_rpc_method_handler(method)

    async def echo(self, request: bytes, context: Any) -> bytes:
        return request

    async def large(self, request: bytes, context: Any) -> bytes:
        return b"x" * LARGE

    async def get(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "Not found.")
        raise AssertionError

    async def late(self, request: bytes, context: Any) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async def count(self, request: bytes, context: Any) -> None:
        for number in range(int(request)):
            await context.write(b"%d" % number * 1_000)

    async def forever(self, request: bytes, context: Any) -> None:
        try:
            await context.write(request)
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, Handler, grpc.aio.Server]]:
    """Run a server with these methods."""
    server, handler = grpc.aio.server(), Handler()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", handler, server
    finally:
        await server.stop(None)


@asynccontextmanager
async def connection() -> AsyncIterator[Connection]:
    async with serving() as (address, _, _):
        opened = await Connection.open(address)
        yield opened
        opened.close()


async def test_a_call_returns_its_answer() -> None:
    async with connection() as opened:
        assert await opened.unary("/t/Echo", b"hello") == (0, b"hello")
        assert await opened.unary("/t/Echo", b"") == (0, b"")


async def test_a_call_returns_the_status_of_a_failure() -> None:
    async with connection() as opened:
        assert (await opened.unary("/t/Get", b"")).status == grpc.StatusCode.NOT_FOUND.value[0]
        unknown = grpc.StatusCode.UNIMPLEMENTED.value[0]
        assert (await opened.unary("/t/Nothing", b"")).status == unknown
        # Equal header blocks come from a cache.
        assert (await opened.unary("/t/Nothing", b"")).status == unknown
        with pytest.raises(Refused, match="Nothing: gRPC status 12"):
            await GrpcCaller([opened]).call("Nothing", b"")


async def test_large_answers_arrive_complete() -> None:
    async with connection() as opened:
        for status, answer in await asyncio.gather(*(opened.unary("/t/Large", b"") for _ in "123")):
            assert status == 0
            assert answer == b"x" * LARGE


async def test_requests_wait_for_the_send_window_and_none_is_lost() -> None:
    # Together far more than the server's initial window of 64 KiB.
    requests = [bytes([number % 256]) * 5_000 for number in range(300)]
    async with connection() as opened:
        for _ in range(2):
            replies = await asyncio.gather(*(opened.unary("/t/Echo", each) for each in requests))
            assert [answer for _, answer in replies] == requests


async def test_a_request_larger_than_a_frame_arrives_complete() -> None:
    request = bytes(range(250)) * 240
    async with connection() as opened:
        assert await opened.unary("/t/Echo", request) == (0, request)


async def test_a_request_beyond_the_window_raises_an_error() -> None:
    async with connection() as opened:
        await opened.unary("/t/Echo", b"")
        with pytest.raises(ValueError, match="the request is larger than the server's window"):
            opened.unary("/t/Echo", b"x" * (64 << 20))


async def test_a_stream_delivers_each_message_and_then_its_status() -> None:
    async with connection() as opened:
        messages: list[bytes] = []
        _, ended = opened.stream("/t/Count", b"200", messages.append)
        assert (await ended).status == 0
        assert messages == [b"%d" % number * 1_000 for number in range(200)]


async def test_a_stream_can_be_cancelled() -> None:
    async with serving() as (address, handler, _):
        readers = await Readers.open(address, "/t/Forever", [b"a", b"a"])
        await readers.reach(2)
        assert readers.newest == b"a"
        assert all(readers.times)
        readers.close()
        await asyncio.wait_for(handler.cancelled.wait(), 10)


async def test_readers_raise_when_a_stream_ends() -> None:
    async with serving() as (address, _, _):
        readers = await Readers.open(address, "/t/Count", [b"2"])
        # The first call waits when the stream ends, the second comes later.
        for _ in range(2):
            with pytest.raises(Refused, match="a stream ended: gRPC status 0"):
                await readers.reach(3)
        readers.close()


async def test_a_lost_connection_ends_its_calls() -> None:
    async with serving() as (address, _, server):
        opened = await Connection.open(address)
        await opened.unary("/t/Echo", b"")
        late = opened.unary("/t/Late", b"")
        await server.stop(None)
        # The server ends the call with a status, or closes the connection first.
        with suppress(ConnectionLost):
            assert (await late).status != 0
        while True:
            try:
                opened.unary("/t/Echo", b"")
            except ConnectionLost:
                break
            await asyncio.sleep(0)
