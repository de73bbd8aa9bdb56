"""Credentials that expire or do not suffice, client certificates, and calls for one owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import trustme
from cryptography.hazmat.primitives import serialization

from runsvc.auth.principal import Principal, Role
from runsvc.v1.run_pb2 import Run, RunStatus, StatusEvent
from runsvc.v1.run_service_pb2 import (
    CompleteResponse,
    CreateResponse,
    GetResponse,
    HeartbeatResponse,
    SetStatusResponse,
    StreamStatusRequest,
    StreamStatusResponse,
)
from tests.clients.environment import server_credentials, until
from tests.clients.scenario import scenario
from tests.clients.scenario_script import NO_ANSWER, ScenarioScript
from tests.support.scripted import Refusal, scripted
from tests.support.secure import write_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.clients.environment import Environment, RecordedDriver

RUN: Final = Run(run_id="r", status=RunStatus.RUN_STATUS_RUNNING, revision=2)
EXPIRED: Final = Refusal(grpc.StatusCode.UNAUTHENTICATED, "", "UNAUTHENTICATED")


class TokenFile:
    """A file with a token, which is replaced as a whole."""

    def __init__(self, env: Environment, token: str) -> None:
        self.path = env.path("token")
        self.replace(token)

    def replace(self, token: str) -> None:
        """Give the file another content, in another inode."""
        fresh = Path(self.path + ".fresh")
        fresh.write_text(token)
        fresh.rename(self.path)

    def before(self, answer: Any, token: str) -> Callable[[], Any]:
        """Return an answer to a call, before which the file gets another token."""

        def replace() -> Any:
            self.replace(token)
            return answer

        return replace


def _record(env: Environment, script: ScenarioScript, *names: str) -> None:
    """Record these metadata of each call, and the position of each watch."""
    for request, metadata in zip(script.asked, script.metadata, strict=True):
        asked = {name.replace("-", "_"): metadata.get(name) for name in names}
        if isinstance(request, StreamStatusRequest) and request.HasField("after_revision"):
            asked["after_revision"] = request.after_revision
        env.record(server="asked", **asked)


def _changed(revision: int) -> StreamStatusResponse:
    run = Run(run_id="r", status=RunStatus.RUN_STATUS_RUNNING, revision=revision)
    return StreamStatusResponse(event=StatusEvent.STATUS_EVENT_CHANGED, revision=revision, run=run)


@scenario
async def a_call_is_repeated_with_the_token_that_replaced_an_expired_one(env: Environment) -> None:
    file, script = TokenFile(env, " one\n"), ScenarioScript()
    script.will("Get", GetResponse(run=RUN), GetResponse(run=RUN), file.before(EXPIRED, "three"))
    script.will("Get", GetResponse(run=RUN))
    script.will("Create", file.before(EXPIRED, "four"), CreateResponse(run=RUN))
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN_FILE=file.path)
    await a.do("get", run_id="r")
    file.replace("two")
    await a.do("get", run_id="r")
    await a.do("get", run_id="r")
    await a.do("create", spec={"thread_id": "t"})
    _record(env, script, "authorization")


@scenario
async def a_call_that_is_refused_again_fails(env: Environment) -> None:
    file, script = TokenFile(env, "one"), ScenarioScript()
    script.will("Get", file.before(EXPIRED, "two"), EXPIRED)
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN_FILE=file.path)
    await a.do("get", run_id="r")
    _record(env, script, "authorization")


@scenario
async def a_refused_token_that_stays_is_not_sent_again(env: Environment) -> None:
    file, script = TokenFile(env, "one"), ScenarioScript()
    script.will("Get", EXPIRED)
    script.will("StreamStatus", [_changed(5), EXPIRED])
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN_FILE=file.path)
    await a.do("get", run_id="r")
    await a.do("watch", w=1, thread_id="t")
    await a.do("next", w=1)
    await a.do("next", w=1)
    _record(env, script, "authorization")


@scenario
async def a_token_file_may_come_after_the_client(env: Environment) -> None:
    script = ScenarioScript()
    script.will("Get", GetResponse(run=RUN))
    script.will("StreamStatus", [_changed(5)])
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN_FILE=env.path("token"))
    await a.do("get", run_id="r")
    await a.do("watch", w=1, thread_id="t")
    await a.do("next", w=1)
    TokenFile(env, "one")
    await a.do("get", run_id="r")
    await a.do("watch", w=2, thread_id="t")
    await a.do("next", w=2)
    _record(env, script, "authorization")


@scenario
async def a_missing_role_is_not_asked_again(env: Environment) -> None:
    file, script = TokenFile(env, "one"), ScenarioScript()
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "", "PERMISSION_DENIED")
    script.will("Get", file.before(denied, "two"))
    script.will("StreamStatus", [denied])
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN_FILE=file.path)
    await a.do("get", run_id="r")
    await a.do("watch", w=1, run_id="r")
    await a.do("next", w=1)
    _record(env, script, "authorization")


@scenario
async def a_watch_resumes_with_a_new_token_at_its_position(env: Environment) -> None:
    file, script = TokenFile(env, "one"), ScenarioScript()

    def expires() -> Iterator[Any]:
        yield _changed(5)
        file.replace("two")
        yield EXPIRED

    script.will("StreamStatus", expires(), [_changed(6)])
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN_FILE=file.path)
    await a.do("watch", w=1, thread_id="t")
    for _ in range(3):
        await a.do("next", w=1)
    _record(env, script, "authorization")


@scenario
async def a_watch_that_is_refused_again_fails(env: Environment) -> None:
    file, script = TokenFile(env, "one"), ScenarioScript()

    def expires() -> Iterator[Any]:
        yield _changed(5)
        file.replace("two")
        yield EXPIRED

    script.will("StreamStatus", expires(), [EXPIRED])
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN_FILE=file.path)
    await a.do("watch", w=1, thread_id="t")
    await a.do("next", w=1)
    await a.do("next", w=1)
    _record(env, script, "authorization")


@scenario
async def an_expired_token_loses_no_run(env: Environment) -> None:
    script = ScenarioScript()
    script.will("SetStatus", SetStatusResponse(run=RUN))
    script.will("Get", GetResponse(run=RUN))
    script.will("StreamStatus", [NO_ANSWER])
    script.will("Heartbeat", *[HeartbeatResponse(run=RUN)] * 100)
    script.will("UpdateProgress", EXPIRED)
    done = Run(run_id="r", status=RunStatus.RUN_STATUS_SUCCESS, revision=3)
    script.will("Complete", EXPIRED, EXPIRED, CompleteResponse(run=done))
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TOKEN="one")
    await a.do("work", k=1, run_id="r", worker_id="w1", lease_ttl_ms=60_000)
    await a.do("report", k=1, progress={"total_tokens": 3})
    await a.do("finish", k=1)


@scenario
async def an_owner_goes_with_every_call_and_watch(env: Environment) -> None:
    script = ScenarioScript()
    script.will("Get", GetResponse(run=RUN))
    script.will("Create", CreateResponse(run=RUN))
    script.will("StreamStatus", [])
    await env.serve_script(script)
    a = await env.driver(RUNSVC_TEST_OWNER="ann")
    await _make_each_kind_of_call(a)
    _record(env, script, "runsvc-owner")


async def _make_each_kind_of_call(a: RecordedDriver) -> None:
    await a.do("get", run_id="r")
    await a.do("create", spec={"thread_id": "t"})
    await a.do("watch", w=1, run_id="r")
    await a.do("next", w=1)


@scenario
async def a_run_of_another_owner_does_not_exist(env: Environment) -> None:
    await env.serve()
    ann = await env.driver("ann", RUNSVC_TEST_OWNER="ann")
    ben = await env.driver("ben", RUNSVC_TEST_OWNER="ben")
    platform = await env.driver("platform")
    run_id = (await ann.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    for absent in (run_id, "unknown"):
        await ben.do("get", run_id=absent)
        await ben.do("cancel", run_id=absent)
        await ben.do("watch", w=1, run_id=absent)
        await ben.do("next", w=1)
    await ben.do("list", thread_id="t")
    # Two owners use one thread_id without meeting.
    await ben.do("create_or_reject", spec={"thread_id": "t"})
    await ann.do("list", thread_id="t")
    await platform.do("get", run_id=run_id)


@scenario
async def a_token_gives_an_owner_and_roles(env: Environment) -> None:
    user = Principal("ann", frozenset({Role.USER}), "ann")
    reader = Principal("auditor", frozenset({Role.READER}), "ann")
    tokens = write_tokens(Path(env.path("tokens")), {"one": user, "two": reader})
    await env.serve_callers(auth_tokens=tokens)
    a = await env.driver("user", RUNSVC_TOKEN="one")
    run_id = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    b = await env.driver("reader", RUNSVC_TOKEN="two")
    await b.do("get", run_id=run_id)
    await b.do("cancel", run_id=run_id)
    c = await env.driver("user for another", RUNSVC_TOKEN="one", RUNSVC_TEST_OWNER="ben")
    await c.do("get", run_id=run_id)
    d = await env.driver("unknown", RUNSVC_TOKEN="three")
    await d.do("get", run_id=run_id)


@scenario
async def a_client_certificate(env: Environment) -> None:
    authority = trustme.CA()
    script = ScenarioScript()
    script.will("Get", GetResponse(run=RUN))
    await env.serve_script(
        script, authority.issue_cert("127.0.0.1", "localhost"), clients=authority
    )
    ca, (cert, key) = env.file("ca.pem", authority), _client_files(env, authority)
    a = await env.driver(RUNSVC_TLS_CA=ca, RUNSVC_TLS_CERT=cert, RUNSVC_TLS_KEY=key)
    await a.do("get", run_id="r")
    stranger = await env.driver("without a certificate", RUNSVC_TLS_CA=ca)
    await stranger.do("get", run_id="r")


@scenario
async def files_that_are_replaced_count_for_new_connections(env: Environment) -> None:
    script, authorities = ScenarioScript(), [trustme.CA(), trustme.CA()]
    script.will("Get", *[GetResponse(run=RUN)] * 200)
    ca, (cert, key) = env.file("ca.pem", authorities[0]), _client_files(env, authorities[0])
    with _mutual(script, authorities[0]) as target:
        tls = {"RUNSVC_TLS_CA": ca, "RUNSVC_TLS_CERT": cert, "RUNSVC_TLS_KEY": key}
        a = await env.driver(RUNSVC_TARGET=target, **tls)
        await a.do("get", run_id="r")
    env.file("ca.pem", authorities[1])
    _client_files(env, authorities[1])
    with _mutual(script, authorities[1], target):
        await until(lambda: _succeeds(a))
        await a.do("get", run_id="r")
    # Files that cannot be used, such as half-written ones, change nothing.
    _break(key)
    with _mutual(script, authorities[1], target):
        await until(lambda: _succeeds(a))
        await a.do("get", run_id="r")


def _mutual(
    script: ScenarioScript, authority: trustme.CA, listen: str = "127.0.0.1:0"
) -> AbstractContextManager[str]:
    """Run a server whose certificate is of the authority, and those of whose clients must be."""
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    return scripted(script, server_credentials(certificate, authority), listen)


def _break(path: str) -> None:
    """Replace the content of a file by the beginning of one."""
    Path(path).write_text("-----BEGIN")


async def _succeeds(a: RecordedDriver) -> bool:
    return "run" in await a.do_unrecorded("get", run_id="r", timeout_ms=2_000)


def _client_files(env: Environment, authority: trustme.CA) -> tuple[str, str]:
    """Write a client certificate and its key, and return the paths."""
    certificate = authority.issue_cert("client")
    chain, key = Path(env.path("cert.pem")), Path(env.path("key.pem"))
    chain.write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    key.write_bytes(_pkcs8(certificate.private_key_pem.bytes()))
    return str(chain), str(key)


def _pkcs8(pem: bytes) -> bytes:
    """Return a key in the format that every language reads."""
    return serialization.load_pem_private_key(pem, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
