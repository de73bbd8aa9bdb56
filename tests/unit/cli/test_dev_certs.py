"""`runsvc dev-certs`: certificates that servers and clients accept."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from cryptography import x509

from runsvc.auth.certificate_file import CertificateFile
from runsvc.cli import main
from runsvc.rpc.tls_files import TlsPaths, check

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def dev_certs(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("dev-certs", *arguments), prog_name="runsvc")


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_set_is_made_and_the_commands_to_try_it_are_printed(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    result = dev_certs(str(folder), "--client", "gw", "--client", "w1", "--host", "runs.test")
    assert result.exit_code == 0
    assert f"--tls-cert {folder}/server.pem --tls-key {folder}/server.key" in result.stdout
    assert f"--cert {folder}/gw.pem --key {folder}/gw.key" in result.stdout
    authority = certificate(folder / "ca.pem")
    for name in ("server", "gw", "w1"):
        certificate(folder / f"{name}.pem").verify_directly_issued_by(authority)
        assert stat.S_IMODE((folder / f"{name}.key").stat().st_mode) == 0o600
    paths = TlsPaths(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    assert check(paths, [path.read_bytes() for path in paths.all])
    extension = certificate(folder / "server.pem").extensions
    names = extension.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "runs.test"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    known = CertificateFile(folder / "certs.txt")
    peer = {
        "x509_common_name": [b"w1"],
        "x509_pem_cert": [(folder / "w1.pem").read_bytes()],
    }
    assert known.find(peer)


def test_a_second_set_is_of_the_same_authority(tmp_path: Path) -> None:
    dev_certs(str(tmp_path))
    authority, server = (tmp_path / name for name in ("ca.pem", "server.pem"))
    before = authority.read_bytes(), server.read_bytes()
    assert dev_certs(str(tmp_path), "--client", "second").exit_code == 0
    assert authority.read_bytes() == before[0]
    assert server.read_bytes() != before[1]
    certificate(tmp_path / "second.pem").verify_directly_issued_by(certificate(authority))
    lines = (tmp_path / "certs.txt").read_text().splitlines()
    assert lines == ["client * service,admin cn:client", "second * service,admin cn:second"]


@pytest.mark.parametrize("name", ["", "../x", "a/b"])
def test_a_name_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    result = dev_certs(str(tmp_path), "--client", name)
    assert result.exit_code == 2
    assert "is no name for a file" in result.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = dev_certs(str(tmp_path / "file" / "certs"))
    assert result.exit_code != 0
    assert str(tmp_path / "file") in result.stderr
    (tmp_path / "ca.pem").write_text("x")
    (tmp_path / "ca.key").write_text("x")
    result = dev_certs(str(tmp_path))
    assert "Cannot make certificates" in result.stderr
