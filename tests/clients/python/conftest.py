"""Both clients, and a real server that can be killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.both_clients import CLIENT_TYPES, make_client
from tests.support.server import Client, Process, client_of
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    """A server in its own process."""
    async with Process(tmp_path / "runs.db") as process:
        yield process


@pytest.fixture(params=CLIENT_TYPES)
def kind(request: pytest.FixtureRequest) -> Any:
    """Each of both client classes."""
    return request.param


@pytest.fixture
async def client(kind: Any, process: Process) -> AsyncIterator[Any]:
    """A client of the server."""
    async with make_client(
        kind, process.address, token=None, tls_ca=None, timeout=PATIENCE
    ) as client:
        yield client


@pytest.fixture
async def others(process: Process) -> AsyncIterator[Client]:
    """A client of other callers."""
    async with client_of(process.address) as others:
        yield others
