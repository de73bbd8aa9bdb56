"""JSON web tokens: which are valid, and whom they name."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from runsvc.auth.json_web_tokens import Claims, JsonWebTokens, principal_of
from runsvc.auth.keys import Keys
from runsvc.auth.principal import Principal, Role
from runsvc.core.errors import Unauthenticated
from tests.support.identity_provider import AUDIENCE, ISSUER, Key, key_set, published

if TYPE_CHECKING:
    from pathlib import Path

NAMES = Claims(ISSUER, AUDIENCE)


class Clock:
    """Seconds that pass by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def key() -> Key:
    return Key()


@pytest.fixture
def tokens(tmp_path: Path, key: Key, clock: Clock) -> JsonWebTokens:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(key))
    return JsonWebTokens(Keys(str(file), clock), NAMES, clock)


async def found(tokens: JsonWebTokens, token: str) -> Principal | None:
    principal = tokens.find(token, sha256(token.encode()).digest())
    return principal if principal is None or isinstance(principal, Principal) else await principal


async def refusal(tokens: JsonWebTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await found(tokens, token)
    assert token not in str(caught.value)
    return caught.value.detail


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_valid_token_names_its_principal(
    tmp_path: Path, algorithm: str, clock: Clock
) -> None:
    key = Key("k", algorithm)
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(Key("other", algorithm), key))
    tokens = JsonWebTokens(Keys(str(file), clock), NAMES, clock)
    end = int(time.time()) + 100
    principal = await found(tokens, key.token(exp=end, roles="openid user reader"))
    roles = frozenset({Role.USER, Role.READER})
    # The leeway included.
    until = datetime.fromtimestamp(end + 30, UTC)
    assert principal == Principal("alice", roles, "alice", until, "jwt")


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({"exp": int(time.time()) - 31}, "the token has expired"),
        ({"nbf": int(time.time()) + 86_400}, "the token is not valid yet"),
        ({"aud": "another"}, "the token is for another audience"),
        ({"aud": None}, "lacks one of the claims exp, iss and aud"),
        ({"iss": "https://other.test/"}, "the token is of another issuer"),
        ({"iss": None}, "lacks one of the claims"),
        ({"exp": None}, "lacks one of the claims"),
        ({"exp": "soon"}, "the token is not valid"),
        ({"sub": None}, "the token's sub is no name"),
        ({"sub": "a b"}, "the token's sub is no name"),
    ],
)
async def test_a_token_with_other_claims_is_refused(
    tokens: JsonWebTokens, key: Key, claims: dict[str, Any], detail: str
) -> None:
    assert detail in await refusal(tokens, key.token(**claims))


async def test_clocks_may_differ_a_little(tokens: JsonWebTokens, key: Key) -> None:
    assert await found(tokens, key.token(exp=int(time.time()) - 20))
    assert await found(tokens, key.token(nbf=int(time.time()) + 20))


async def test_a_token_of_another_key_is_refused(tokens: JsonWebTokens, key: Key) -> None:
    assert await refusal(tokens, Key().token()) == "the token's signature is not valid"
    header, body, signature = key.token().split(".")
    other = base64.urlsafe_b64encode(json.dumps({"sub": "eve"}).encode()).decode().rstrip("=")
    assert "signature" in await refusal(tokens, f"{header}.{other}.{signature}")
    assert "no valid JWT" in await refusal(tokens, f"x.{body}.{signature}")


async def test_only_pinned_algorithms_are_accepted(tokens: JsonWebTokens) -> None:
    detail = "the token's algorithm must be one of RS256, ES256, EdDSA"
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": int(time.time()) + 9}
    assert await refusal(tokens, jwt.encode(claims, "", "none")) == detail
    forged = jwt.encode(claims, "s" * 32, "HS256", headers={"kid": "k1"})
    assert await refusal(tokens, forged) == detail
    # A key serves one algorithm only.
    other = Key("k1", "EdDSA").token()
    assert "does not publish the token's key" in await refusal(tokens, other)


