"""The limit: a bare grpc.aio server that answers what it was taught. Nothing on its transport can be faster.

Same options and same loop as runsvc's server; no store, no checks, no guard, no protobuf.

`/limit/Teach` takes a method, a zero byte and the answer to give from then on. `/limit/Watch` is a stream of the answer
taught for it: one at once, then one for each `/limit/Broadcast`. Its request is a number; `/limit/Tell` reaches the
stream of that number alone. StreamStatus is a flood of the answer taught for it, until its client leaves.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from runsvc.rpc.server import OPTIONS
from runsvc.service import new_loop

TEACH, WATCH, BROADCAST, TELL = (
    f"/limit/{name}" for name in ("Teach", "Watch", "Broadcast", "Tell")
)
FLOOD = "/runsvc.v1.RunService/StreamStatus"


class Limit(grpc.GenericRpcHandler):
    """Knows answers by method."""

    def __init__(self) -> None:
        self._handlers: dict[str, Any] = {
            TEACH: grpc.unary_unary_rpc_method_handler(self._teach),
            WATCH: grpc.unary_stream_rpc_method_handler(self._watch),
            BROADCAST: grpc.unary_unary_rpc_method_handler(self._broadcast),
            TELL: grpc.unary_unary_rpc_method_handler(self._tell),
            FLOOD: grpc.unary_stream_rpc_method_handler(self._flood),
        }
        self._watched = self._flooding = b""
        self._streams: dict[bytes, asyncio.Event] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)

    async def _teach(self, request: bytes, _context: Any) -> bytes:
        method, _, answer = request.partition(b"\0")
        if method.decode() == WATCH:
            self._watched = answer
            return b""
        if method.decode() == FLOOD:
            self._flooding = answer
            return b""

        async def answering(_request: bytes, _context: Any) -> bytes:
            return answer

        self._handlers[method.decode()] = grpc.unary_unary_rpc_method_handler(answering)
        return b""

    async def _watch(self, request: bytes, context: Any) -> None:
        woken = self._streams[request] = asyncio.Event()
        try:
            while True:
                await context.write(self._watched)
                await woken.wait()
                woken.clear()
        finally:
            del self._streams[request]

    async def _flood(self, _request: bytes, context: Any) -> None:
        while True:
            await context.write(self._flooding)

    async def _broadcast(self, _request: bytes, _context: Any) -> bytes:
        for stream in self._streams.values():
            stream.set()
        return b""

    async def _tell(self, request: bytes, _context: Any) -> bytes:
        self._streams[request].set()
        return b""


async def main() -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((Limit(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"The limit serves on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
