"""The health protocol on a real server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runsvc.rpc.connections import Connections
from runsvc.rpc.guard import Guard
from runsvc.rpc.health import SERVICES, Health
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def stub(health: Health) -> AsyncIterator[Any]:
    guard = Guard(Connections(1_800, 60, time.monotonic))
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, cast("Any", guard))
    server.add_generic_rpc_handlers((guard,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health_pb2_grpc.HealthStub(channel)
    await server.stop(None)
    await asyncio.wait_for(guard.in_flight.ended(), PATIENCE)


def request(service: str = "") -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_check_returns_the_present_status(health: Health, stub: Any, service: str) -> None:
    assert (await stub.Check(request(service))).status == NOT_SERVING
    health.set_serving(True)
    assert (await stub.Check(request(service))).status == SERVING
    health.set_serving(False)
    assert (await stub.Check(request(service))).status == NOT_SERVING


async def test_only_admin_serves_while_the_store_takes_no_writes(health: Health, stub: Any) -> None:
    health.set_serving(True)
    health.set_store_works(False)
    statuses = {each: (await stub.Check(request(each))).status for each in SERVICES}
    assert statuses == {
        "": NOT_SERVING,
        "runsvc.v1.RunService": NOT_SERVING,
        "runsvc.v1.AdminService": SERVING,
    }
    answer = await stub.List(health_pb2.HealthListRequest())  # type: ignore[attr-defined]
    assert {name: state.status for name, state in answer.statuses.items()} == statuses
    watch = stub.Watch(request())
    assert (await watch.read()).status == NOT_SERVING
    health.set_store_works(True)
    assert (await watch.read()).status == SERVING


async def test_a_check_of_an_unknown_service_is_not_found(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(request("other.Service"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_list_returns_the_status_of_every_service(health: Health, stub: Any) -> None:
    health.set_serving(True)
    answer = await stub.List(health_pb2.HealthListRequest())  # type: ignore[attr-defined]
    assert {name: state.status for name, state in answer.statuses.items()} == dict.fromkeys(
        SERVICES, SERVING
    )


async def test_a_health_watch_sends_the_status_and_its_changes(health: Health, stub: Any) -> None:
    watch = stub.Watch(request("runsvc.v1.RunService"))
    assert (await watch.read()).status == NOT_SERVING
    health.set_serving(True)
    assert (await watch.read()).status == SERVING
    # Not a change.
    health.set_serving(True)
    health.set_serving(False)
    assert (await watch.read()).status == NOT_SERVING


async def test_a_health_watch_of_an_unknown_service_stays_open(health: Health, stub: Any) -> None:
    watch = stub.Watch(request("other.Service"))
    assert (await watch.read()).status == UNKNOWN
    health.set_serving(True)
    health.end()
    assert await watch.read() is grpc.aio.EOF


async def test_a_health_watch_sends_not_serving_and_ends(health: Health, stub: Any) -> None:
    health.set_serving(True)
    watch = stub.Watch(request())
    assert (await watch.read()).status == SERVING
    health.end()
    assert (await watch.read()).status == NOT_SERVING
    assert await watch.read() is grpc.aio.EOF
    assert await watch.code() is grpc.StatusCode.OK


async def test_a_health_watch_that_starts_after_the_end_ends_too(health: Health, stub: Any) -> None:
    health.end()
    answers = [answer.status async for answer in stub.Watch(request())]
    assert answers == [NOT_SERVING]


async def test_a_health_watcher_that_does_not_read_delays_no_one(health: Health) -> None:
    entered, released = asyncio.Event(), asyncio.Event()

    class Stuck:
        """A context with a client that does not read."""

        async def write(self, message: object) -> None:
            entered.set()
            await released.wait()

    watching = asyncio.ensure_future(health.Watch(request(), Stuck()))
    await entered.wait()
    health.set_serving(True)
    health.end()
    released.set()
    await asyncio.wait_for(watching, PATIENCE)
