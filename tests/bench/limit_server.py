"""The limit: a bare grpc.aio server that returns fixed answers. No server on this transport can be faster.

It has the options and the event loop of runsvc's server, but no store, no checks, no guard and no protobuf.

`/limit/SetAnswer` takes a method, a zero byte and the answer of that method. `/limit/Watch` streams its answer: once at
the start, then once for each `/limit/NotifyAll`. Its request is a number, which `/limit/Notify` takes to address one
stream. StreamStatus streams its answer without pause, until the client cancels.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from runsvc.rpc.server import OPTIONS
from runsvc.service import new_loop

SET_ANSWER, WATCH, NOTIFY_ALL, NOTIFY = (
    f"/limit/{name}" for name in ("SetAnswer", "Watch", "NotifyAll", "Notify")
)
FLOOD = "/runsvc.v1.RunService/StreamStatus"


class Limit(grpc.GenericRpcHandler):
    """Answers each method with the bytes set for it."""

    def __init__(self) -> None:
        self._handlers: dict[str, Any] = {
            SET_ANSWER: grpc.unary_unary_rpc_method_handler(self._set_answer),
            WATCH: grpc.unary_stream_rpc_method_handler(self._watch),
            NOTIFY_ALL: grpc.unary_unary_rpc_method_handler(self._notify_all),
            NOTIFY: grpc.unary_unary_rpc_method_handler(self._notify),
            FLOOD: grpc.unary_stream_rpc_method_handler(self._flood),
        }
        self._watch_answer = self._flood_answer = b""
        self._streams: dict[bytes, asyncio.Event] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)

    async def _set_answer(self, request: bytes, _context: Any) -> bytes:
        method, _, answer = request.partition(b"\0")
        if method.decode() == WATCH:
            self._watch_answer = answer
            return b""
        if method.decode() == FLOOD:
            self._flood_answer = answer
            return b""

        async def return_answer(_request: bytes, _context: Any) -> bytes:
            return answer

        self._handlers[method.decode()] = grpc.unary_unary_rpc_method_handler(return_answer)
        return b""

    async def _watch(self, request: bytes, context: Any) -> None:
        woken = self._streams[request] = asyncio.Event()
        try:
            while True:
                await context.write(self._watch_answer)
                await woken.wait()
                woken.clear()
        finally:
            del self._streams[request]

    async def _flood(self, _request: bytes, context: Any) -> None:
        while True:
            await context.write(self._flood_answer)

    async def _notify_all(self, _request: bytes, _context: Any) -> bytes:
        for stream in self._streams.values():
            stream.set()
        return b""

    async def _notify(self, request: bytes, _context: Any) -> bytes:
        self._streams[request].set()
        return b""


async def main() -> None:
    """Serve until the process ends."""
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((Limit(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"The limit serves on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
