"""Failures of the SQLite store while it is open, its recovery, and the translation of errors."""

# ruff: noqa: ASYNC240 - these tests work on files; the loop has nothing else to do.

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.command import Command
from runsvc.commit.group_commit import GroupCommit
from runsvc.core.errors import (
    StoreBusy,
    StoreUnavailable,
)
from runsvc.core.model import RunSpec
from runsvc.store.sqlite import SqliteStore, writing
from runsvc.store.sqlite.connection import make_writer, translation
from tests.conformance.driver import CODEC, Driver
from tests.engines.files import execute, other_connection

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.commit.transaction import Transaction


async def test_a_lock_of_another_process_means_busy_until_it_is_released(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    with other_connection(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="locked"):
            store.writing.begin()
        # Readers are not affected.
        assert await store.reading.count_active() == 1
        with pytest.raises(StoreBusy):
            driver.create()
        other.execute("ROLLBACK")
    assert driver.create().revision == 2


async def test_a_lock_that_is_released_during_the_retries_causes_no_error(
    store: SqliteStore, path: Path
) -> None:
    with other_connection(path) as other:
        other.execute("BEGIN IMMEDIATE")
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                other.execute("ROLLBACK")

        driver = Driver(store)
        driver.group = GroupCommit(store.writing, CODEC, pause)
        assert driver.create().revision == 1
    assert pauses == [0.05, 0.1, 0.2]


async def test_a_locked_file_cannot_be_opened(path: Path) -> None:
    store = SqliteStore(path, CODEC)
    await store.open()
    await store.close()
    with other_connection(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE clock SET time = 1")
        other.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        other.execute("COMMIT")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE clock SET time = 2")
        with pytest.raises(StoreUnavailable):
            await store.open()
    await store.open()
    await store.close()


async def test_a_full_disk_means_unavailable_and_saves_nothing_until_there_is_room(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.create()

    def make_limited(connection: sqlite3.Connection) -> None:
        make_writer(connection)
        connection.execute("PRAGMA max_page_count = 1").fetchall()

    with monkeypatch.context() as patch:
        patch.setattr(writing, "make_writer", make_limited)
        store.writing._disconnect()
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="full"):
                driver.create("large", kwargs=bytes(100_000))
            assert await store.reading.count_active() == 1
            assert (await store.reading.clock()).revision == 1
            assert len(await store.reading.log_tail(9, 1 << 20)) == 1
        store.writing._disconnect()
    assert driver.create("large", kwargs=bytes(100_000)).revision == 2


async def test_a_failure_of_one_command_does_not_affect_the_others(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create()
    assert store.writing._connection is not None
    store.writing._connection.execute("PRAGMA max_page_count = 1").fetchall()

    def creating(kwargs: bytes) -> Command[None]:
        def decide(tx: Transaction) -> None:
            spec = RunSpec(thread_id="t", kwargs=kwargs)
            tx.create(spec, run_id=tx.new_run_id(), owner="o", request=None)

        return Command(decide)

    committed = driver.batch(creating(b""), creating(bytes(100_000)), creating(b""))
    # The first failure closed the connection that had the limit.
    assert [outcome.error for outcome in committed.outcomes] == [None] * 3
    assert await store.reading.count_active() == 4


async def test_a_read_only_connection_means_unavailable_and_is_reopened(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create()
    before = store.writing._connection
    assert before is not None
    before.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="readonly"):
        driver.create()
    assert store.writing._connection is None
    assert driver.create().revision == 2
    assert store.writing._connection is not before


async def test_a_connection_that_fails_at_the_clock_is_reopened(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    execute(path, "ALTER TABLE clock RENAME TO away")
    with pytest.raises(StoreUnavailable, match="no such table"):
        store.writing.begin()
    assert store.writing._connection is None
    with pytest.raises(StoreUnavailable, match="no such table"):
        store.writing.begin()
    with pytest.raises(StoreUnavailable, match="no such table"):
        await store.reading.count_active() and await store.reading.clock()
    execute(path, "ALTER TABLE away RENAME TO clock")
    assert driver.create().revision == 2
    assert (await store.reading.clock()).revision == 2


async def test_a_moved_file_means_unavailable_until_it_is_back(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    away = path.rename(path.with_name("away.db"))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="No such file"):
            driver.create()
    away.rename(path)
    assert driver.create().revision == 2
    assert (await store.reading.clock()).revision == 2


async def test_a_replaced_file_is_not_written(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    away = path.rename(path.with_name("away.db"))
    path.write_bytes(b"mine")
    with pytest.raises(StoreUnavailable, match="was replaced while it was in use"):
        driver.create()
    assert path.read_bytes() == b"mine"
    away.replace(path)
    assert driver.create().revision == 2


async def test_another_store_in_the_same_file_is_not_written(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    (store_id,) = execute(path, "SELECT store_id FROM clock")[0]
    execute(path, "UPDATE clock SET store_id = 'another'")
    store.writing._disconnect()
    with pytest.raises(StoreUnavailable, match="holds another store now"):
        driver.create()
    execute(path, f"UPDATE clock SET store_id = '{store_id}'")
    assert driver.create().revision == 2


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (sqlite3.SQLITE_BUSY_RECOVERY, StoreBusy),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, StoreBusy),
        (sqlite3.SQLITE_FULL, StoreUnavailable),
        (sqlite3.SQLITE_IOERR_WRITE, StoreUnavailable),
        (None, StoreUnavailable),
    ],
)
def test_errors_are_translated_by_their_code(
    code: int | None, kind: type[StoreUnavailable]
) -> None:
    error = sqlite3.OperationalError("a text that depends on the release")
    if code is not None:
        error.sqlite_errorcode = code
    assert type(translation(error)) is kind
    assert translation(error).detail == "a text that depends on the release"
