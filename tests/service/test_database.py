"""`runsvc serve` and `runsvc admin` with a PostgreSQL database."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from click.testing import CliRunner

from runsvc.cli import main
from runsvc.database_url import DatabaseUrl
from tests.support.calls import call, created
from tests.support.server import Process, client_of

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


def with_password(url: str) -> str:
    """The URL with a password, which the server of the tests does not ask for."""
    scheme, _, rest = url.partition("://")
    user, _, place = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}:hunter2@{place}"


async def test_a_server_keeps_runs_in_a_database_and_its_password_to_itself(
    postgres_url: str,
) -> None:
    environment = {"RUNSVC_SERVE_DB": with_password(postgres_url)}
    command = ("serve", "--listen", "127.0.0.1:0", "--log-level", "debug")
    ids = []
    for _ in range(2):
        server = await started(environment, command)
        output = server.stdout
        assert output is not None
        line = (await output.readline()).decode()
        async with client_of(line.partition("serves on ")[2].split()[0]) as client:
            ids.append((await created(client)).run_id)
            for run_id in ids:
                assert (await call(client, "Get", run_id=run_id)).run.run_id == run_id
            assert (await call(client, "GetServerInfo")).store_kind == "postgresql"
        server.terminate()
        rest, _ = await server.communicate()
        assert await server.wait() == 0
        assert "hunter2" not in line + rest.decode()


async def started(
    environment: dict[str, str], command: tuple[str, ...]
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runsvc.cli", *command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
    )


def test_without_migration_a_server_refuses_a_database_without_tables(
    new_postgres_url: str,
) -> None:
    refused = run("serve", "--no-migrate", "--db", new_postgres_url, status=1)
    assert "run `runsvc admin migrate`" in refused


async def test_the_tables_can_be_created_apart_from_the_server(new_postgres_url: str) -> None:
    migrate = "admin", "migrate", "--db", new_postgres_url
    assert "has version" in await asyncio.to_thread(run, *migrate)
    place = DatabaseUrl(new_postgres_url)
    async with Process(place, "--no-migrate") as process, client_of(process.address) as client:
        assert (await created(client)).revision == 1


def test_commands_for_files_refuse_a_database_and_name_the_tool(tmp_path: Path) -> None:
    url = "postgresql://u:hunter2@h/d"
    for arguments, tool in (
        (("backup", tmp_path / "b.db", "--db", url), "pg_dump"),
        (("restore", tmp_path / "b.db", url), "pg_restore"),
    ):
        output = run("admin", *arguments, status=1)
        assert f"use {tool} of PostgreSQL" in output
        assert "hunter2" not in output


def test_a_file_is_not_migrated_by_a_command(tmp_path: Path) -> None:
    assert "`runsvc serve` migrates" in run("admin", "migrate", "--db", tmp_path / "a.db", status=1)
    refused = run("serve", "--no-migrate", "--db", tmp_path / "a.db", status=1)
    assert "--no-migrate needs a database" in refused
