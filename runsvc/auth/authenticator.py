"""Authentication: from the metadata and the peer of a call to its principal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol, TypeAlias

from runsvc.auth.principal import Principal
from runsvc.core.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The metadata of a call, as the transport gives it.
Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]
#: Returns what the transport knows about the peer, such as the names in its certificate. Called only if needed.
Peer: TypeAlias = Callable[[], Mapping[str, Iterable[bytes]]]
#: The principal, or a wait for it, such as for a key that is being fetched.
Found: TypeAlias = Principal | Awaitable[Principal]

_HEADER = "authorization"
_SCHEME = "bearer "


class TokenMethod(Protocol):
    """A method that knows bearer tokens."""

    def find(self, token: str, digest: bytes) -> Found | None:
        """The principal of a token, given with its SHA-256; None if the token is not of this method.

        Raise Unauthenticated for a token of this method that is not valid.
        """
        ...


class PeerMethod(Protocol):
    """A method that knows peers by their certificates."""

    def find(self, peer: Mapping[str, Iterable[bytes]]) -> Principal | None:
        """The principal of a peer; None if it has no certificate. Raise Unauthenticated for an unknown one."""
        ...


class Authenticator:
    """Finds the principal of each call by the methods that are on. Lives on the event loop."""

    def __init__(
        self,
        tokens: Sequence[TokenMethod] = (),
        peers: PeerMethod | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tokens = tokens
        self._peers = peers
        self._now = now

    def authenticate(self, metadata: Metadata, peer: Peer) -> Found:
        """The principal of a call: of its bearer token if it has one, else of its client certificate.

        Raise Unauthenticated, also when the wait raises it. Its text holds no part of a credential.
        """
        token = _token_of(metadata)
        if token is None:
            return self._current(self._of_peer(peer))
        digest = sha256(token.encode()).digest()
        for method in self._tokens:
            found = method.find(token, digest)
            if isinstance(found, Principal):
                return self._current(found)
            if found is not None:
                return self._awaited(found)
        raise Unauthenticated("the bearer token is unknown to this server")

    async def _awaited(self, found: Awaitable[Principal]) -> Principal:
        return self._current(await found)

    def _of_peer(self, peer: Peer) -> Principal:
        principal = self._peers.find(peer()) if self._peers else None
        if principal is None:
            needed = "a bearer token" if self._tokens else ""
            certificate = "a client certificate" if self._peers else ""
            raise Unauthenticated(f"send {' or '.join(filter(None, (needed, certificate)))}")
        return principal

    def _current(self, principal: Principal) -> Principal:
        """The principal, unless its end has come."""
        end = principal.expires_at
        if end is not None and end <= self._now():
            raise Unauthenticated(f"the credential of {principal.name} ended at {end:%FT%TZ}")
        return principal


def _token_of(metadata: Metadata) -> str | None:
    """The bearer token of a call; None if it sends none."""
    token = None
    for key, value in metadata:
        if key == _HEADER:
            if token is not None:
                raise Unauthenticated("the call has several authorization entries; send one")
            if not isinstance(value, str) or value[:7].lower() != _SCHEME:
                raise Unauthenticated("the authorization entry must be Bearer and a token")
            token = value[7:].strip()
    return token
