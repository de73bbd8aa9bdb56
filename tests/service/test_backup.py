"""`runsvc admin backup` while a server serves, and `runsvc admin restore`."""

# ruff: noqa: ASYNC240 - these tests work on files; the loop has nothing else to do.

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from runsvc.cli import main
from tests.support.calls import call, created
from tests.support.server import Process, client_of, in_process


def run(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["admin", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


async def test_a_store_is_backed_up_while_it_is_served_and_restored(tmp_path: Path) -> None:
    db, backup = tmp_path / "runs.db", tmp_path / "backup.db"
    async with Process(db) as process:
        async with client_of(process.address) as client:
            for _ in range(3):
                await created(client)
            first = await call(client, "GetServerInfo")
            await asyncio.to_thread(run, "backup", backup, "--db", db)
            for _ in range(3):
                await created(client)
            refusal = await asyncio.to_thread(run, "restore", backup, db, status=1)
            assert "another server uses it" in refusal
        # The -wal stays.
        await process.kill()
    assert backup.stat().st_mode & 0o777 == 0o600
    assert Path(f"{db}-wal").stat().st_size > 0
    run("restore", backup, db)
    assert not Path(f"{db}-wal").exists()
    async with in_process(db) as client:
        info = await call(client, "GetServerInfo")
        assert (info.current_revision, info.active_runs) == (3, 3)
        assert info.store_id != first.store_id


async def test_a_backup_has_its_own_store_id(tmp_path: Path) -> None:
    db, ids = tmp_path / "runs.db", []
    async with in_process(db) as client:
        await created(client)
    for number in range(2):
        run("backup", tmp_path / f"{number}.db", "--db", db)
    for path in (db, tmp_path / "0.db", tmp_path / "1.db"):
        with closing(sqlite3.connect(path)) as connection:
            ids.append(connection.execute("SELECT store_id FROM clock").fetchone())
    assert len(set(ids)) == 3
    assert {found.name for found in tmp_path.iterdir()} >= {"0.db", "1.db"}
    assert not list(tmp_path.glob("*.partial*"))


async def test_restoring_creates_a_store_that_does_not_exist(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        await created(client)
    run("restore", db, tmp_path / "new.db")
    async with in_process(tmp_path / "new.db") as client:
        assert (await call(client, "GetServerInfo")).active_runs == 1


@pytest.mark.parametrize("name", ["missing.db", "text.db", "cats.db", "damaged.db"])
async def test_a_file_that_is_no_usable_store_is_refused_and_nothing_changes(
    tmp_path: Path, name: str
) -> None:
    db, bad = tmp_path / "runs.db", tmp_path / name
    async with in_process(db) as client:
        await created(client)
    if name == "text.db":
        bad.write_text("Dear diary")
    elif name == "cats.db":
        with closing(sqlite3.connect(bad)) as connection:
            connection.execute("CREATE TABLE cats (name)")
    elif name == "damaged.db":
        content = db.read_bytes()
        bad.write_bytes(content[:4096] + bytes(len(content) - 4096))
    before = db.read_bytes()
    assert f"Cannot use {bad}" in run("restore", bad, db, status=1).replace("\n", " ")
    assert f"Cannot use {bad}" in run("backup", tmp_path / "b.db", "--db", bad, status=1)
    assert db.read_bytes() == before
    run("restore", bad, tmp_path / "new.db", status=1)
    assert {found.name for found in tmp_path.glob("*.db")} <= {"runs.db", name}


async def test_an_existing_file_is_not_overwritten_by_a_backup(tmp_path: Path) -> None:
    db, taken = tmp_path / "runs.db", tmp_path / "taken.db"
    async with in_process(db):
        pass
    taken.write_text("mine")
    assert "it exists already: name a new file" in run("backup", taken, "--db", db, status=1)
    assert taken.read_text() == "mine"
    assert "it is the backup itself" in run("restore", db, db, status=1)
