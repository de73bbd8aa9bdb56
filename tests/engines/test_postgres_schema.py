"""PostgreSQL: the creation of the tables, their version, and what a server refuses at its start."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from runsvc import engines
from runsvc.core.errors import StoreRefused, StoreUnavailable
from runsvc.database_url import DatabaseUrl
from runsvc.settings import Settings
from runsvc.store import postgres
from runsvc.store.postgres import PostgresStore
from runsvc.store.postgres.schema import migrations
from runsvc.timekeeper import Timekeeper
from tests.conformance.driver import CODEC, Driver

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = len(migrations())


@pytest.fixture
def schema(new_postgres_url: str) -> str:
    return new_postgres_url.rpartition("schema=")[2]


@pytest.fixture
def operator(postgres: str, schema: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of another program, which has created the schema."""
    with psycopg.connect(postgres, autocommit=True) as operator:
        operator.execute(f"CREATE SCHEMA {schema}".encode())
        operator.execute(f"SET search_path = {schema}".encode())
        yield operator


async def refusal(url: str, **options: Any) -> str:
    store = PostgresStore(url, CODEC, **options)
    with pytest.raises(StoreRefused) as refused:
        await store.open()
    return str(refused.value)


async def test_several_servers_that_start_at_once_create_one_store(new_postgres_url: str) -> None:
    stores = [PostgresStore(new_postgres_url, CODEC) for _ in range(4)]
    await asyncio.gather(*(store.open() for store in stores))
    clocks = [await store.reading.clock() for store in stores]
    assert len(set(clocks)) == 1
    assert [Driver(store).create().revision for store in stores] == [1, 2, 3, 4]
    for store in stores:
        await store.close()


async def test_a_newer_schema_is_refused(
    new_postgres_url: str, operator: psycopg.Connection[Any]
) -> None:
    assert postgres.migrate(new_postgres_url) == VERSION
    operator.execute("INSERT INTO runsvc_schema (version) VALUES (%s)", (VERSION + 1,))
    message = await refusal(new_postgres_url)
    assert f"version {VERSION + 1}, this one knows {VERSION}): update runsvc" in message


async def test_without_migration_an_old_schema_is_refused(new_postgres_url: str) -> None:
    assert "run `runsvc admin migrate`" in await refusal(new_postgres_url, migrate=False)
    assert engines.migrate(DatabaseUrl(new_postgres_url)) == VERSION
    store = PostgresStore(new_postgres_url, CODEC, migrate=False)
    await store.open()
    await store.close()


async def test_tables_of_another_program_are_refused(
    new_postgres_url: str, operator: psycopg.Connection[Any]
) -> None:
    operator.execute("CREATE TABLE runs (id int)")
    message = await refusal(new_postgres_url)
    assert 'relation "runs" already exists: name a schema of its own' in message
    assert operator.execute("SELECT count(*) FROM runsvc_schema").fetchall() == [(0,)]


async def test_a_user_without_rights_is_refused(
    new_postgres_url: str, operator: psycopg.Connection[Any], schema: str
) -> None:
    operator.execute(f"CREATE ROLE {schema} LOGIN".encode())
    operator.execute(f"GRANT USAGE ON SCHEMA {schema} TO {schema}".encode())
    try:
        url = new_postgres_url.replace("://runsvc@", f"://{schema}@")
        if url == new_postgres_url:
            pytest.skip("the given server has users of its own")
        message = await refusal(url)
        assert "permission denied" in message
        assert "grant the user of --db" in message
    finally:
        operator.execute(f"DROP OWNED BY {schema}".encode())
        operator.execute(f"DROP ROLE {schema}".encode())


async def test_an_encoding_that_lacks_characters_is_refused(postgres: str, schema: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as operator:
        operator.execute(
            f"CREATE DATABASE {schema} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0".encode()
        )
        try:
            base, _, query = postgres.partition("?")
            url = f"{base.rpartition('/')[0]}/{schema}{'?' if query else ''}{query}"
            assert "create the database with the encoding UTF8" in await refusal(url)
        finally:
            operator.execute(f"DROP DATABASE {schema}".encode())


async def test_a_missing_database_is_refused(postgres: str) -> None:
    base, _, query = postgres.partition("?")
    url = f"{base.rpartition('/')[0]}/missing{'?' if query else ''}{query}"
    message = await refusal(url)
    assert 'database "missing" does not exist' in message
    assert "create the database first" in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@h/d?nonsense=1",
        "postgresql://u:secret@h/d?schema=No-Name",
        "postgresql://u:sec ret@[h/d",
    ],
)
def test_a_url_that_is_not_valid_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreRefused) as refused:
        PostgresStore(url, CODEC)
    assert "sec" not in str(refused.value)


async def test_a_database_out_of_reach_is_unavailable_without_the_password() -> None:
    store = PostgresStore("postgresql://u:secret@127.0.0.1:1/d?sslpassword=secret", CODEC)
    with pytest.raises(StoreUnavailable) as unavailable:
        await store.open()
    assert "127.0.0.1" in str(unavailable.value)
    assert "secret" not in str(unavailable.value)


def test_the_text_of_a_url_has_no_password() -> None:
    url = DatabaseUrl("postgresql://u:a:b@c@h:1,g:2/d?password=secret&schema=s")
    assert str(url) == "postgresql://u@h:1,g:2/d?schema=s"
    assert "secret" not in repr(url)
    assert "a:b" not in repr(Settings(db=url))


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("runsvc.store.postgres")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("runsvc.store.postgres")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    settings = Settings(db=DatabaseUrl("postgresql://u:secret@h/d"))
    with pytest.raises(StoreRefused, match=r"pip install '/path/to/runsvc\[server,postgres\]'"):
        engines.open_store(settings, Timekeeper())
