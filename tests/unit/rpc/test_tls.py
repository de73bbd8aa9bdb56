"""TLS of the server: when it reports the end of its certificate."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from runsvc.core.errors import FileRefused
from runsvc.rpc.tls import Tls
from runsvc.rpc.tls_files import TlsPaths, check
from tests.support.secure import TlsFolder, replace

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Clock:
    """A time that passes by hand."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def folder(tmp_path: Path) -> TlsFolder:
    return TlsFolder(tmp_path / "tls")


def valid_until(folder: TlsFolder, end: datetime) -> None:
    issued = folder.authority.issue_cert("localhost", not_after=end)
    replace(folder.cert, issued.cert_chain_pems[0].bytes())
    replace(folder.key, issued.private_key_pem.bytes())


async def reported(tls: Tls, caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    caplog.clear()
    await tls.reload()
    return [
        (record.levelno, record.getMessage().rpartition(".pem ")[2]) for record in caplog.records
    ]


async def test_the_end_of_the_certificate_is_reported_each_day_when_it_is_near(
    folder: TlsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    valid_until(folder, NOW + timedelta(days=20))
    tls = Tls(TlsPaths(folder.cert, folder.key), clock)
    assert await reported(tls, caplog) == [(logging.INFO, "ends at 2026-12-18T00:00:00Z.")]
    clock.time += timedelta(days=5)
    assert await reported(tls, caplog) == []
    clock.time += timedelta(days=1)
    near = [(logging.WARNING, "ends at 2026-12-18T00:00:00Z.")]
    assert await reported(tls, caplog) == near
    clock.time += timedelta(hours=23)
    assert await reported(tls, caplog) == []
    clock.time += timedelta(hours=1)
    assert await reported(tls, caplog) == near
    clock.time += timedelta(days=14)
    assert await reported(tls, caplog) == [(logging.WARNING, "ended at 2026-12-18T00:00:00Z.")]
    valid_until(folder, NOW + timedelta(days=90))
    _, end = await reported(tls, caplog)
    assert end == (logging.INFO, "ends at 2027-02-26T00:00:00Z.")


def test_a_key_that_every_user_can_read_is_reported(
    folder: TlsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    Tls(TlsPaths(folder.cert, folder.key))
    assert caplog.text == ""
    folder.key.chmod(0o644)
    Tls(TlsPaths(folder.cert, folder.key))
    assert f"Every user of this machine can read {folder.key}" in caplog.text


def test_files_that_do_not_fit_are_refused_by_name(folder: TlsFolder) -> None:
    paths = TlsPaths(folder.cert, folder.key, folder.client_ca)
    good = [path.read_bytes() for path in paths.all]
    material = check(paths, good)
    assert (material.chain, material.key, material.client_ca) == tuple(good)
    assert "PRIVATE" not in repr(material)
    other = trustme.CA().issue_cert("x").private_key_pem.bytes()
    encrypted = load_pem_private_key(good[1], None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )
    for place, bad, detail in (
        (0, b"", "it holds no certificate in PEM"),
        (1, b"", "it holds no private key in PEM"),
        (1, other, "it is not the key of the certificate in"),
        (1, encrypted, "store it without a password"),
        (2, good[1], "it holds no certificate in PEM"),
    ):
        contents = [*good[:place], bad, *good[place + 1 :]]
        with pytest.raises(FileRefused, match=detail) as caught:
            check(paths, contents)
        assert caught.value.place == str(paths.all[place])
