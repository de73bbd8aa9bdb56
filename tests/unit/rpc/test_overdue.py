"""Calls whose deadline is over when they reach the guard."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from runsvc.rpc.connections import Connections
from runsvc.rpc.guard import Guard
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1 import run_service_pb2_grpc as pb_grpc


class Context:
    """A call with this many seconds left."""

    def __init__(self, time_left: float | None) -> None:
        self._time_left = time_left
        self.code: grpc.StatusCode | None = None

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> float | None:
        return self._time_left

    async def abort(self, code: grpc.StatusCode, message: str) -> None:
        self.code = code
        raise grpc.aio.AbortError


class Servicer(pb_grpc.RunServiceServicer):
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def Create(self, request: Any, context: Any, caller: Any = None) -> Any:
        self.calls += 1
        return pb.CreateResponse()


@pytest.mark.parametrize(("time_left", "calls"), [(0.0, 0), (0.5, 1), (None, 1)])
async def test_a_call_has_no_effect_after_its_deadline(time_left: float | None, calls: int) -> None:
    servicer = Servicer()  # type: ignore[abstract]
    guard = Guard(Connections(1.0, 1.0, lambda: 0.0))
    services: Any = guard
    pb_grpc.add_RunServiceServicer_to_server(servicer, services)
    details: Any = SimpleNamespace(method="/runsvc.v1.RunService/Create")
    handler: Any = guard.service(details)
    context = Context(time_left)
    if calls:
        await handler.unary_unary(b"", context)
    else:
        with pytest.raises(grpc.aio.AbortError):
            await handler.unary_unary(b"", context)
        assert context.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert servicer.calls == calls
    assert guard.in_flight.active == 0
