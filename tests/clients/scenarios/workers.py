"""Executors: functions that perform runs."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final

import grpc

from runsvc.v1 import admin_service_pb2
from runsvc.v1.run_pb2 import Progress, Run
from runsvc.v1.run_service_pb2 import (
    CompleteRequest,
    CompleteResponse,
    GetResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    SetStatusResponse,
)
from tests.clients.environment import until
from tests.clients.scenario import scenario
from tests.clients.scenario_script import NO_ANSWER, ScenarioScript
from tests.clients.scenarios.watches import read, run_of
from tests.support.scripted import Refusal
from tests.support.server import Process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clients.environment import Environment, RecordedDriver

#: Longer than a client takes to reconnect to a restarted server.
LEASE_MS: Final = 5_000


@scenario
async def a_run_is_executed(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await a.do("executing", k=1)
    await a.do("report", k=1, progress={"total_tokens": 3})
    await a.do("report", k=1, progress={"total_tokens": 4})
    await a.do("finish", k=1, progress={"total_tokens": 5})
    failed = await run_of(a)
    await a.do("work", k=1, run_id=failed)
    await a.do("finish", k=1, error="kaputt: ü")


@scenario
async def a_run_that_another_worker_holds(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a, worker_id="w1")
    await a.do("work", k=1, run_id=run_id, worker_id="w2")
    await a.do("cancel", run_id=run_id)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")


@scenario
async def a_cancel_stops_it(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await b.do("cancel", run_id=run_id, action="rollback")
    await a.do("stopped", k=1, progress={"total_tokens": 6})
    await b.do("get", run_id=run_id)


@scenario
async def a_newer_run_stops_it(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await a.do("create_or_reject", spec={"thread_id": "t", "multitask_strategy": "interrupt"})
    await a.do("stopped", k=1)


@scenario
async def a_run_that_ended_by_other_hands(env: Environment) -> None:
    server = await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id)
    await server.admin.ReconcileOrphans(admin_service_pb2.ReconcileOrphansRequest())
    await a.do("stopped", k=1)


@scenario
async def its_report_reaches_a_server_that_was_killed(env: Environment) -> None:
    server = await env.serve_process()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await server.kill()
    report = await a.begin("finish", k=1, progress={"total_tokens": 5})
    await server.start()
    await report
    await b.wait_until_reconnected()
    await b.do("get", run_id=run_id)


async def _heartbeat_server(
    env: Environment, *answers: HeartbeatResponse | Refusal
) -> ScenarioScript:
    """Start a server with these answers to heartbeats, the last of which repeats."""
    script = ScenarioScript()
    started = Run(run_id="r", status="RUN_STATUS_RUNNING", revision=2)
    script.will("SetStatus", SetStatusResponse(run=started))
    script.will("Get", GetResponse(run=started))
    script.will("StreamStatus", [NO_ANSWER])
    script.will("Heartbeat", *answers, *[answers[-1]] * 100)
    await env.serve_script(script)
    return script


async def _executor(env: Environment, script: ScenarioScript, heartbeats: int) -> RecordedDriver:
    """Start an executor and wait until it has sent this many heartbeats."""
    a = await env.driver()
    await a.do("work", k=1, run_id="r", worker_id="w1", lease_ttl_ms=1_500)

    async def all_sent() -> bool:
        return sum(isinstance(each, HeartbeatRequest) for each in script.asked) >= heartbeats

    await until(all_sent)
    return a


RENEWED = HeartbeatResponse(run=Run(run_id="r", status="RUN_STATUS_RUNNING", revision=2))


@scenario
async def a_worker_that_lost_its_run_stops(env: Environment) -> None:
    other = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "", "NOT_HOLDER", {"run_id": "r"})
    a = await _executor(env, await _heartbeat_server(env, RENEWED, RENEWED, other), 3)
    await a.do("stopped", k=1)


async def _execute_through_outage(
    env: Environment,
    stop: Callable[[Process], Awaitable[None]],
    resume: Callable[[Process], Awaitable[None]],
) -> None:
    """Execute a run while its server is unavailable for longer than the lease."""
    server = await env.serve_process()
    a = await env.driver(RUNSVC_TIMEOUT="3")
    b = await env.other_driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1", lease_ttl_ms=LEASE_MS)
    await stop(server)
    # The end of the lease causes no event to wait for.
    expired = asyncio.create_task(asyncio.sleep(1.2 * LEASE_MS / 1_000))
    await a.do("report", k=1, progress={"total_tokens": 3})
    await expired
    await a.do("executing", k=1)
    await resume(server)
    await b.wait_until_reconnected()
    await a.do("executing", k=1)
    await a.do("finish", k=1, progress={"llm_call_count": 1})
    await b.do("get", run_id=run_id)


@scenario
async def a_worker_goes_on_while_its_server_is_dead(env: Environment) -> None:
    await _execute_through_outage(env, Process.kill, Process.start_again)


@scenario
async def a_worker_goes_on_while_its_server_is_stopped(env: Environment) -> None:
    async def suspend(server: Process) -> None:
        server.signal(signal.SIGSTOP)

    async def resume(server: Process) -> None:
        server.signal(signal.SIGCONT)

    await _execute_through_outage(env, suspend, resume)


@scenario
async def its_report_outlasts_its_lease(env: Environment) -> None:
    server = await env.serve_process()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1", lease_ttl_ms=LEASE_MS)
    await server.kill()
    report = await a.begin("finish", k=1, progress={"total_tokens": 5})
    await asyncio.sleep(1.2 * LEASE_MS / 1_000)
    await server.start_again()
    await report
    await b.wait_until_reconnected()
    await b.do("get", run_id=run_id)


@scenario
async def answers_that_do_not_tell_of_the_run_stop_no_worker(env: Environment) -> None:
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "", "PERMISSION_DENIED")
    passing = Refusal(grpc.StatusCode.UNAVAILABLE, "", "STORE_UNAVAILABLE")
    full = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "")
    script = await _heartbeat_server(env, RENEWED, denied, passing, full, denied)
    finished = Run(run_id="r", status="RUN_STATUS_SUCCESS", revision=3)
    script.will("UpdateProgress", passing)
    script.will("Complete", full, passing, CompleteResponse(run=finished))
    a = await _executor(env, script, 5)
    await a.do("report", k=1, progress={"total_tokens": 3})
    await a.do("executing", k=1)
    await a.do("finish", k=1, progress={"llm_call_count": 1})
    reported = [each.progress for each in script.asked if isinstance(each, CompleteRequest)]
    assert reported == [Progress(total_tokens=3, llm_call_count=1)] * 3


@scenario
async def a_worker_that_is_heard_of_keeps_its_run(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    b = await env.other_driver()
    lost, kept = await run_of(a), await run_of(a)
    await a.do("work", k=1, run_id=kept, worker_id="w1", lease_ttl_ms=3_000)
    # When this lease expires, the other would have expired twice without heartbeats.
    await b.do("set_status", run_id=lost, status="running", worker_id="w2", lease_ttl_ms=6_000)
    await b.do("watch", w=1, run_id=lost, after_revision=3)
    await read(b, 2)
    await a.do("executing", k=1)
    await b.do("cancel", run_id=kept)
    await a.do("stopped", k=1, progress={"total_tokens": 1})
