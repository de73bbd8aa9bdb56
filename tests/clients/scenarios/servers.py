"""A target that stands for several servers: calls and watches go to those that serve.

The servers have a store each, so that the runs of each show which calls it got.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from runsvc.v1.admin_service_pb2 import GetServerInfoRequest
from tests.clients.environment import until, watchers
from tests.clients.scenario import scenario
from tests.support.server import client_of, in_process

if TYPE_CHECKING:
    from tests.clients.environment import Environment, RecordedDriver
    from tests.support.server import Client

#: More calls than one round over the servers.
CALLS = 12


async def _create(a: RecordedDriver) -> bool:
    """Create a run. Return whether a server did."""
    answer = await a.do_unrecorded("create", spec={"thread_id": "t"})
    return "run" in answer


async def _runs(server: Client) -> int:
    """The number of runs that a server has created. Each is one change."""
    return (await server.admin.GetServerInfo(GetServerInfoRequest())).current_revision


async def _all_get_calls(a: RecordedDriver, servers: list[Client]) -> None:
    """Wait until the client has connected to each of the servers, and uses it."""

    async def each_has_one() -> bool:
        await _create(a)
        return all([await _runs(server) for server in servers])

    await until(each_has_one)


def _target(*servers: Client) -> str:
    return "ipv4:" + ",".join(server.address for server in servers)


@scenario
async def calls_and_watches_go_to_all_and_not_to_one_that_is_gone(env: Environment) -> None:
    gone = await env.serve_process()
    first = await env.enter_async_context(client_of(gone.address))
    others = [
        await env.enter_async_context(in_process(env.folder / f"{name}.db")) for name in ("b", "c")
    ]
    a = await env.driver(RUNSVC_TARGET=_target(first, *others))
    await a.do("has_inflight", thread_id="none")
    await _all_get_calls(a, [first, *others])
    for w in range(CALLS):
        await a.do_unrecorded("watch", w=w, all={})
        await a.do_unrecorded("next", w=w)
    used = [await watchers(server) for server in (first, *others)]
    env.record(server="watches", at_each=all(used), all=sum(used))
    for w in range(CALLS):
        await a.do_unrecorded("unwatch", w=w)
    await gone.kill()
    # The call that notices the loss may fail.
    await _create(a)
    created = [await _create(a) for _ in range(CALLS)]
    env.record(server="calls", without_the_first=all(created))


@scenario
async def a_server_that_does_not_serve_gets_no_calls(env: Environment) -> None:
    paths = [env.folder / f"{name}.db" for name in ("a", "b")]
    locked, other = [await env.enter_async_context(in_process(path)) for path in paths]
    a = await env.driver(RUNSVC_TARGET=_target(locked, other))
    await a.do("has_inflight", thread_id="none")
    await _all_get_calls(a, [locked, other])
    with closing(sqlite3.connect(paths[0], isolation_level=None)) as holder:
        # Health follows the store: a server that cannot write does not serve.
        holder.execute("BEGIN IMMEDIATE")

        async def does_not_serve() -> bool:
            await _create(a)
            return await _is_down(locked)

        await until(does_not_serve)

        async def succeed() -> bool:
            return all([await _create(a) for _ in range(4)])

        # The client gets the change of the health a moment later.
        await until(succeed)
        before = await _runs(other)
        created = [await _create(a) for _ in range(CALLS)]
        env.record(server="calls", created=all(created), at_the_other=await _runs(other) - before)


async def _is_down(server: Client) -> bool:
    health: Any = health_pb2_grpc.HealthStub(server.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest())
    return bool(answer.status == health_pb2.HealthCheckResponse.NOT_SERVING)
