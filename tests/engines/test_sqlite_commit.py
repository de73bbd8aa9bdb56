"""Commits and rollbacks of the SQLite store that fail, and commits with an unknown outcome."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from runsvc.core.errors import (
    OutcomeUnknown,
    StoreBusy,
    StoreUnavailable,
)
from runsvc.store.sqlite import SqliteStore
from runsvc.store.values import Changes
from tests.conformance.driver import CODEC, Driver
from tests.engines.files import fail_commits


async def test_a_commit_that_raised_but_took_effect_is_a_success(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create()
    fail_commits(store, happens=True)
    run = driver.create()
    assert await store.reading.get(run.run_id, None) is not None
    assert store.writing._connection is None
    assert driver.create().revision == 3


async def test_a_commit_without_effect_means_unavailable(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create()
    fail_commits(store, happens=False)
    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        driver.create()
    assert await store.reading.count_active() == 1
    assert driver.create().revision == 2


async def test_a_locked_commit_means_busy_and_keeps_its_connection(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create()
    fail_commits(store, happens=False).code = sqlite3.SQLITE_BUSY_SNAPSHOT
    now = store.writing.begin()
    store.writing.save(Changes(time=now.time, revision=now.revision))
    with pytest.raises(StoreBusy):
        store.writing.commit()
    assert store.writing._connection is not None
    assert not store.writing._connection.in_transaction
    store.writing._disconnect()
    assert driver.create().revision == 2


@pytest.mark.parametrize("happens", [True, False])
async def test_a_commit_is_unknown_if_its_outcome_cannot_be_determined(
    store: SqliteStore, driver: Driver, path: Path, *, happens: bool
) -> None:
    driver.create()
    away = path.with_name("away.db")
    fail_commits(store, happens=happens, also=lambda: path.rename(away))
    with pytest.raises(OutcomeUnknown):
        driver.create()
    assert store.writing._connection is None
    away.rename(path)
    # It was not reported, but the next revision follows it.
    assert driver.create().revision == 2 + happens


async def test_the_outcome_of_a_commit_is_not_read_from_another_store(
    store: SqliteStore, driver: Driver, path: Path, tmp_path: Path
) -> None:
    another = SqliteStore(tmp_path / "another.db", CODEC)
    await another.open()
    for _ in range(3):
        Driver(another).create()
    await another.close()
    driver.create()

    def replace() -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").rename(f"{path}{suffix}.away")
        shutil.copy(tmp_path / "another.db", path)

    fail_commits(store, happens=False, also=replace)
    with pytest.raises((OutcomeUnknown, StoreUnavailable)):
        driver.create()


async def test_a_rollback_that_fails_closes_the_connection(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create()
    assert store.writing._connection is not None
    close_real = store.writing._connection.close

    class FailingRollback:
        in_transaction = True
        close = staticmethod(close_real)

        def execute(self, statement: str) -> None:
            raise sqlite3.OperationalError(statement)

    store.writing._connection = FailingRollback()  # type: ignore[assignment]
    store.writing.rollback()
    assert store.writing._connection is None
    assert driver.create().revision == 2


async def test_after_a_failure_the_rest_of_the_transaction_is_unavailable(
    store: SqliteStore, driver: Driver
) -> None:
    now = store.writing.begin()
    store.writing._disconnect()
    with pytest.raises(StoreUnavailable):
        store.writing.save(Changes(now.time, 1))
    with pytest.raises(StoreUnavailable):
        store.writing.commit()
    store.writing.rollback()
    assert driver.create().revision == 1
