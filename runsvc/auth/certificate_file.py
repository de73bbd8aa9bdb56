"""Client certificates, by a file that maps the name in a certificate to a principal.

The transport has verified the certificate. One of its names counts, the first that it has in this order: SPIFFE id,
URI, DNS name, common name. A file that lists another name of the certificate does not match.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography import x509

from runsvc.auth import lines
from runsvc.core.errors import FileRefused, Unauthenticated
from runsvc.fifo_cache import FifoCache
from runsvc.reloaded import Reloaded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from runsvc.auth.principal import Principal

logger = logging.getLogger(__name__)

VIA: Final = "certificate"
#: Certificates whose principal is remembered.
_CAPACITY: Final = 10_000
#: What the transport calls a name, and what a file writes before it. The first that a certificate has counts.
_RULE: Final = (
    ("peer_spiffe_id", ""),
    ("peer_uri", "uri:"),
    ("peer_dns", "dns:"),
    ("x509_common_name", "cn:"),
)
_FORMS: Final = ("spiffe://", "uri:", "dns:", "cn:")
_PEM: Final = "x509_pem_cert"

Entries = dict[str, "Principal"]


class CertificateFile:
    """The identities of a file, which may change. Lives on the event loop."""

    def __init__(self, path: Path) -> None:
        """Read the file. FileRefused."""
        self._path = path
        self._file = Reloaded[Entries]([path], partial(_entries, path))
        self._known = FifoCache[bytes, "Principal"](_CAPACITY)

    def find(self, peer: Mapping[str, Iterable[bytes]]) -> Principal | None:
        """The principal of a peer; None if it has no certificate. Raise Unauthenticated for one that is not listed."""
        pem = next(iter(peer.get(_PEM, ())), None)
        if pem is None:
            return None
        digest = sha256(pem).digest()
        principal = self._known.get(digest)
        if principal is None:
            principal = _until(self._listed(identity_of(peer)), _end_of(pem))
            self._known.keep(digest, principal)
        return principal

    async def reload(self) -> None:
        """Take over a changed file. FileRefused for a bad one; the last good one stays."""
        before = self._file.value
        if await self._file.reload():
            self._file.value = lines.carried_over(before, self._file.value)
            self._known.clear()
            logger.info("%s now lists %d certificates.", self._path, len(self._file.value))

    def _listed(self, identity: str) -> Principal:
        principal = self._file.value.get(identity)
        if principal is None:
            raise Unauthenticated(f"the certificate's identity {identity} is not listed")
        return principal


def identity_of(peer: Mapping[str, Iterable[bytes]]) -> str:
    """The name of a certificate that counts, in its written form. Raise Unauthenticated if it has none."""
    for key, prefix in _RULE:
        for name in peer.get(key, ()):
            if name:
                return prefix + name.decode(errors="replace")
    raise Unauthenticated("the certificate has no SPIFFE id, URI, DNS name or common name")


def _until(principal: Principal, end: datetime) -> Principal:
    """The principal, no longer than its certificate lasts."""
    expires_at = end if principal.expires_at is None else min(end, principal.expires_at)
    return replace(principal, expires_at=expires_at)


def _end_of(pem: bytes) -> datetime:
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def _entries(path: Path, contents: Sequence[bytes]) -> Entries:
    entries: Entries = {}
    for line in lines.parse(path, contents[0], VIA):
        if not line.credential.startswith(_FORMS):
            detail = f"write the credential as {', '.join(f'{each}…' for each in _FORMS)}"
            raise FileRefused(line.place, detail)
        if line.credential in entries:
            raise FileRefused(line.place, "an earlier line has the same identity")
        entries[line.credential] = line.principal
    return entries
