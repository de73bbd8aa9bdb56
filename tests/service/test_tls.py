"""TLS and addresses of a real server."""

from __future__ import annotations

import asyncio
import logging
import ssl
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme

from runsvc.client import Unavailable
from runsvc.core.errors import FileRefused, ListenRefused
from runsvc.service import running
from runsvc.settings import Settings
from tests.support.secure import TlsFolder, caller, replace
from tests.support.server import Process, in_process
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tls(tmp_path: Path) -> TlsFolder:
    return TlsFolder(tmp_path / "tls")


async def answers(address: str, **more: Any) -> bool:
    """Whether a new connection of a client is accepted."""
    async with caller(address, timeout=PATIENCE, **more) as client:
        try:
            await client.get_server_info()
        except Unavailable:
            return False
    return True


async def test_a_server_with_tls_encrypts_and_proves_itself(tmp_path: Path, tls: TlsFolder) -> None:
    async with in_process(tmp_path / "runs.db", **tls.settings()) as client:
        assert await answers(client.address, tls_ca=tls.trusted)
        assert not await answers(client.address, tls_ca=trustme.CA().cert_pem.bytes())
        assert not await answers(client.address)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_versions_before_1_2_are_refused(tmp_path: Path, tls: TlsFolder) -> None:
    async def version_of(version: ssl.TLSVersion) -> str:
        context = ssl.create_default_context(cadata=tls.trusted.decode())
        context.set_alpn_protocols(["h2"])
        # OpenSSL offers old versions only at its lowest level of security.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        host, port = client.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.transport.abort()
        return str(writer.get_extra_info("ssl_object").version())

    async with in_process(tmp_path / "runs.db", **tls.settings()) as client:
        assert await version_of(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert await version_of(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await version_of(ssl.TLSVersion.TLSv1_1)


async def test_a_client_needs_a_certificate_of_the_client_authority(
    tmp_path: Path, tls: TlsFolder
) -> None:
    async with in_process(tmp_path / "runs.db", **tls.settings(clients=True)) as client:
        trusting = {"tls_ca": tls.trusted}
        assert await answers(client.address, **trusting, **tls.identity("gw.test"))
        assert not await answers(client.address, **trusting)
        stranger = tls.identity("gw.test", authority=trustme.CA())
        assert not await answers(client.address, **trusting, **stranger)


async def test_changed_files_serve_new_connections_on_every_address(
    tmp_path: Path, tls: TlsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings = Settings(
        listen="127.0.0.1:0,localhost:0",
        db=tmp_path / "runs.db",
        grace=2.0,
        **tls.settings(clients=True),
    )
    async with running(settings) as listening:
        addresses = listening.split(",")
        old = {"tls_ca": tls.trusted} | tls.identity("gw.test")
        authority, clients = trustme.CA(), trustme.CA()
        new = {"tls_ca": authority.cert_pem.bytes()} | tls.identity("gw.test", authority=clients)
        async with caller(addresses[0], **old) as before:
            await before.get_server_info()
            tls.issue(authority)
            tls.trust_clients(clients)
            await until(lambda: "TLS uses the changed files" in caplog.text)
            for address in addresses:
                assert await answers(address, **new)
                assert not await answers(address, **old)
            # A connection that exists goes on.
            await before.get_server_info()


async def test_bad_files_keep_the_last_good_set(
    tmp_path: Path, tls: TlsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    async with in_process(tmp_path / "runs.db", **tls.settings(clients=True)) as client:
        mine = {"tls_ca": tls.trusted} | tls.identity("gw.test")
        for path in (tls.cert, tls.key, tls.client_ca):
            good = path.read_bytes()
            replace(path, b"nonsense")
            named = f"Cannot use {path}"
            await until(partial(_logs, caplog, named))
            assert await answers(client.address, **mine)
            replace(path, good)
        replace(tls.key, trustme.CA().issue_cert("x").private_key_pem.bytes())
        await until(lambda: "it is not the key of the certificate" in caplog.text)
        assert await answers(client.address, **mine)


@pytest.mark.parametrize("name", ["cert", "key", "client_ca"])
async def test_a_bad_file_is_refused_at_the_start(
    tmp_path: Path, tls: TlsFolder, name: str
) -> None:
    path = replace(getattr(tls, name), b"nonsense")
    with pytest.raises(FileRefused, match="in PEM") as caught:
        async with in_process(tmp_path / "runs.db", **tls.settings(clients=True)):
            pass
    assert caught.value.place == str(path)
    assert not (tmp_path / "runs.db").exists()


async def test_with_tls_other_machines_may_reach_the_server(tmp_path: Path, tls: TlsFolder) -> None:
    with pytest.raises(ListenRefused, match="set --tls-cert"):
        async with in_process(tmp_path / "runs.db", listen="0.0.0.0:0"):
            pass
    async with in_process(tmp_path / "runs.db", listen="0.0.0.0:0", **tls.settings()) as client:
        port = client.address.rpartition(":")[2]
        assert await answers(f"127.0.0.1:{port}", tls_ca=tls.trusted)


async def test_a_unix_socket_serves_its_owner_beside_tcp(tmp_path: Path, tls: TlsFolder) -> None:
    path = tmp_path / "r.sock"
    settings: dict[str, Any] = {"listen": f"127.0.0.1:0,unix:{path}", **tls.settings()}
    async with in_process(tmp_path / "runs.db", **settings) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await answers(f"unix:{path}")
        assert await answers(client.address, tls_ca=tls.trusted)
    assert not path.exists()


async def test_a_socket_that_a_crash_left_is_replaced_and_one_in_use_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "r.sock"
    listen = f"unix:{path}"
    server = Process(tmp_path / "runs.db")
    await server.start(listen)
    with pytest.raises(ListenRefused, match="it is in use"):
        async with in_process(tmp_path / "other.db", listen=listen):
            pass
    assert await answers(listen)
    await server.kill()
    assert path.is_socket()
    async with in_process(tmp_path / "runs.db", listen=listen):
        assert await answers(listen)


async def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ListenRefused, match="is no socket"):
        async with in_process(tmp_path / "runs.db", listen=f"unix:{path}"):
            pass
    assert path.read_text() == "data"


async def test_reflection_can_be_switched_off(tmp_path: Path) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async def listed(address: str) -> bool:
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            call = stub.ServerReflectionInfo(iter([request]))
            with suppress(grpc.aio.AioRpcError):
                return [each async for each in call] != []
            assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
            return False

    async with in_process(tmp_path / "one.db") as client:
        assert await listed(client.address)
    async with in_process(tmp_path / "two.db", no_reflection=True) as client:
        assert not await listed(client.address)


def _logs(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text
