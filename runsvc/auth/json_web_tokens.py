"""JSON web tokens (JWT) of an identity provider. Signature, issuer, audience and times are always verified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jwt

from runsvc.auth.keys import ALGORITHMS, Keys
from runsvc.auth.principal import Principal, Role, is_name
from runsvc.core.errors import Unauthenticated
from runsvc.fifo_cache import FifoCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runsvc.auth.authenticator import Found

VIA: Final = "jwt"
#: How far the clocks of server and identity provider may differ.
LEEWAY: Final = timedelta(seconds=30)
#: Seconds after which a token is verified again, and the tokens that are remembered.
RECHECK: Final = 60.0
CAPACITY: Final = 10_000
#: Longest token, in characters.
_LONGEST: Final = 16_384
_LATEST: Final = datetime.max.replace(tzinfo=UTC)
_SUBJECT: Final = "sub"
_ROLES: Final = {prefix + role.value: role for role in Role for prefix in ("", "runsvc:")}
#: Roles that act for one owner.
_PERSONAL: Final = frozenset({Role.USER, Role.READER})


@dataclass(frozen=True)
class Claims:
    """What a token must name, and where its owner and roles are."""

    issuer: str
    audience: str
    owner: str = _SUBJECT
    roles: str = "roles"


class _Verified(NamedTuple):
    principal: Principal
    version: int
    until: float


class JsonWebTokens:
    """Verifies tokens, and remembers those that are valid. Lives on the event loop."""

    def __init__(self, keys: Keys, claims: Claims, now: Callable[[], float] = monotonic) -> None:
        self._keys = keys
        self._claims = claims
        self._now = now
        #: By the SHA-256 of a token: a verification costs a third of a call.
        self._verified = FifoCache[bytes, _Verified](CAPACITY)

    def find(self, token: str, digest: bytes) -> Found | None:
        """The principal of a token; None for another kind of token. Raise Unauthenticated for one that is not valid.

        A token with an unknown key waits for the keys to be fetched, at most every half a minute.
        """
        known = self._verified.get(digest)
        if known and known.version == self._keys.version and self._now() < known.until:
            return known.principal
        if token.count(".") != 2:
            return None
        key_id, algorithm = _header_of(token)
        key = self._keys.find(key_id, algorithm)
        if key is not None:
            return self._verify(token, digest, key)
        if (fetched := self._keys.ask()) is None:
            raise self._unknown_key()
        return self._find_later(token, digest, key_id, algorithm, fetched)

    async def _find_later(
        self,
        token: str,
        digest: bytes,
        key_id: str | None,
        algorithm: str,
        fetched: Awaitable[None],
    ) -> Principal:
        await fetched
        key = self._keys.find(key_id, algorithm)
        if key is None:
            raise self._unknown_key()
        return self._verify(token, digest, key)

    def _unknown_key(self) -> Unauthenticated:
        if self._keys.is_empty:
            return Unauthenticated("the keys of the identity provider are not available yet")
        return Unauthenticated("the identity provider does not publish the token's key")

    def _verify(self, token: str, digest: bytes, key: jwt.PyJWK) -> Principal:
        self._verified.pop(digest, None)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[*ALGORITHMS],
                audience=self._claims.audience,
                issuer=self._claims.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(_cause(error)) from None
        principal = principal_of(claims, self._claims)
        until = self._now() + RECHECK
        self._verified.keep(digest, _Verified(principal, self._keys.version, until))
        return principal


def principal_of(claims: dict[str, Any], names: Claims) -> Principal:
    """The principal of verified claims. Raise Unauthenticated if they name none.

    Roles user and reader need an owner; admin has every owner. Service and worker have every owner if the owner's
    claim is the subject, which every token has; else that claim must name an owner or *.
    """
    name = claims.get(_SUBJECT) or claims.get("client_id") or claims.get("azp")
    if not isinstance(name, str) or not is_name(name):
        raise Unauthenticated(
            "the token's sub is no name of at most 128 printable ASCII characters"
        )
    roles = _roles_of(_claim(claims, names.roles))
    return Principal(name, roles, _owner_of(claims, names, roles), _end_of(claims), VIA)


def _owner_of(claims: dict[str, Any], names: Claims, roles: frozenset[Role]) -> str | None:
    if Role.ADMIN in roles:
        return None
    if names.owner == _SUBJECT and roles and not roles & _PERSONAL:
        return None
    owner = _claim(claims, names.owner)
    if owner == "*" and roles and not roles & _PERSONAL:
        return None
    if not isinstance(owner, str) or not is_name(owner):
        raise Unauthenticated(f"the token's claim {names.owner} holds no owner")
    return owner


def _roles_of(claim: Any) -> frozenset[Role]:
    """The known roles in a list, or in a text with spaces as of a scope. Others belong to other services."""
    names = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    return frozenset(_ROLES[name] for name in names if isinstance(name, str) and name in _ROLES)


def _claim(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name, which may contain dots; else by its path, such as realm_access.roles."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _end_of(claims: dict[str, Any]) -> datetime:
    try:
        return datetime.fromtimestamp(int(claims["exp"]), UTC) + LEEWAY
    except (OverflowError, ValueError, OSError):
        return _LATEST


def _header_of(token: str) -> tuple[str | None, str]:
    """The key id and the algorithm that a token names."""
    if len(token) > _LONGEST:
        raise Unauthenticated(f"the token is longer than {_LONGEST:,} characters")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise Unauthenticated("the token is no valid JWT") from None
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise Unauthenticated(f"the token's algorithm must be one of {', '.join(ALGORITHMS)}")
    return header.get("kid"), algorithm


def _cause(error: jwt.PyJWTError) -> str:
    """Why a token is not valid, without its content."""
    return next(
        (text for kind, text in _CAUSES if isinstance(error, kind)), "the token is not valid"
    )


_CAUSES: Final[tuple[tuple[type[jwt.PyJWTError], str], ...]] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is for another audience"),
    (jwt.InvalidIssuerError, "the token is of another issuer"),
    (jwt.MissingRequiredClaimError, "the token lacks one of the claims exp, iss and aud"),
    (jwt.InvalidSignatureError, "the token's signature is not valid"),
    (jwt.InvalidKeyError, "the token's key is too short"),
)
