"""PostgreSQL: the user with least rights of docs/postgresql.md, and TLS to the database."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
import trustme

from runsvc.core.errors import StoreUnavailable
from runsvc.database_url import DatabaseUrl
from runsvc.store.postgres import PostgresStore, copy_into, migrate
from runsvc.store.sqlite.contents import locked_contents
from tests.conformance.driver import CODEC, Driver
from tests.support.calls import SUCCESS, call, created
from tests.support.filling import fill
from tests.support.postgres_binaries import find
from tests.support.postgres_keeper import Server
from tests.support.server import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).parents[2] / "docs" / "postgresql.md"


@pytest.fixture
def users(postgres: str, new_postgres_url: str) -> Iterator[tuple[str, str]]:
    """URLs of the owner of the tables and of the user of the servers, as the page creates them."""
    schema = new_postgres_url.rpartition("schema=")[2]
    _, _, after = PAGE.read_text("utf-8").partition("## A user with least rights")
    statements = re.search("```sql\n(.*?)```", after, re.DOTALL)
    assert statements is not None
    owner, user = f"{schema}_owner", schema
    # Names of their own, as other tests use the same database.
    ours = re.sub(r"\brunsvc(_owner)?\b", rf"{schema}\1", statements[1])
    with psycopg.connect(postgres, autocommit=True) as operator:
        operator.execute(ours.encode())
        try:
            yield as_user(new_postgres_url, owner), as_user(new_postgres_url, user)
        finally:
            for statement in (f"DROP SCHEMA {schema} CASCADE", f"DROP ROLE {owner}, {user}"):
                operator.execute(statement.encode())


def as_user(url: str, user: str) -> str:
    changed = re.sub("://[^:@/]+@", f"://{user}@", url)
    if changed == url:
        pytest.skip("the given server has passwords")
    return changed


async def test_servers_work_with_the_rights_of_the_page(users: tuple[str, str]) -> None:
    owner, user = users
    migrate(owner)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        execute(user, "CREATE TABLE more (id int)")
    async with in_process(DatabaseUrl(user), no_migrate=True) as client:
        run = await created(client, worker_id="w", lease_ttl={"seconds": 900})
        report = {"progress": {"total_tokens": 7}, "worker_id": "w"}
        await call(client, "UpdateProgress", run_id=run.run_id, **report)
        await call(client, "Complete", run_id=run.run_id, status=SUCCESS, worker_id="w")
        await call(client, "SetConcurrencyLimit", prefix="model/", width=3)
        await call(client, "Delete", run_id=run.run_id)
        assert (await call(client, "GetServerInfo")).current_revision == 3


def test_a_copy_works_with_the_rights_of_the_page(users: tuple[str, str], tmp_path: Path) -> None:
    owner, user = users
    migrate(owner)
    fill(tmp_path / "runs.db", 10)
    with locked_contents(tmp_path / "runs.db") as contents:
        assert copy_into(user, contents, lambda *_: None).runs == 10


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    base, _, schema = url.partition("?schema=")
    with psycopg.connect(base, options=f"-c search_path={schema}", autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return [] if cursor.description is None else cursor.fetchall()


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server with a certificate, and the authority that issued it."""
    binaries = find()
    if binaries is None:
        pytest.skip("needs the programs of PostgreSQL")
    authority, server = trustme.CA(), Server(binaries)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    try:
        server.start()
        data = server.folder / "data"
        issued.cert_chain_pems[0].write_to_path(data / "server.crt")
        issued.private_key_pem.write_to_path(data / "server.key")
        (data / "server.key").chmod(0o600)
        if binaries.user is not None:
            shutil.chown(data / "server.key", binaries.user)
        with psycopg.connect(server.url, autocommit=True) as operator:
            operator.execute("ALTER SYSTEM SET ssl = on")
            operator.execute("SELECT pg_reload_conf()")
        yield server.url, tmp_path / "ca.pem"
    finally:
        server.stop()


async def test_the_certificate_of_the_database_is_checked(
    encrypted: tuple[str, Path], tmp_path: Path
) -> None:
    url, authority = encrypted
    checked = f"{url}?sslmode=verify-full&sslrootcert="
    store = PostgresStore(f"{checked}{authority}", CODEC)
    await store.open()
    assert Driver(store).create().revision == 1
    connections = "pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'runsvc'"
    assert execute(url, f"SELECT DISTINCT ssl FROM {connections}") == [(True,)]
    await store.close()
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(StoreUnavailable, match="certificate verify failed"):
        await PostgresStore(f"{checked}{tmp_path / 'other.pem'}", CODEC).open()
    other_name = checked.replace("127.0.0.1", "localhost")
    with pytest.raises(StoreUnavailable, match="does not match host name"):
        await PostgresStore(f"{other_name}{authority}", CODEC).open()
