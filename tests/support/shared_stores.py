"""Stores that several servers share, of each engine that can be shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.store.memory import MemoryStore
from runsvc.store.memory.data import MemoryData
from runsvc.store.postgres import PostgresStore
from runsvc.wire.codec import RunCodec

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.store.base import Store


@pytest.fixture(params=["memory", "postgresql"])
def make_shared(request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Makes one more store over the same data, not yet open."""
    if request.param == "memory":
        data = MemoryData()
        return lambda: MemoryStore(shared=data)
    url = request.getfixturevalue("postgres_url")
    return lambda: PostgresStore(url, RunCodec())
