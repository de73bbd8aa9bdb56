"""The same tests for every store. Each test gets an empty store of each engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from runsvc.store.memory import MemoryStore
from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import CODEC, Driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from runsvc.store.base import Store


@dataclass(frozen=True)
class StoreCase:
    """An engine; `durable` means that its data survives closing it."""

    name: str
    make: Callable[[Path], Store]
    durable: bool


CASES = (
    # Not durable by design: the data ends with the process.
    StoreCase("memory", lambda _: MemoryStore(), durable=False),
    StoreCase("sqlite", lambda folder: SqliteStore(folder / "runs.db", CODEC), durable=True),
)
DURABLE = tuple(case for case in CASES if case.durable)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> StoreCase:
    found: StoreCase = request.param
    return found


@pytest.fixture
async def store(case: StoreCase, tmp_path: Path) -> AsyncIterator[Store]:
    store = case.make(tmp_path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store)


@pytest.fixture
async def reopen(
    case: StoreCase, tmp_path: Path, store: Store
) -> AsyncIterator[Callable[[], Awaitable[Store]]]:
    """Close the store and open another on the same data. For durable cases."""
    opened = [store]

    async def reopened() -> Store:
        await opened[-1].close()
        opened.append(case.make(tmp_path))
        await opened[-1].open()
        return opened[-1]

    yield reopened
    await opened[-1].close()
