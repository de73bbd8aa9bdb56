"""An authority in a folder, which signs certificates for development."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

#: The lifetime of an authority.
_TEN_YEARS = timedelta(days=3_650)
#: For clocks that are slow.
_BEFORE = timedelta(hours=1)


@dataclass(frozen=True)
class Authority:
    """The authority of a folder: ca.pem and ca.key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def in_folder(cls, folder: Path, name: str) -> Self:
        """The folder's authority, which is made if there is none. Raise OSError, and ValueError for bad files."""
        cert_file, key_file = folder / "ca.pem", folder / "ca.key"
        if cert_file.exists() and key_file.exists():
            key = load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{key_file} is no key of this program")
            return cls(x509.load_pem_x509_certificate(cert_file.read_bytes()), key)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        builder = _builder(subject, subject, key, datetime.now(UTC) + _TEN_YEARS)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        made = cls(builder.sign(key, hashes.SHA256()), key)
        _write_key(key_file, key)
        cert_file.write_bytes(made.certificate.public_bytes(Encoding.PEM))
        return made

    def issue(self, stem: Path, name: str, end: datetime, hosts: Sequence[str] = ()) -> None:
        """Write a certificate and its key as STEM.pem and STEM.key: a server's if it has hosts, else a client's."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = _builder(_name(name), self.certificate.subject, key, end)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_host(each) for each in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        _write_key(stem.with_name(f"{stem.name}.key"), key)
        path = stem.with_name(f"{stem.name}.pem")
        path.write_bytes(certificate.public_bytes(Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - _BEFORE)
        .not_valid_after(end)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a key for the owner of the file only."""
    path.unlink(missing_ok=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
