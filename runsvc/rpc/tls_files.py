"""The files of TLS: certificate, key and the authorities of clients, checked together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from runsvc.core.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path


class TlsPaths(NamedTuple):
    """Where the files are. Without `client_ca` clients need no certificate."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    @property
    def all(self) -> list[Path]:
        """The files that exist."""
        return [path for path in self if path is not None]


@dataclass(frozen=True)
class TlsMaterial:
    """The contents of the files, which fit together."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    #: The end of the server's certificate.
    expires_at: datetime


def check(paths: TlsPaths, contents: Sequence[bytes]) -> TlsMaterial:
    """Check the contents of the files, in the order of `TlsPaths.all`. FileRefused names the bad one."""
    chain, key, *rest = contents
    leaf = _certificates(paths.cert, chain)[0]
    if leaf.public_key().public_bytes(*_PUBLIC) != _public_bytes(paths.key, key):
        detail = f"it is not the key of the certificate in {paths.cert}"
        raise FileRefused(str(paths.key), detail)
    if paths.client_ca is not None:
        _certificates(paths.client_ca, rest[0])
    return TlsMaterial(chain, key, rest[0] if rest else None, leaf.not_valid_after_utc)


_PUBLIC = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


def _certificates(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        detail = "it holds no certificate in PEM, such as -----BEGIN CERTIFICATE-----"
        raise FileRefused(str(path), detail) from error


def _public_bytes(path: Path, pem: bytes) -> bytes:
    try:
        return load_pem_private_key(pem, None).public_key().public_bytes(*_PUBLIC)
    except TypeError as error:
        raise FileRefused(str(path), "it is encrypted; store it without a password") from error
    except ValueError as error:
        detail = "it holds no private key in PEM, such as -----BEGIN PRIVATE KEY-----"
        raise FileRefused(str(path), detail) from error
