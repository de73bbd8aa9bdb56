"""Who calls: tokens and certificates over real connections."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runsvc.auth.principal import Principal
from runsvc.client import RunError, error_of
from runsvc.core.errors import FileRefused
from runsvc.v1.run_pb2 import AllRuns, RunSpec
from runsvc.v1.run_service_pb2 import StreamStatusRequest
from runsvc.v1.run_service_pb2_grpc import RunServiceStub
from tests.support.identity_provider import AUDIENCE, ISSUER, Key, key_set, published
from tests.support.secure import SERVICE, TlsFolder, caller, replace, service, write_tokens
from tests.support.server import in_process
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return write_tokens(tmp_path / "tokens.txt", {"one": service("gw"), "two": service("gw")})


@pytest.fixture
async def address(tmp_path: Path, tokens: Path) -> AsyncIterator[str]:
    """The address of a server with tokens."""
    async with in_process(tmp_path / "runs.db", auth_tokens=tokens) as client:
        yield client.address


async def reason(address: str, **more: Any) -> str:
    """The reason for which a call is refused; empty if it succeeds."""
    async with caller(address, **more) as client:
        try:
            await client.get_server_info()
        except RunError as error:
            refused = error
        else:
            return ""
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert refused.request_id
    return refused.reason


async def passes(address: str, token: str) -> bool:
    return await reason(address, token=token) == ""


async def test_a_call_needs_a_token_of_the_file(address: str) -> None:
    assert await reason(address, token="one") == ""
    assert await reason(address, token="two") == ""
    assert await reason(address, token="three") == "UNAUTHENTICATED"
    assert await reason(address) == "UNAUTHENTICATED"


async def test_a_watch_needs_one_too(address: str) -> None:
    async with caller(address, token="one") as client:
        async for event in client.watch(all_runs=True):
            assert event
            break
    async with caller(address) as client:
        with pytest.raises(RunError, match="send a bearer token"):
            await anext(client.watch(all_runs=True))


async def test_health_needs_none(address: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="runsvc.v1.RunService"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_file_is_read_again(address: str, tokens: Path) -> None:
    write_tokens(tokens, {"two": service("gw"), "three": service("gw")})
    await until(lambda: passes(address, "three"))
    assert await reason(address, token="one") == "UNAUTHENTICATED"
    assert await reason(address, token="two") == ""


async def read_on(stream: Any) -> None:
    """Read a stream to its end."""
    while True:
        await stream.read()


async def test_a_watch_ends_once_its_principal_is_removed_and_not_by_a_rotation(
    address: str, tokens: Path
) -> None:
    request = StreamStatusRequest(all=AllRuns(), heartbeat_interval=timedelta(seconds=1))
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = RunServiceStub(channel)

        def watch(token: str) -> Any:
            metadata = (("authorization", f"Bearer {token}"),)
            return stub.StreamStatus(request, metadata=metadata, timeout=60)

        write_tokens(tokens, {"left": service("gone"), "two": service("gw")})
        await until(lambda: passes(address, "left"))
        removed, kept = watch("left"), watch("two")
        for each in (removed, kept):
            assert (await each.read()).store_id
        write_tokens(tokens, {"three": service("gw")})
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_on(removed)
        assert error_of(caught.value).reason == "UNAUTHENTICATED"
        assert await kept.read()
        assert not kept.done()
        kept.cancel()


async def test_a_bad_file_keeps_the_last_good_tokens(
    address: str, tokens: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    replace(tokens, b"nonsense\n")
    await until(lambda: "tokens.txt:1" in caplog.text)
    assert await reason(address, token="one") == ""
    write_tokens(tokens, {"four": service("gw")})
    await until(lambda: passes(address, "four"))
    assert await reason(address, token="one") == "UNAUTHENTICATED"


async def test_a_token_ends(tmp_path: Path) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    tokens = {"past": Principal("gw", SERVICE, None, datetime(2020, 1, 1, tzinfo=UTC))}
    tokens["future"] = Principal("gw", SERVICE, None, end)
    file = write_tokens(tmp_path / "tokens.txt", tokens)
    async with in_process(tmp_path / "runs.db", auth_tokens=file) as client:
        assert await reason(client.address, token="past") == "UNAUTHENTICATED"
        assert await reason(client.address, token="future") == ""


async def test_a_bad_file_is_refused_at_the_start(tmp_path: Path) -> None:
    file = replace(tmp_path / "tokens.txt", b"nonsense\n")
    with pytest.raises(FileRefused, match=r"tokens\.txt:1: write it as NAME OWNER ROLES"):
        async with in_process(tmp_path / "runs.db", auth_tokens=file):
            pass
    assert not (tmp_path / "runs.db").exists()


async def test_a_client_with_a_token_file_goes_on_after_a_rotation(
    address: str, tokens: Path, tmp_path: Path
) -> None:
    mine = replace(tmp_path / "my.token", b"one\n")
    async with caller(address, token=mine) as client:
        await client.create(RunSpec(thread_id="t"))
        replace(mine, b"three\n")
        write_tokens(tokens, {"three": service("gw")})
        await until(lambda: passes(address, "three"))
        await client.create(RunSpec(thread_id="t"))


async def test_a_certificate_is_a_principal(tmp_path: Path) -> None:
    tls = TlsFolder(tmp_path / "tls")
    certs = replace(
        tmp_path / "certs.txt", b"gw * service,admin dns:gw.test\nci * service,admin cn:ci\n"
    )
    settings = tls.settings(clients=True)
    async with in_process(tmp_path / "runs.db", auth_certs=certs, **settings) as client:
        trusting = {"tls_ca": tls.trusted}
        for _ in range(2):
            assert await reason(client.address, **trusting, **tls.identity("gw.test")) == ""
        common = tls.identity(common_name="ci")
        assert await reason(client.address, **trusting, **common) == ""
        # Another name than the one that counts.
        both = tls.identity("other.test", common_name="ci")
        assert await reason(client.address, **trusting, **both) == "UNAUTHENTICATED"


async def test_tokens_and_certificates_may_both_be_on(tmp_path: Path, tokens: Path) -> None:
    tls = TlsFolder(tmp_path / "tls")
    certs = replace(tmp_path / "certs.txt", b"gw * service,admin dns:gw.test\n")
    settings = tls.settings(clients=True) | {"auth_certs": certs, "auth_tokens": tokens}
    async with in_process(tmp_path / "runs.db", **settings) as client:
        stranger = tls.identity("other.test") | {"tls_ca": tls.trusted}
        assert await reason(client.address, token="one", **stranger) == ""
        assert await reason(client.address, **stranger) == "UNAUTHENTICATED"
        known = tls.identity("gw.test") | {"tls_ca": tls.trusted}
        assert await reason(client.address, **known) == ""
        assert await reason(client.address, token="wrong", **known) == "UNAUTHENTICATED"


async def test_a_jwt_is_a_principal_whose_keys_are_fetched(tmp_path: Path) -> None:
    first, second = Key("k1"), Key("k2", "RS256")
    roles = ["service", "admin"]
    with published(first) as publisher:
        jwt: dict[str, Any] = {
            "auth_jwks": publisher.url,
            "auth_issuer": ISSUER,
            "auth_audience": AUDIENCE,
        }
        async with in_process(tmp_path / "runs.db", **jwt) as client:
            assert await reason(client.address, token=first.token(roles=roles)) == ""
            other = first.token(roles=roles, aud="another")
            assert await reason(client.address, token=other) == "UNAUTHENTICATED"
            assert await reason(client.address, token="a.b.c") == "UNAUTHENTICATED"
            # The next unknown key fetches the keys once more.
            publisher.content = key_set(first, second)
            assert await reason(client.address, token=second.token(roles=roles)) == ""
            unknown = Key("k3").token(roles=roles)
            assert await reason(client.address, token=unknown) == "UNAUTHENTICATED"


async def test_calls_go_on_while_keys_are_fetched(tmp_path: Path, tokens: Path) -> None:
    key = Key()
    with published(key) as publisher:
        publisher.answers.clear()
        jwt: dict[str, Any] = {
            "auth_jwks": publisher.url,
            "auth_issuer": ISSUER,
            "auth_audience": AUDIENCE,
        }
        async with in_process(tmp_path / "runs.db", auth_tokens=tokens, **jwt) as client:
            token = key.token(roles=["service", "admin"])
            waiting = asyncio.create_task(reason(client.address, token=token))
            assert await reason(client.address, token="one") == ""
            assert not waiting.done()
            publisher.answers.set()
            assert await waiting == ""


async def test_a_server_starts_although_the_identity_provider_is_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with published(Key()) as publisher:
        publisher.status = 503
        jwt: dict[str, Any] = {
            "auth_jwks": publisher.url,
            "auth_issuer": ISSUER,
            "auth_audience": AUDIENCE,
        }
        async with in_process(tmp_path / "runs.db", **jwt) as client:
            await until(lambda: f"Cannot use {publisher.url}" in caplog.text)
            async with caller(client.address, token=Key().token()) as refused:
                with pytest.raises(RunError, match="are not available yet"):
                    await refused.get_server_info()


async def test_no_log_line_holds_a_token(
    address: str, tokens: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for token in ("one", "s3cret-and-wrong"):
        await reason(address, token=token)
    replace(tokens, b"al alice user s3cret-in-the-file\n")
    await until(lambda: "tokens.txt:1" in caplog.text)
    assert "s3cret" not in caplog.text
