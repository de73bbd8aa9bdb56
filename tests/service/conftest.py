"""Fixtures of the service tests."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from runsvc.store.sqlite import connection as sqlite_connection
from runsvc.store.sqlite import writing
from tests.support.engines import place_on
from tests.support.server import in_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.support.engines import StorePlace
    from tests.support.server import Client


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module that names ENGINES on each of them. Others run on SQLite."""
    engines = getattr(metafunc.module, "ENGINES", None)
    if engines is not None and "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", engines, indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def db(engine: str, request: pytest.FixtureRequest) -> StorePlace:
    """The place of an empty store."""
    return place_on(engine, request)


@pytest.fixture
async def client(db: StorePlace) -> AsyncIterator[Client]:
    """A client of a fresh server with an empty store."""
    async with in_process(db) as client:
        yield client


@pytest.fixture
def pragmas(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has every statement run on the server's writing connections, the present one and those to come."""
    connections: list[sqlite3.Connection] = []
    present: list[str] = []
    make_writer = sqlite_connection.make_writer

    def recorded(connection: sqlite3.Connection) -> None:
        make_writer(connection)
        for pragma in present:
            connection.execute(pragma)
        connections.append(connection)

    def run(*statements: str) -> None:
        present[:] = statements
        # A connection that failed is closed; the next one is opened when it is needed.
        with suppress(sqlite3.ProgrammingError):
            for statement in statements:
                connections[-1].execute(statement)

    monkeypatch.setattr(writing, "make_writer", recorded)
    return run