async def test_a_key_with_too_few_bits_verifies_nothing(tmp_path: Path, clock: Clock) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    weak = Key("k", "RS256")
    weak.private = rsa.generate_private_key(65_537, 1_024)
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(weak))
    tokens = JsonWebTokens(Keys(str(file), clock), NAMES, clock)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = weak.token()
    assert await refusal(tokens, token) == "the token's key is too short"


async def test_a_text_of_another_form_is_of_another_method(tokens: JsonWebTokens) -> None:
    for token in ("runsvc_abc", "", "a.b", "a.b.c.d"):
        assert await found(tokens, token) is None
    assert "longer than" in await refusal(tokens, "a" * 20_000 + "..")


async def test_a_token_is_verified_again_after_a_minute_and_after_a_change_of_keys(
    tokens: JsonWebTokens, key: Key, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []
    decode = jwt.decode

    def counted(*arguments: Any, **more: Any) -> Any:
        verified.append(1)
        return decode(*arguments, **more)

    monkeypatch.setattr(jwt, "decode", counted)
    token = key.token()
    for seconds, count in ((0, 1), (59, 1), (1, 2), (1, 2)):
        clock.seconds += seconds
        await found(tokens, token)
        assert len(verified) == count
    tokens._keys.version += 1
    await found(tokens, token)
    assert len(verified) == 3


async def test_a_key_that_was_withdrawn_verifies_no_token_that_was_seen(clock: Clock) -> None:
    old, new = Key("old"), Key("new")
    with published(old) as publisher:
        keys = Keys(publisher.url, clock)
        tokens = JsonWebTokens(keys, NAMES, clock)
        token = old.token()
        assert await found(tokens, token)
        publisher.content = key_set(new)
        clock.seconds += 300
        await keys.reload()
        assert "does not publish" in await refusal(tokens, token)
        assert await found(tokens, new.token())


@pytest.mark.parametrize(
    ("names", "claims", "owner"),
    [
        (NAMES, {"sub": "al", "roles": ["user"]}, "al"),
        (NAMES, {"sub": "al", "roles": ["runsvc:reader", "x", 3]}, "al"),
        (NAMES, {"sub": "gw", "roles": ["service"]}, None),
        (NAMES, {"sub": "gw", "roles": ["worker", "user"]}, "gw"),
        (NAMES, {"sub": "al", "roles": []}, "al"),
        (NAMES, {"sub": "op", "roles": "admin user"}, None),
        (Claims("", "", "org"), {"sub": "al", "org": "acme", "roles": ["user"]}, "acme"),
        (Claims("", "", "org"), {"sub": "gw", "org": "acme", "roles": ["service"]}, "acme"),
        (Claims("", "", "org"), {"sub": "gw", "org": "*", "roles": ["service"]}, None),
        (Claims("", "", "x.y", "x.r"), {"sub": "a", "x": {"y": "o", "r": ["user"]}}, "o"),
        (Claims("", "", "sub", "https://x/r"), {"sub": "a", "https://x/r": ["user"]}, "a"),
        (NAMES, {"client_id": "gw", "roles": ["service"]}, None),
    ],
)
def test_the_owner_is_that_of_the_claim_and_the_roles(
    names: Claims, claims: dict[str, Any], owner: str | None
) -> None:
    principal = principal_of({"exp": 1, **claims}, names)
    assert principal.owner == owner
    assert principal.name == claims.get("sub", claims.get("client_id"))


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "al", "roles": ["user"]},
        {"sub": "al", "org": "*", "roles": ["user"]},
        {"sub": "al", "org": "*", "roles": []},
        {"sub": "gw", "roles": ["service"]},
        {"sub": "al", "org": ["a"], "roles": ["user"]},
        {"sub": "al", "org": "a b", "roles": ["user"]},
    ],
)
def test_a_token_without_the_owner_that_it_needs_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated, match="the token's claim org holds no owner"):
        principal_of({"exp": 1, **claims}, Claims("", "", "org"))


def test_unknown_roles_give_none() -> None:
    assert principal_of({"sub": "a", "exp": 1, "roles": {"user": 1}}, NAMES).roles == frozenset()
    assert principal_of({"sub": "a", "exp": 1}, NAMES).roles == frozenset()
