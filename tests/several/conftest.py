"""Fixtures of the tests of several servers over one store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.several import servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from runsvc.store.base import Store
    from tests.support.server import Client
    from tests.support.several import Servers


@pytest.fixture
async def every(make_shared: Callable[[], Store]) -> AsyncIterator[Servers]:
    """Servers over one store."""
    async with servers(make_shared, attach_grace=0.5, reconnect_grace=1.0) as every:
        yield every


@pytest.fixture
async def clients(every: Servers) -> Sequence[Client]:
    """Clients of three servers over one store."""
    return [await every.start() for _ in range(3)]
