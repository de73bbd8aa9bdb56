"""From the metadata and the peer of a call to its principal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.auth.authenticator import Authenticator
from runsvc.auth.principal import Principal, Role
from runsvc.core.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ALICE = Principal("alice", frozenset({Role.USER}), "alice", None, "token")
BOB = Principal("bob", frozenset({Role.USER}), "bob", None, "certificate")


class Tokens:
    """A method with one token."""

    def __init__(self, token: str, principal: Principal, later: bool = False) -> None:
        self._token = token
        self._principal = principal
        self._later = later

    def find(self, token: str, digest: bytes) -> Any:
        assert len(digest) == 32
        if token != self._token:
            return None
        return self._wait() if self._later else self._principal

    async def _wait(self) -> Principal:
        return self._principal


class Peers:
    """A method that knows one peer."""

    def find(self, peer: Mapping[str, Iterable[bytes]]) -> Principal | None:
        return BOB if "certificate" in peer else None


def no_peer() -> dict[str, list[bytes]]:
    return {}


def bob() -> dict[str, list[bytes]]:
    return {"certificate": []}


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("user-agent", "x"), ("authorization", f"Bearer {token}"))


def refusal(authenticator: Authenticator, metadata: Any, peer: Any = no_peer) -> str:
    with pytest.raises(Unauthenticated) as caught:
        authenticator.authenticate(metadata, peer)
    return caught.value.detail


@pytest.fixture
def both() -> Authenticator:
    return Authenticator([Tokens("a", ALICE)], Peers(), lambda: NOW)


def test_a_token_counts_before_a_certificate(both: Authenticator) -> None:
    assert both.authenticate(bearer("a"), bob) is ALICE
    assert both.authenticate((("authorization", "bearer  a "),), bob) is ALICE
    assert both.authenticate((), bob) is BOB


def test_a_bad_token_does_not_fall_back_to_the_certificate(both: Authenticator) -> None:
    assert refusal(both, bearer("wrong"), bob) == "the bearer token is unknown to this server"


@pytest.mark.parametrize("value", ["Basic YTpi", "a", "", b"Bearer a"])
def test_another_scheme_is_refused_without_its_content(
    both: Authenticator, value: str | bytes
) -> None:
    assert refusal(both, (("authorization", value),)).endswith("must be Bearer and a token")


def test_two_entries_are_refused(both: Authenticator) -> None:
    assert "several" in refusal(both, (*bearer("a"), *bearer("a")))


def test_a_call_without_credential_is_refused_with_the_methods_that_are_on() -> None:
    tokens, peers = [Tokens("a", ALICE)], Peers()
    assert refusal(Authenticator(tokens), ()) == "send a bearer token"
    assert refusal(Authenticator((), peers), ()) == "send a client certificate"
    both = "send a bearer token or a client certificate"
    assert refusal(Authenticator(tokens, peers), ()) == both


async def test_a_principal_that_is_found_later_is_awaited() -> None:
    authenticator = Authenticator([Tokens("a", ALICE), Tokens("b", BOB, later=True)])
    found = authenticator.authenticate(bearer("b"), no_peer)
    assert not isinstance(found, Principal)
    assert await found is BOB


@pytest.mark.parametrize("later", [False, True])
async def test_a_credential_that_has_ended_is_refused(later: bool) -> None:
    async def found(left: int) -> Principal:
        end = NOW + timedelta(microseconds=left)
        method = Tokens("a", Principal("alice", frozenset(), "alice", end), later)
        found = Authenticator([method], now=lambda: NOW).authenticate(bearer("a"), no_peer)
        return found if isinstance(found, Principal) else await found

    assert (await found(1)).name == "alice"
    with pytest.raises(Unauthenticated, match="of alice ended at 2026-11-28T00:00:00Z"):
        await found(0)
