"""A scripted server, and both clients of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.both_clients import CLIENT_TYPES, make_client
from tests.support.scripted import Script, scripted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def target(script: Script) -> Iterator[str]:
    """Address of a server that plays the script."""
    with scripted(script) as target:
        yield target


@pytest.fixture(params=CLIENT_TYPES)
def kind(request: pytest.FixtureRequest) -> Any:
    """Each of both client classes."""
    return request.param


@pytest.fixture
async def client(kind: Any, target: str) -> AsyncIterator[Any]:
    """A client of the scripted server."""
    async with make_client(kind, target, token=None, tls_ca=None, timeout=None) as client:
        yield client
