"""The same tests for every store. Each test gets an empty store of each engine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.store.memory import MemoryStore
from runsvc.store.postgres import PostgresStore
from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import CODEC, Driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from runsvc.store.base import Store


@dataclass(frozen=True)
class StoreCase:
    """An engine; `durable` means that its data survives closing it."""

    name: str
    make: Callable[[Any], Store]
    durable: bool
    #: True if `make` takes the URL of a database, and not a folder.
    in_database: bool = False


CASES = (
    # Not durable by design: the data ends with the process.
    StoreCase("memory", lambda _: MemoryStore(), durable=False),
    StoreCase("sqlite", lambda folder: SqliteStore(folder / "runs.db", CODEC), durable=True),
    StoreCase("postgres", lambda url: PostgresStore(url, CODEC), durable=True, in_database=True),
)
DURABLE = tuple(case for case in CASES if case.durable)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> StoreCase:
    found: StoreCase = request.param
    return found


@pytest.fixture
def places(
    case: StoreCase, request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[], Path | str]:
    """A function that returns the place of an empty store: the argument of the case's `make`."""
    if case.in_database:
        urls: Callable[[], str] = request.getfixturevalue("postgres_urls")
        return urls
    return lambda: Path(tempfile.mkdtemp(dir=tmp_path))


@pytest.fixture
def place(places: Callable[[], Path | str]) -> Path | str:
    return places()


@pytest.fixture
async def store(case: StoreCase, place: object) -> AsyncIterator[Store]:
    store = case.make(place)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store)


@pytest.fixture
async def reopen(
    case: StoreCase, place: object, store: Store
) -> AsyncIterator[Callable[[], Awaitable[Store]]]:
    """Close the store and open another on the same data. For durable cases."""
    opened = [store]

    async def reopened() -> Store:
        await opened[-1].close()
        opened.append(case.make(place))
        await opened[-1].open()
        return opened[-1]

    yield reopened
    await opened[-1].close()
