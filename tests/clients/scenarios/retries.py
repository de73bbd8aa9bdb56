"""Retries and deadlines of calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from runsvc.v1.run_pb2 import Run
from runsvc.v1.run_service_pb2 import (
    CreateOrRejectResponse,
    CreateResponse,
    GetResponse,
    HasInflightResponse,
    ListByThreadResponse,
)
from tests.clients.scenario import scenario
from tests.clients.scenario_script import NO_ANSWER, ScenarioScript
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.clients.environment import Environment, RecordedDriver

GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
RUN = Run(run_id="r")


async def _count_attempts(
    env: Environment, script: ScenarioScript, a: RecordedDriver, cmd: str, **arguments: Any
) -> None:
    """Execute a command and record the number of attempts."""
    before = len(script.asked)
    await a.do(cmd, **arguments)
    env.record(server=type(script.asked[-1]).__name__, asked=len(script.asked) - before)


@scenario
async def reads_are_sent_again(env: Environment) -> None:
    script = ScenarioScript()
    script.will("Get", GONE, GONE, GetResponse(run=RUN), GONE, GONE, GONE, GONE)
    script.will("HasInflight", GONE, HasInflightResponse(has_inflight=True, run_ids=["r"]))
    script.will(
        "ListByThread",
        ListByThreadResponse(runs=[RUN], next_page_token="p"),
        GONE,
        ListByThreadResponse(),
    )
    await env.serve_script(script)
    a = await env.driver()
    await _count_attempts(env, script, a, "get", run_id="r")
    await _count_attempts(env, script, a, "get", run_id="r")
    await _count_attempts(env, script, a, "has_inflight", thread_id="t")
    await _count_attempts(env, script, a, "list", thread_id="t")


@scenario
async def creations_are_sent_again_with_a_request_id_alone(env: Environment) -> None:
    script = ScenarioScript()
    script.will("Create", GONE, CreateResponse(run=RUN, replayed=True), GONE)
    script.will("CreateOrReject", GONE, CreateOrRejectResponse(run=RUN), GONE)
    await env.serve_script(script)
    a = await env.driver()
    for cmd in ("create", "create_or_reject"):
        await _count_attempts(env, script, a, cmd, request_id="q", spec={"thread_id": "t"})
        await _count_attempts(env, script, a, cmd, spec={"thread_id": "t"})


@scenario
async def nothing_else_is_sent_again(env: Environment) -> None:
    script = ScenarioScript()
    for method in (
        "SetStatus",
        "Complete",
        "UpdateProgress",
        "UpdateModelName",
        "Heartbeat",
        "Cancel",
        "AcknowledgeCancel",
    ):
        script.will(method, GONE)
    overloaded = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "", "OVERLOADED")
    unknown = Refusal(grpc.StatusCode.UNKNOWN, "", "OUTCOME_UNKNOWN")
    script.will("Get", overloaded, unknown)
    await env.serve_script(script)
    a = await env.driver()
    await _count_attempts(env, script, a, "set_status", run_id="r", status="running")
    await _count_attempts(env, script, a, "complete", run_id="r", status="success")
    for cmd in ("update_progress", "update_model_name", "cancel", "acknowledge_cancel"):
        await _count_attempts(env, script, a, cmd, run_id="r")
    await _count_attempts(env, script, a, "heartbeat", run_id="r", worker_id="w")
    await _count_attempts(env, script, a, "get", run_id="r")
    await _count_attempts(env, script, a, "get", run_id="r")


@scenario
async def a_deadline_on_every_call_and_on_no_watch(env: Environment) -> None:
    script = ScenarioScript()
    script.will("Get", *[GetResponse(run=RUN)] * 3)
    script.will("StreamStatus", [])
    await env.serve_script(script)
    a = await env.driver()
    b = await env.driver("of another default", RUNSVC_TIMEOUT="99.5")
    await a.do("get", run_id="r")
    await b.do("get", run_id="r")
    await a.do("get", run_id="r", timeout_ms=30_000)
    await a.do("watch", w=1, run_id="r")
    await a.do("next", w=1)
    for left in script.time_left:
        env.record(server="asked", deadline=_about(left))


@scenario
async def a_server_that_keeps_silent(env: Environment) -> None:
    script = ScenarioScript()
    script.will("Get", NO_ANSWER, NO_ANSWER)
    script.will("Cancel", NO_ANSWER)
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TIMEOUT="0.2")
    await a.do("get", run_id="r")
    await a.do("get", run_id="r", timeout_ms=100)
    await a.do("cancel", run_id="r")


@scenario
async def no_server_at_all(env: Environment) -> None:
    server = await env.serve_process()
    await server.kill()
    a = await env.driver()
    await a.do("get", run_id="r")
    await a.do("create", spec={"thread_id": "t"})
    await a.do("create", request_id="q", spec={"thread_id": "t"})
    await a.do("list", thread_id="t")
    await server.start()
    await a.wait_until_reconnected()
    await a.do("create", request_id="q", spec={"thread_id": "t"})


def _about(left: float | None) -> float | None:
    """The configured deadline that matches the remaining time, or None for a call without a deadline."""
    return next(
        (limit for limit in (10, 30, 99.5) if left is not None and limit / 2 < left < limit + 1),
        None,
    )
