"""What every test of the service starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.server import in_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.server import Client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a fresh server with its store in a file."""
    async with in_process(tmp_path / "runs.db") as client:
        yield client
