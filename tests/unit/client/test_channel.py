"""How the client reaches a server: tokens on calls and streams, TLS, proxies."""

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


class Turns:
    """A function that gives another token each time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"secret-{self.count}"

    async def later(self) -> str:
        return self()


@pytest.fixture
def answering(script: Script) -> Script:
    script.will("Get", *[pb.GetResponse(run=Run(run_id="r1"))] * 4)
    script.will("StreamStatus", EVENT)
    return script


async def called(client: Any) -> None:
    """A call with one answer, and a stream, over the raw stub."""
    await client.get("r1")
    stream = client.stub.StreamStatus(pb.StreamStatusRequest(run_id="r1"))
    if hasattr(stream, "__aiter__"):
        assert [event async for event in stream] == [EVENT]
    else:
        assert list(stream) == [EVENT]


def tokens(script: Script) -> list[str | None]:
    return [each.get("authorization") for each in script.metadata]


async def test_a_token_is_on_calls_and_streams(kind: Any, target: str, answering: Script) -> None:
    async with make_client(kind, target, token="secret") as client:
        await called(client)
    assert tokens(answering) == ["Bearer secret"] * 2


async def test_a_function_is_asked_before_every_call(
    kind: Any, target: str, answering: Script
) -> None:
    async with make_client(kind, target, token=Turns()) as client:
        await called(client)
    assert tokens(answering) == ["Bearer secret-1", "Bearer secret-2"]


async def test_without_a_token_none_is_sent(kind: Any, target: str, answering: Script) -> None:
    async with make_client(kind, target, token=None) as client:
        await called(client)
    assert tokens(answering) == [None, None]


async def test_asyncio_takes_a_coroutine_function(target: str, answering: Script) -> None:
    from runsvc.client import AsyncRunClient

    async with AsyncRunClient(target, token=Turns().later) as client:
        await called(client)
    assert tokens(answering) == ["Bearer secret-1", "Bearer secret-2"]


async def test_a_function_that_fails_fails_the_call(kind: Any, target: str) -> None:
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
    """The address of a server whose certificate is of that authority."""
    issued = authority.issue_cert("127.0.0.1", "localhost")
    key = issued.private_key_pem.bytes()
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    with scripted(answering, grpc.ssl_server_credentials([(key, chain)])) as target:
        yield target


async def test_tls_to_a_server_that_the_authority_knows(
    kind: Any, secure: str, authority: trustme.CA, answering: Script, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with make_client(kind, secure, tls_ca=file, token="secret") as client:
        await called(client)
    assert tokens(answering) == ["Bearer secret"] * 2


async def test_no_tls_to_another_server(kind: Any, secure: str, answering: Script) -> None:
    other = trustme.CA().cert_pem.bytes()
    for certificates in (other, None):
        async with make_client(kind, secure, tls_ca=certificates) as client:
            with pytest.raises(Unavailable):
                await client.get("r1")
    assert answering.asked == []


async def test_interceptors_of_the_caller_s_come_too(
    kind: Any, target: str, answering: Script
) -> None:
    from runsvc.client import AsyncRunClient, bearer

    others = bearer.async_interceptors if kind is AsyncRunClient else bearer.interceptors
    async with make_client(kind, target, token=None, interceptors=others("theirs")) as client:
        await called(client)
    assert tokens(answering) == ["Bearer theirs"] * 2


@pytest.fixture
def _proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("no_grpc_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")


def reached(target: str) -> RunError | None:
    """Why a server cannot be reached; None: it answers."""
    with connect(target) as channel:
        try:
            RunServiceStub(channel).Get(pb.GetRequest(run_id="r1"), timeout=5)
        except grpc.RpcError as failure:
            return error_of(failure)
    return None


@pytest.mark.usefixtures("_proxy", "answering")
def test_no_proxy_stands_before_loopback(target: str) -> None:
    assert reached(target) is None
    assert reached(target.replace("127.0.0.1", "localhost")) is None


@pytest.mark.usefixtures("_proxy")
def test_a_proxy_stands_before_other_machines() -> None:
    assert isinstance(reached("192.0.2.1:50051"), Unavailable)
