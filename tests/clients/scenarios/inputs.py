"""Executors: their input, ends that cannot be sent as they are, and the fence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.clients.environment import until
from tests.clients.scenario import scenario
from tests.clients.scenarios.reports import nested
from tests.clients.scenarios.watches import run_of

if TYPE_CHECKING:
    from tests.clients.environment import Environment

FAILURES: tuple[dict[str, Any], ...] = (
    {"error": "ü" * 10_000},
    {"progress": {"total_tokens": -1}},
    {"result": nested(17), "progress": {"total_tokens": 1}},
    {"stop_reason": "x" * 129},
    {"throws": "no_text"},
)


@scenario
async def an_executor_has_its_input(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a, kwargs={"input": "hello"})
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await a.do("finish", k=1)


@scenario
async def failures_that_cannot_be_sent_as_they_are(env: Environment) -> None:
    await env.serve()
    a, b = await env.driver(), await env.other_driver()
    for failure in FAILURES:
        run_id = await run_of(a)
        await a.do("work", k=1, run_id=run_id, worker_id="w1")
        await a.do("finish", k=1, **failure)
        if "throws" not in failure:
            await b.do("get", run_id=run_id)


@scenario
async def the_end_of_work_that_panicked_outlasts_the_timeout_of_a_call(env: Environment) -> None:
    server = await env.serve_process()
    a, b = await env.driver(RUNSVC_TIMEOUT="2"), await env.other_driver()
    run_id = await run_of(b)
    await a.do("work", k=1, run_id=run_id, worker_id="w1", lease_ttl_ms=20_000)
    await server.kill()
    report = await a.begin("finish", k=1, throws="panic")
    # Longer than a call may take.
    await asyncio.sleep(4)
    await server.start()
    await report
    await b.wait_until_reconnected()
    ended = await b.do_unrecorded("get", run_id=run_id)
    # The text names the failure, which differs by language.
    env.record(server="run", status=ended["run"]["status"])


@scenario
async def a_fence_stops_the_work_without_a_server(env: Environment) -> None:
    server = await env.serve_process()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1", lease_ttl_ms=5_000, fence=True)
    await server.kill()

    async def has_stopped() -> bool:
        return (await a.do_unrecorded("executing", k=1))["executing"] is False

    # Without a server only the fence stops the work. The report of the end is repeated until there is one.
    await until(has_stopped)
    await server.start()
    await a.do("stopped", k=1, progress={"total_tokens": 5})
