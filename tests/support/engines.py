"""The engines on which a server is tested."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

from runsvc.database_url import DatabaseUrl
from runsvc.store.postgres.place import place as postgres_place

if TYPE_CHECKING:
    import pytest

#: Where a store is, as in --db.
StorePlace: TypeAlias = Path | DatabaseUrl

EVERY_ENGINE = ("sqlite", "postgres")


def place_on(engine: str, request: pytest.FixtureRequest) -> StorePlace:
    """The place of an empty store."""
    if engine == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        return folder / "runs.db"
    return DatabaseUrl(request.getfixturevalue("postgres_url"))


def argument(place: StorePlace) -> str:
    """The value of --db, with a password if there is one."""
    return place.url if isinstance(place, DatabaseUrl) else str(place)


Run: TypeAlias = Callable[[str], list[Any]]


@contextmanager
def opened(place: StorePlace) -> Iterator[Run]:
    """A connection of another program: a function that runs a statement and returns its rows."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(place, isolation_level=None)) as file:
            yield lambda statement: file.execute(statement).fetchall()
        return
    where = postgres_place(place.url)
    with psycopg.connect(**where.parameters, autocommit=True) as database:

        def run(statement: str) -> list[Any]:
            cursor = database.execute(statement.encode())
            return [] if cursor.description is None else cursor.fetchall()

        yield run


@contextmanager
def locked(place: StorePlace) -> Iterator[None]:
    """Keep the lock that every writer needs."""
    with opened(place) as run:
        if isinstance(place, Path):
            run("BEGIN IMMEDIATE")
        else:
            run("BEGIN")
            run("SELECT 1 FROM clock FOR UPDATE")
        yield
