"""Certificates, tokens and clients of a server with TLS and authentication."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trustme

from runsvc.auth import lines
from runsvc.auth.principal import Principal, Role
from runsvc.auth.token_file import credential_of
from runsvc.client import AsyncRunClient
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SERVICE = frozenset({Role.SERVICE, Role.ADMIN})


def service(name: str) -> Principal:
    """A principal that may do everything for every owner."""
    return Principal(name, SERVICE, None, None, "token")


def write_tokens(path: Path, tokens: dict[str, Principal]) -> Path:
    """Write a file of tokens."""
    text = "".join(lines.form(each, credential_of(token)) + "\n" for token, each in tokens.items())
    return replace(path, text.encode())


def replace(path: Path, content: bytes) -> Path:
    """Replace a file as a whole."""
    new = path.with_name(f"{path.name}.new")
    new.touch(0o600)
    new.write_bytes(content)
    new.rename(path)
    return path


class TlsFolder:
    """The TLS files of a server, and those of its clients."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.authority = trustme.CA()
        self.client_authority = trustme.CA()
        self.trusted = self.authority.cert_pem.bytes()
        self.issue()
        self.trust_clients(self.client_authority)

    @property
    def cert(self) -> Path:
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    @property
    def client_ca(self) -> Path:
        return self.folder / "clients.pem"

    def issue(self, authority: trustme.CA | None = None) -> None:
        """Give the server a new certificate and a new key."""
        issued = (authority or self.authority).issue_cert("localhost", "127.0.0.1")
        replace(self.cert, b"".join(each.bytes() for each in issued.cert_chain_pems))
        replace(self.key, issued.private_key_pem.bytes())

    def trust_clients(self, *authorities: trustme.CA) -> None:
        """Set the authorities of clients."""
        replace(self.client_ca, b"".join(each.cert_pem.bytes() for each in authorities))

    def identity(self, *names: str, authority: trustme.CA | None = None, **more: Any) -> Any:
        """The arguments of a client with a certificate."""
        issued = (authority or self.client_authority).issue_cert(*names, **more)
        chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
        return {"tls_cert": chain, "tls_key": issued.private_key_pem.bytes()}

    def settings(self, *, clients: bool = False) -> dict[str, Any]:
        """The settings of a server with these files."""
        files = {"tls_cert": self.cert, "tls_key": self.key}
        return files | ({"tls_client_ca": self.client_ca} if clients else {})


@asynccontextmanager
async def caller(address: str, **more: Any) -> AsyncIterator[AsyncRunClient]:
    """A client with nothing of the environment."""
    arguments = {
        "token": None,
        "tls_ca": None,
        "tls_cert": None,
        "tls_key": None,
        "timeout": PATIENCE,
    }
    async with AsyncRunClient(address, **(arguments | more)) as client:
        yield client
