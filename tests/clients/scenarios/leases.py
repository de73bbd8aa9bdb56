"""Leases and timeouts: runs that end because their executor is silent or takes too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import read, run_of

if TYPE_CHECKING:
    from tests.clients.environment import Environment

#: Milliseconds.
MINUTE, SHORTEST = 60_000, 1_000


@scenario
async def a_lease_is_taken_and_renewed(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await a.do("create", spec={"thread_id": "t", "lease_ttl_ms": MINUTE})
    limits = {"start_timeout_ms": MINUTE, "timeout_ms": 61_001}
    run_id = await run_of(a, worker_id="w1", lease_ttl_ms=MINUTE, **limits)
    await a.do("heartbeat", run_id=run_id, worker_id="w1")
    await a.do("heartbeat", run_id=run_id, worker_id="w2")
    await a.do("set_status", run_id=run_id, status="running", worker_id="w1", lease_ttl_ms=30_000)
    await a.do("cancel", run_id=run_id)
    await a.do("heartbeat", run_id=run_id, worker_id="w1")
    await a.do("heartbeat", run_id=await run_of(a), worker_id="w1")
    done = await run_of(a, worker_id="w1", lease_ttl_ms=MINUTE)
    await a.do("complete", run_id=done, status="success", worker_id="w1")
    await a.do("heartbeat", run_id=done, worker_id="w1")


@scenario
async def a_lease_that_runs_out_ends_the_run(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("watch", w=1, run_id=run_id)
    await read(a, 2)
    of = {"run_id": run_id, "worker_id": "w1"}
    await a.do("set_status", status="running", lease_ttl_ms=SHORTEST, **of)
    await read(a, 3)
    await a.do("complete", status="success", **of)
    await a.do("heartbeat", **of)
    await a.do("update_progress", progress={"total_tokens": 8}, final=True, **of)


@scenario
async def a_run_that_takes_too_long_ends(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await a.do("watch", w=1, all={})
    await read(a, 1)
    await run_of(a, start_timeout_ms=10)
    await read(a, 2)
    run_id = await run_of(a, timeout_ms=10)
    await a.do("set_status", run_id=run_id, status="running")
    await read(a, 3)
    await a.do("unwatch", w=1)
