"""Fixtures of the service tests."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from runsvc.store.sqlite import connection as sqlite_connection
from runsvc.store.sqlite import writing
from tests.support.server import in_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.support.server import Client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a fresh server with its store in a file."""
    async with in_process(tmp_path / "runs.db") as client:
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
