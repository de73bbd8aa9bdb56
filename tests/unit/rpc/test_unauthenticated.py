"""Calls without a valid credential: the refusals of a connection that makes many are held for a while."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc

from runsvc.auth.authenticator import Authenticator
from runsvc.rpc.connections import Connections
from runsvc.rpc.fairness import Shares
from runsvc.rpc.guard import Guard
from runsvc.rpc.holds import Holds
from runsvc.v1 import run_service_pb2_grpc as pb_grpc


class Context:
    """A call of a peer, without a credential."""

    def __init__(self, peer: str) -> None:
        self.peer = lambda: peer
        self.code: grpc.StatusCode | None = None

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def auth_context(self) -> dict[str, list[bytes]]:
        return {}

    def time_remaining(self) -> None:
        return None

    def done(self) -> bool:
        return False

    async def abort(self, code: grpc.StatusCode, *_: object) -> None:
        self.code = code
        raise grpc.aio.AbortError


async def test_the_refusals_of_a_flood_without_credentials_are_held() -> None:
    holds = Holds(longest=60.0)
    times = iter((1.0, 1.0))
    guard = Guard(
        Connections(1.0, 1.0, lambda: 0.0),
        authenticator=Authenticator(),
        holds=holds,
        shares=Shares(free=2),
        now=lambda: next(times, 2.0),
    )
    services: Any = guard
    servicer = pb_grpc.RunServiceServicer()  # type: ignore[abstract]
    pb_grpc.add_RunServiceServicer_to_server(servicer, services)
    details: Any = SimpleNamespace(method="/runsvc.v1.RunService/Get")
    handler: Any = guard.service(details)

    def call(peer: str) -> tuple[Context, asyncio.Task[None]]:
        context = Context(peer)
        return context, asyncio.create_task(handler.unary_unary(b"", context))

    calls = [call("calm"), call("wild"), *(call("wild") for _ in range(5)), call("calm")]
    for _ in range(20):
        await asyncio.sleep(0)
    refused = [context.code is grpc.StatusCode.UNAUTHENTICATED for context, _ in calls]
    assert refused == [True, True, True, True, False, False, False, True]
    assert holds.held == 3
    for _, task in calls:
        task.cancel()
    await asyncio.gather(*(task for _, task in calls), return_exceptions=True)
    assert holds.held == 0
