"""The file of the SQLite store: connections, schema, constraints, and closing."""

# ruff: noqa: ASYNC240 - these tests work on files; the loop has nothing else to do.

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from runsvc.commit.command import Command
from runsvc.core import lifecycle
from runsvc.core.errors import (
    StoreRefused,
)
from runsvc.core.model import Progress, Run
from runsvc.store.queries import ById
from runsvc.store.sqlite import SqliteStore, schema
from runsvc.store.sqlite.connection import connect
from runsvc.store.sqlite.schema import APPLICATION_ID
from tests.conformance.driver import CODEC, RUNNING, SUCCESS, Driver, a_request
from tests.engines.files import clear_cache, execute, pragma, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.commit.transaction import Transaction


SECOND = timedelta(seconds=1)


def test_the_writer_is_durable(store: SqliteStore) -> None:
    writer = store.writing._connection
    assert pragma(writer, "journal_mode") == "wal"
    assert pragma(writer, "synchronous") == 2  # FULL
    assert pragma(writer, "foreign_keys") == 1
    assert pragma(writer, "journal_size_limit") == 64 << 20
    assert pragma(writer, "application_id") == APPLICATION_ID
    assert pragma(writer, "user_version") == len(schema._migrations())


async def test_readers_neither_write_nor_checkpoint(store: SqliteStore) -> None:
    assert pragma(store.reading._inline, "query_only") == 1
    assert pragma(store.reading._inline, "wal_autocheckpoint") == 0
    assert store.reading._pages is not None
    assert store.reading._log is not None
    assert await store.reading._pages.fetch("PRAGMA query_only") == [(1,)]
    (row,) = await store.reading._log.execute_fetchall("PRAGMA query_only")
    assert tuple(row) == (1,)


