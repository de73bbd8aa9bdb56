"""A server that is newer than its client: the client passes unknown values on, and ignores unknown fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import Message

from runsvc.v1.run_pb2 import Cancellation, Progress, Run
from runsvc.v1.run_service_pb2 import (
    CancelResponse,
    GetResponse,
    ListByThreadResponse,
    StreamStatusResponse,
)
from tests.clients.scenario import scenario
from tests.clients.scenario_script import ScenarioScript
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.clients.environment import Environment

M = TypeVar("M", bound=Message)

#: Encoded fields with the numbers 1000 (a varint) and 1001 (a string).
UNKNOWN_FIELDS = b"\xc0\x3e\x07" + b"\xca\x3e\x04new!"

NEW: dict[str, Any] = {
    "status": 42,
    "status_reason": 43,
    "on_disconnect": 44,
    "multitask_strategy": 45,
}


def _newer(message: M) -> M:
    """The message with unknown fields added."""
    return type(message).FromString(message.SerializeToString() + UNKNOWN_FIELDS)


def _run() -> Run:
    cancellation = _newer(Cancellation(action=46))  # type: ignore[arg-type]
    return _newer(
        Run(run_id="r", cancellation=cancellation, progress=_newer(Progress(total_tokens=1)), **NEW)
    )


@scenario
async def values_and_fields_that_are_new(env: Environment) -> None:
    script = ScenarioScript()
    script.will("Get", _newer(GetResponse(run=_run())))
    script.will("ListByThread", _newer(ListByThreadResponse(runs=[_run()])))
    script.will("Cancel", _newer(CancelResponse(run=_run(), outcome=47)))  # type: ignore[arg-type]
    await env.serve_script(script)
    a = await env.driver()
    await a.do("get", run_id="r")
    await a.do("list", thread_id="t")
    await a.do("cancel", run_id="r", action=48)
    env.record(server="Cancel", action=script.asked[-1].action)


@scenario
async def events_that_are_new(env: Environment) -> None:
    gone = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
    new = _newer(StreamStatusResponse(event=49, revision=7, run=_run(), previous_status=50))  # type: ignore[arg-type]
    script = ScenarioScript()
    script.will("StreamStatus", [new, gone], [new])
    await env.serve_script(script)
    a = await env.driver()
    await a.do("watch", w=1, run_id="r", after_revision=6)
    for _ in range(3):
        await a.do("next", w=1)
    env.record(server="StreamStatus", after_revision=script.asked[-1].after_revision)


@scenario
async def reasons_that_are_new(env: Environment) -> None:
    script = ScenarioScript()
    script.will(
        "Get", Refusal(grpc.StatusCode.FAILED_PRECONDITION, "", "NEW_REASON", {"new": "fact"})
    )
    await env.serve_script(script)
    a = await env.driver()
    await a.do("get", run_id="r")
