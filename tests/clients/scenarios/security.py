"""Tokens and encryption, as the environment asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import trustme

from runsvc.v1.run_pb2 import Run
from runsvc.v1.run_service_pb2 import CreateResponse, GetResponse
from tests.clients.programmed import Programme
from tests.clients.scenario import scenario
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.clients.environment import Actor, Stage

RUN = Run(run_id="r")


def _programme() -> Programme:
    programme = Programme()
    programme.will("Get", GetResponse(run=RUN))
    programme.will("Create", CreateResponse(run=RUN))
    programme.will("StreamStatus", [])
    return programme


async def _each_kind(a: Actor) -> None:
    """A read, a write and a watch."""
    await a.do("get", run_id="r")
    await a.do("create", spec={"thread_id": "t"})
    await a.do("watch", w=1, run_id="r")
    await a.do("next", w=1)


def _written(stage: Stage, programme: Programme) -> None:
    """Write down whom the calls said they were from."""
    for metadata in programme.metadata:
        stage.record(server="asked", authorization=metadata.get("authorization"))


@scenario
async def a_token_goes_with_every_call_and_watch(stage: Stage) -> None:
    programme = _programme()
    await stage.program(programme)
    await _each_kind(await stage.driver(RUNSVC_TOKEN="s3cret"))
    _written(stage, programme)


@scenario
async def without_a_token_none_is_sent(stage: Stage) -> None:
    programme = _programme()
    await stage.program(programme)
    await _each_kind(await stage.driver())
    _written(stage, programme)


@scenario
async def a_token_that_is_refused_ends_calls_and_watches_alike(stage: Stage) -> None:
    programme = Programme()
    for code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        refusal = Refusal(code, "", code.name)
        programme.will("Get", refusal)
        programme.will("Create", refusal)
        programme.will("StreamStatus", [refusal])
    await stage.program(programme)
    a = await stage.driver(RUNSVC_TOKEN="expired")
    await _each_kind(a)
    await _each_kind(a)


@scenario
async def an_encrypted_connection_to_whom_it_trusts(stage: Stage) -> None:
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    programme = _programme()
    await stage.program(programme, certificate)
    a = await stage.driver(RUNSVC_TLS_CA=stage.file("ca.pem", authority), RUNSVC_TOKEN="s3cret")
    await _each_kind(a)
    _written(stage, programme)
    stranger = await stage.driver("trusting another", RUNSVC_TLS_CA=stage.file("other.pem", other))
    await stranger.do("get", run_id="r")
