"""Tokens and TLS, as configured by the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import trustme

from runsvc.v1.run_pb2 import Run
from runsvc.v1.run_service_pb2 import CreateResponse, GetResponse
from tests.clients.scenario import scenario
from tests.clients.scenario_script import ScenarioScript
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.clients.environment import Environment, RecordedDriver

RUN = Run(run_id="r")


def _script() -> ScenarioScript:
    script = ScenarioScript()
    script.will("Get", GetResponse(run=RUN))
    script.will("Create", CreateResponse(run=RUN))
    script.will("StreamStatus", [])
    return script


async def _make_each_kind_of_call(a: RecordedDriver) -> None:
    """Make a read, a write and a watch."""
    await a.do("get", run_id="r")
    await a.do("create", spec={"thread_id": "t"})
    await a.do("watch", w=1, run_id="r")
    await a.do("next", w=1)


def _record_tokens(env: Environment, script: ScenarioScript) -> None:
    """Record the token of each call."""
    for metadata in script.metadata:
        env.record(server="asked", authorization=metadata.get("authorization"))


@scenario
async def a_token_goes_with_every_call_and_watch(env: Environment) -> None:
    script = _script()
    await env.serve_script(script)
    await _make_each_kind_of_call(await env.driver(RUNSVC_TOKEN="s3cret"))
    _record_tokens(env, script)


@scenario
async def without_a_token_none_is_sent(env: Environment) -> None:
    script = _script()
    await env.serve_script(script)
    await _make_each_kind_of_call(await env.driver())
    _record_tokens(env, script)


@scenario
async def a_token_that_is_refused_ends_calls_and_watches_alike(env: Environment) -> None:
    script = ScenarioScript()
    for code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        refusal = Refusal(code, "", code.name)
        script.will("Get", refusal)
        script.will("Create", refusal)
        script.will("StreamStatus", [refusal])
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN="expired")
    await _make_each_kind_of_call(a)
    await _make_each_kind_of_call(a)


@scenario
async def an_encrypted_connection_to_whom_it_trusts(env: Environment) -> None:
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    script = _script()
    await env.serve_script(script, certificate)
    a = await env.driver(RUNSVC_TLS_CA=env.file("ca.pem", authority), RUNSVC_TOKEN="s3cret")
    await _make_each_kind_of_call(a)
    _record_tokens(env, script)
    stranger = await env.driver("trusting another", RUNSVC_TLS_CA=env.file("other.pem", other))
    await stranger.do("get", run_id="r")
