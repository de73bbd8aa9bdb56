"""What is sent again, and how long a client waits."""

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
from tests.clients.programmed import SILENCE, Programme
from tests.clients.scenario import scenario
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.clients.environment import Actor, Stage

GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
RUN = Run(run_id="r")


async def _asked(stage: Stage, programme: Programme, a: Actor, cmd: str, **arguments: Any) -> None:
    """A command, and how often the server was asked."""
    before = len(programme.asked)
    await a.do(cmd, **arguments)
    stage.record(server=type(programme.asked[-1]).__name__, asked=len(programme.asked) - before)


@scenario
async def reads_are_sent_again(stage: Stage) -> None:
    programme = Programme()
    programme.will("Get", GONE, GONE, GetResponse(run=RUN), GONE, GONE, GONE, GONE)
    programme.will("HasInflight", GONE, HasInflightResponse(has_inflight=True, run_ids=["r"]))
    programme.will(
        "ListByThread",
        ListByThreadResponse(runs=[RUN], next_page_token="p"),
        GONE,
        ListByThreadResponse(),
    )
    await stage.program(programme)
    a = await stage.driver()
    await _asked(stage, programme, a, "get", run_id="r")
    await _asked(stage, programme, a, "get", run_id="r")
    await _asked(stage, programme, a, "has_inflight", thread_id="t")
    await _asked(stage, programme, a, "list", thread_id="t")


@scenario
async def creations_are_sent_again_with_a_request_id_alone(stage: Stage) -> None:
    programme = Programme()
    programme.will("Create", GONE, CreateResponse(run=RUN, replayed=True), GONE)
    programme.will("CreateOrReject", GONE, CreateOrRejectResponse(run=RUN), GONE)
    await stage.program(programme)
    a = await stage.driver()
    for cmd in ("create", "create_or_reject"):
        await _asked(stage, programme, a, cmd, request_id="q", spec={"thread_id": "t"})
        await _asked(stage, programme, a, cmd, spec={"thread_id": "t"})


@scenario
async def nothing_else_is_sent_again(stage: Stage) -> None:
    programme = Programme()
    for method in (
        "SetStatus",
        "Complete",
        "UpdateProgress",
        "UpdateModelName",
        "Heartbeat",
        "Cancel",
        "AcknowledgeCancel",
    ):
        programme.will(method, GONE)
    overloaded = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "", "OVERLOADED", retry=1)
    unknown = Refusal(grpc.StatusCode.UNKNOWN, "", "OUTCOME_UNKNOWN")
    programme.will("Get", overloaded, unknown)
    await stage.program(programme)
    a = await stage.driver()
    await _asked(stage, programme, a, "set_status", run_id="r", status="running")
    await _asked(stage, programme, a, "complete", run_id="r", status="success")
    for cmd in ("update_progress", "update_model_name", "cancel", "acknowledge_cancel"):
        await _asked(stage, programme, a, cmd, run_id="r")
    await _asked(stage, programme, a, "heartbeat", run_id="r", worker_id="w")
    await _asked(stage, programme, a, "get", run_id="r")
    await _asked(stage, programme, a, "get", run_id="r")


@scenario
async def a_deadline_on_every_call_and_on_no_watch(stage: Stage) -> None:
    programme = Programme()
    programme.will("Get", *[GetResponse(run=RUN)] * 3)
    programme.will("StreamStatus", [])
    await stage.program(programme)
    a = await stage.driver()
    b = await stage.driver("of another default", RUNSVC_TIMEOUT="99.5")
    await a.do("get", run_id="r")
    await b.do("get", run_id="r")
    await a.do("get", run_id="r", timeout_ms=30_000)
    await a.do("watch", w=1, run_id="r")
    await a.do("next", w=1)
    for left in programme.time_left:
        stage.record(server="asked", deadline=_about(left))


@scenario
async def a_server_that_keeps_silent(stage: Stage) -> None:
    programme = Programme()
    programme.will("Get", SILENCE, SILENCE)
    programme.will("Cancel", SILENCE)
    await stage.program(programme)
    a = await stage.driver(RUNSVC_TIMEOUT="0.2")
    await a.do("get", run_id="r")
    await a.do("get", run_id="r", timeout_ms=100)
    await a.do("cancel", run_id="r")


@scenario
async def no_server_at_all(stage: Stage) -> None:
    server = await stage.serve_process()
    await server.kill()
    a = await stage.driver()
    await a.do("get", run_id="r")
    await a.do("create", spec={"thread_id": "t"})
    await a.do("create", request_id="q", spec={"thread_id": "t"})
    await a.do("list", thread_id="t")
    await server.start()
    await a.reconnected()
    await a.do("create", request_id="q", spec={"thread_id": "t"})


def _about(left: float | None) -> float | None:
    """Which of the deadlines it is, for some of the time is gone. None: without one it is the age of a server."""
    return next(
        (limit for limit in (10, 30, 99.5) if left is not None and limit / 2 < left < limit + 1),
        None,
    )