async def test_an_empty_file_is_migrated(path: Path) -> None:
    path.touch()
    store = SqliteStore(path, CODEC)
    await store.open()
    assert (await store.reading.clock()).revision == 0
    await store.close()
    assert execute(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    tables = execute(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    assert [name for (name,) in tables] == [
        "activity",
        "attachments",
        "clock",
        "concurrency_limits",
        "log",
        "runs",
    ]


async def test_a_store_keeps_its_id_and_another_gets_its_own(path: Path, tmp_path: Path) -> None:
    ids = []
    for name in (path, path, tmp_path / "another.db"):
        store = SqliteStore(name, CODEC)
        await store.open()
        ids.append((await store.reading.clock()).store_id)
        await store.close()
    assert ids[0] == ids[1] != ids[2]


async def test_a_migration_that_fails_leaves_an_empty_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ["CREATE TABLE clock (id INTEGER);\nCREATE TABLE clock (id INTEGER);\n"]
    with monkeypatch.context() as patch:
        patch.setattr("runsvc.store.sqlite.schema._migrations", lambda: broken)
        with pytest.raises(StoreRefused, match="already exists"):
            await SqliteStore(path, CODEC).open()
    assert execute(path, "SELECT * FROM sqlite_schema") == []
    store = SqliteStore(path, CODEC)
    await store.open()
    await store.close()


async def test_an_older_file_is_migrated_to_the_current_version(
    store: SqliteStore, driver: Driver, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.create()
    store_id = (await store.reading.clock()).store_id
    await store.close()
    scripts = [*schema._migrations(), "CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT;\n"]
    monkeypatch.setattr(schema, "_migrations", lambda: scripts)
    await store.open()
    assert pragma(store.writing._connection, "user_version") == len(scripts)
    assert (await store.reading.clock()).store_id == store_id
    assert await store.reading.get(run.run_id, None) is not None
    await store.close()
    assert execute(path, "SELECT count(*) FROM more") == [(0,)]


@pytest.mark.parametrize(
    ("table", "assignment", "complaint"),
    [
        ("runs", "status = 0", "CHECK"),
        ("runs", "status = 8", "CHECK"),
        ("runs", "status = 3", "CHECK"),
        ("runs", "ended_at = 5", "CHECK"),
        ("runs", "revision = 0", "CHECK"),
        ("runs", "request_id = NULL", "CHECK"),
        ("runs", "spec_hash = NULL", "CHECK"),
        ("runs", "body = NULL", "NOT NULL"),
        ("runs", "created_at = 'noon'", "cannot store TEXT"),
        ("activity", "progress_sequence = -1", "CHECK"),
        ("activity", "lease_ttl = 1", "CHECK"),
        ("activity", "body = NULL", "NOT NULL"),
        ("activity", "run_id = 'unknown'", "FOREIGN KEY"),
    ],
)
async def test_invalid_values_are_refused_by_the_file(
    store: SqliteStore, path: Path, table: str, assignment: str, complaint: str
) -> None:
    Driver(store).create(request=a_request("id"))
    with pytest.raises(sqlite3.IntegrityError, match=complaint):
        execute(path, "PRAGMA foreign_keys = ON", f"UPDATE {table} SET {assignment}")


async def test_a_run_and_its_activity_are_removed_together(driver: Driver, path: Path) -> None:
    kept, removed = driver.create(), driver.report(driver.create(), SUCCESS)
    driver.delete(removed)
    assert execute(path, "SELECT run_id FROM activity") == [(kept.run_id,)]


def written_by(store: SqliteStore, work: Callable[[], object]) -> set[tuple[str, str]]:
    """The statements that the writer runs: the verb and the table of each."""
    statements: list[str] = []
    store.writing._connected().set_trace_callback(statements.append)
    work()
    store.writing._connected().set_trace_callback(None)
    words = (statement.split() for statement in statements)
    return {(word[0], word[2 if word[0] == "INSERT" else 1]) for word in words if len(word) > 1}


def test_a_change_of_the_activity_alone_does_not_write_the_row_of_the_run(
    store: SqliteStore, driver: Driver
) -> None:
    run = driver.report(driver.create(worker_id=None, lease_ttl=SECOND), RUNNING)
    report = written_by(store, lambda: driver.progress(run, 1))
    assert {("UPDATE", "activity"), ("UPDATE", "clock")} <= report
    assert ("UPDATE", "runs") not in report
    ending = written_by(store, lambda: driver.report(run, SUCCESS))
    assert {("UPDATE", "activity"), ("UPDATE", "runs"), ("INSERT", "log")} <= ending


def progress_of(run: Run, tokens: int) -> Command[None]:
    query, report = ById(run.run_id, None), Progress(total_tokens=tokens)

    def decide(tx: Transaction) -> None:
        before = tx.run(query)
        tx.save(before, lifecycle.report_progress(before, report, tx.stamp(), worker_id=None))

    return Command(decide, (query,))


def model_name_of(run: Run, name: str) -> Command[None]:
    query = ById(run.run_id, None)

    def decide(tx: Transaction) -> None:
        before = tx.run(query)
        tx.save(before, lifecycle.rename_model(before, name, tx.stamp()))

    return Command(decide, (query,))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
async def test_changes_of_body_and_activity_in_one_batch_are_both_stored(
    store: SqliteStore, driver: Driver, order: tuple[int, ...]
) -> None:
    run = driver.report(driver.create(), RUNNING)
    commands = [progress_of(run, 1), model_name_of(run, "m"), progress_of(run, 2)]
    committed = driver.batch(*(commands[number] for number in order))
    assert [outcome.error for outcome in committed.outcomes] == [None] * 3
    clear_cache(store)
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    stored = CODEC.decode(record)
    assert stored.model_name == "m"
    assert stored.progress == Progress(total_tokens=(1, 2, 2)[order[-1]])


async def test_a_duplicate_request_id_is_refused_and_nothing_is_saved(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create(request=a_request("id"))
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        driver.create(request=a_request("id"))
    assert await store.reading.count_active() == 1
    assert driver.create(request=a_request("another")).revision == 2


async def test_the_write_ahead_log_is_merged_at_close(path: Path) -> None:
    store = SqliteStore(path, CODEC)
    await store.open()
    Driver(store).create()
    assert Path(f"{path}-wal").stat().st_size > 0
    await store.close()
    assert not Path(f"{path}-wal").exists()
    assert execute(path, "SELECT count(*) FROM runs") == [(1,)]


async def test_the_lock_file_is_released_at_close(path: Path) -> None:
    store = SqliteStore(path, CODEC)
    await store.open()
    await store.close()
    with FileLock(f"{path}.lock", timeout=0):
        pass


async def test_the_lock_file_is_released_when_opening_fails(path: Path) -> None:
    execute(path, "CREATE TABLE cats (name)")
    await refusal(path)
    with FileLock(f"{path}.lock", timeout=0):
        pass


def test_a_path_may_have_reserved_characters_of_uris(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=ro&b#c%20d e.db"
    with closing(connect(path, mode="rwc")) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert path.exists()


def test_connecting_creates_no_file_unless_asked(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect(path)
    assert not path.exists()


async def test_new_files_are_for_their_owner_only(path: Path) -> None:
    """Runs hold prompts. A store that exists keeps its mode."""
    before = os.umask(0o022)
    try:
        store = SqliteStore(path, CODEC)
        await store.open()
        Driver(store).create()
        modes = {found.name: found.stat().st_mode & 0o777 for found in path.parent.iterdir()}
        assert modes == {f"runs.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm", ".lock")}
        await store.close()
        path.chmod(0o640)
        await store.open()
        await store.close()
        assert path.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


async def test_no_connection_needs_a_temporary_file(store: SqliteStore, path: Path) -> None:
    assert pragma(store.writing._connection, "temp_store") == 2  # MEMORY
    assert pragma(store.reading._inline, "temp_store") == 2
    pages, log = store.reading._pages, store.reading._log
    assert pages is not None
    assert log is not None
    for found in (
        await pages.fetch("PRAGMA temp_store"),
        await log.execute_fetchall("PRAGMA temp_store"),
    ):
        assert [tuple(row) for row in found] == [(2,)]
    with closing(connect(path, mode="ro")) as other:
        assert pragma(other, "temp_store") == 2
