"""A store in SQLite, and a driver for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import CODEC, Driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, CODEC)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def driver(store: SqliteStore) -> Driver:
    return Driver(store)
