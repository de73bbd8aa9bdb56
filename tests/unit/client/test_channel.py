"""Connections of both clients: tokens on calls and streams, TLS, interceptors, proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme

from runsvc.client import RunError, RunServiceStub, Unavailable, connect, error_of
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_pb2 import Run
from tests.support.both_clients import make_client
from tests.support.scripted import scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.scripted import Script

EVENT = pb.StreamStatusResponse(event="STATUS_EVENT_HEARTBEAT", revision=1)


class Tokens:
    """A function that returns a new token each time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"secret-{self.count}"

    async def awaited(self) -> str:
        return self()


@pytest.fixture
def answering(script: Script) -> Script:
    script.will("Get", *[pb.GetResponse(run=Run(run_id="r1"))] * 4)
    script.will("StreamStatus", EVENT)
    return script


async def make_calls(client: Any) -> None:
    """Make a unary call, and a stream call over the stub."""
    await client.get("r1")
    stream = client.stub.StreamStatus(pb.StreamStatusRequest(run_id="r1"))
    if hasattr(stream, "__aiter__"):
        assert [event async for event in stream] == [EVENT]
    else:
        assert list(stream) == [EVENT]


def tokens(script: Script) -> list[str | None]:
    """Return the authorization header of each call."""
    return [each.get("authorization") for each in script.metadata]


async def test_token_is_sent_with_calls_and_streams(
    kind: Any, target: str, answering: Script
) -> None:
    async with make_client(kind, target, token="secret") as client:
        await make_calls(client)
    assert tokens(answering) == ["Bearer secret"] * 2


async def test_token_function_is_called_before_every_call(
    kind: Any, target: str, answering: Script
) -> None:
    async with make_client(kind, target, token=Tokens()) as client:
        await make_calls(client)
    assert tokens(answering) == ["Bearer secret-1", "Bearer secret-2"]


async def test_no_token_is_sent_without_one(kind: Any, target: str, answering: Script) -> None:
    async with make_client(kind, target, token=None) as client:
        await make_calls(client)
    assert tokens(answering) == [None, None]


async def test_token_may_be_a_coroutine_function(target: str, answering: Script) -> None:
    from runsvc.client import AsyncRunClient

    async with AsyncRunClient(target, token=Tokens().awaited) as client:
        await make_calls(client)
    assert tokens(answering) == ["Bearer secret-1", "Bearer secret-2"]


async def test_failing_token_function_fails_the_call(kind: Any, target: str) -> None:
    def broken() -> str:
        raise LookupError("no token")

    async with make_client(kind, target, token=broken) as client:
        with pytest.raises(LookupError):
            await client.get("r1")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA, answering: Script) -> Iterator[str]:
    """Address of a server with a certificate of the authority."""
    issued = authority.issue_cert("127.0.0.1", "localhost")
    key = issued.private_key_pem.bytes()
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    with scripted(answering, grpc.ssl_server_credentials([(key, chain)])) as target:
        yield target


async def test_tls_with_trusted_certificate(
    kind: Any, secure: str, authority: trustme.CA, answering: Script, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with make_client(kind, secure, tls_ca=file, token="secret") as client:
        await make_calls(client)
    assert tokens(answering) == ["Bearer secret"] * 2


def credentials_of(authority: trustme.CA) -> grpc.ServerCredentials:
    issued = authority.issue_cert("127.0.0.1", "localhost")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])


async def test_a_replaced_file_counts_for_the_next_call(
    kind: Any, script: Script, tmp_path: Path
) -> None:
    file, authorities = tmp_path / "ca.pem", [trustme.CA() for _ in range(4)]
    script.will("Get", *[pb.GetResponse(run=Run(run_id="r1"))] * 10)
    authorities[0].cert_pem.write_to_path(str(file))
    with scripted(script, credentials_of(authorities[0])) as target:
        client = make_client(kind, target, tls_ca=file)
        await client.get("r1")
        file.write_text("-----BEGIN")
        await client.get("r1")
    async with client:
        for authority in authorities[1:]:
            authority.cert_pem.write_to_path(str(file))
            with scripted(script, credentials_of(authority), target):
                # A new channel: no call waits for the pause of the former one.
                assert (await client.get("r1")).run_id == "r1"


async def test_tls_with_untrusted_certificate(kind: Any, secure: str, answering: Script) -> None:
    other = trustme.CA().cert_pem.bytes()
    for certificates in (other, None):
        async with make_client(kind, secure, tls_ca=certificates) as client:
            with pytest.raises(Unavailable):
                await client.get("r1")
    assert answering.asked == []


async def test_interceptors_of_the_caller_are_added(
    kind: Any, target: str, answering: Script
) -> None:
    from runsvc.client import AsyncRunClient, bearer

    interceptors = bearer.async_interceptors if kind is AsyncRunClient else bearer.interceptors
    async with make_client(kind, target, token=None, interceptors=interceptors("theirs")) as client:
        await make_calls(client)
    assert tokens(answering) == ["Bearer theirs"] * 2


@pytest.fixture
def _proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("no_grpc_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")


def connection_error(target: str) -> RunError | None:
    """Return the error of a call. None if the server answers."""
    with connect(target) as channel:
        try:
            RunServiceStub(channel).Get(pb.GetRequest(run_id="r1"), timeout=5)
        except grpc.RpcError as failure:
            return error_of(failure)
    return None


@pytest.mark.usefixtures("_proxy", "answering")
def test_proxy_is_not_used_for_loopback(target: str) -> None:
    assert connection_error(target) is None
    assert connection_error(target.replace("127.0.0.1", "localhost")) is None


@pytest.mark.usefixtures("_proxy")
def test_proxy_is_used_for_other_machines() -> None:
    assert isinstance(connection_error("192.0.2.1:50051"), Unavailable)
