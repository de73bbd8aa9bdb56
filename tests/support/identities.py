"""Callers of a server with authentication: credentials, and the scope that each call of theirs has."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from runsvc.auth.caller import OWNER_KEY
from runsvc.auth.principal import Principal, Role
from runsvc.auth.token_file import credential_of
from tests.support.identity_provider import AUDIENCE, ISSUER, Key, key_set
from tests.support.secure import replace
from tests.support.server import in_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from runsvc.core.owners import Scope
    from tests.support.server import Client


def principal(
    name: str, owner: str | None, *roles: Role, left: timedelta | None = None
) -> Principal:
    """A principal of these roles, whose credential ends after a while."""
    end = None if left is None else datetime.now(UTC) + left
    return Principal(name, frozenset(roles), owner, end, "token")


def token_of(principal: Principal) -> str:
    """The bearer token of a principal."""
    return f"token-of-{principal.name}"


def line_of(principal: Principal) -> str:
    """The line of a principal in the token file of the server."""
    owner = "*" if principal.owner is None else principal.owner
    roles = ",".join(role.value for role in principal.roles)
    end = "" if principal.expires_at is None else f" expires={principal.expires_at.isoformat()}"
    return f"{principal.name} {owner} {roles} {credential_of(token_of(principal))}{end}\n"


@dataclass(frozen=True)
class Identity:
    """How a caller presents itself."""

    name: str
    principal: Principal | None
    #: Of its `runsvc-owner` entry; None for none.
    sent_owner: str | None = None
    token: str | None = None

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of its calls."""
        entries = []
        token = self.token or (self.principal and token_of(self.principal))
        if token is not None:
            entries.append(("authorization", f"Bearer {token}"))
        if self.sent_owner is not None:
            entries.append((OWNER_KEY, self.sent_owner))
        return tuple(entries)

    @property
    def scope(self) -> Scope:
        """The scope of its calls."""
        assert self.principal is not None
        return self.principal.owner if self.sent_owner is None else self.sent_owner

    @property
    def is_foreign(self) -> bool:
        """It names another owner than its own."""
        own = self.principal and self.principal.owner
        return None not in (own, self.sent_owner) and own != self.sent_owner

    def calls(self, client: Client) -> As:
        """The client, with this identity on every call."""
        return As(client, self.metadata)


class As:
    """A client whose calls carry metadata."""

    def __init__(self, client: Client, metadata: tuple[tuple[str, str], ...]) -> None:
        self.runs: Any = _Stub(client.runs, metadata)
        self.admin: Any = _Stub(client.admin, metadata)


class _Stub:
    def __init__(self, stub: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, method: str) -> Any:
        return partial(getattr(self._stub, method), metadata=self._metadata)


_USER, _READER, _WORKER, _SERVICE, _ADMIN = Role
#: The key of the identity provider that servers trust.
KEY: Final = Key()
_JWT_OF_A: Final = KEY.token(sub="a", roles=["reader"])
A: Final = Identity("A", principal("ann", "a", _USER))
B: Final = Identity("B", principal("bob", "b", _USER))
READER: Final = Identity("reader", principal("rea", "a", _READER))
WORKER: Final = Identity("worker", principal("wor", None, _WORKER))
SERVICE: Final = Identity("service", principal("ser", None, _SERVICE))
SERVICE_A: Final = Identity("service for a", SERVICE.principal, "a")
ADMIN: Final = Identity("admin", principal("adm", None, _ADMIN))
ANONYMOUS: Final = Identity("anonymous", None)

IDENTITIES: Final = (
    A,
    B,
    READER,
    WORKER,
    Identity("worker of b", principal("wob", "b", _WORKER)),
    SERVICE,
    SERVICE_A,
    Identity("service for the platform", SERVICE.principal, ""),
    Identity("service of a", principal("soa", "a", _SERVICE)),
    ADMIN,
    Identity("admin for b", ADMIN.principal, "b"),
    Identity("A for itself", A.principal, "a"),
    Identity("A for b", A.principal, "b"),
    Identity("A for the platform", A.principal, ""),
    Identity("reader and worker", principal("two", "a", _READER, _WORKER)),
    ANONYMOUS,
    Identity("expired", principal("exp", "a", _USER, left=timedelta(seconds=-1))),
    Identity("unknown token", None, token="unknown"),
    # Tokens of an identity provider.
    Identity("JWT of b", principal("b", "b", _USER), token=KEY.token(sub="b")),
    Identity("JWT of b for a", principal("b", "b", _USER), "a", token=KEY.token(sub="b")),
    Identity("JWT of a reader", principal("a", "a", _READER), token=_JWT_OF_A),
    Identity("JWT for another audience", None, token=KEY.token(sub="a", aud="other")),
    Identity("JWT of another issuer", None, token=KEY.token(sub="a", iss="https://other.test/")),
    Identity("JWT of another key", None, token=Key().token(sub="a")),
    Identity("expired JWT", None, token=KEY.token(sub="a", exp=1_000_000_000)),
)


def token_file(folder: Path, *more: Principal) -> Path:
    """A token file with the identities, and more principals."""
    listed = [each.principal for each in IDENTITIES if each.principal and not each.token]
    known = {each.name: each for each in listed}
    path = folder / "tokens"
    path.write_text("".join(map(line_of, (*known.values(), *more))))
    path.chmod(0o600)
    return path


@asynccontextmanager
async def with_identities(folder: Path, *more: Principal, **settings: Any) -> AsyncIterator[Client]:
    """A client of a server that knows the identities, and more principals."""
    tokens = token_file(folder, *more)
    keys = replace(folder / "keys.json", key_set(KEY))
    provider = {"auth_jwks": str(keys), "auth_issuer": ISSUER, "auth_audience": AUDIENCE}
    everything = {"auth_tokens": tokens, **provider, **settings}
    async with in_process(folder / "runs.db", **everything) as client:
        yield client
