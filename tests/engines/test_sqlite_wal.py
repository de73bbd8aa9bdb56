"""The `-wal` of a SQLite store that is removed, replaced or cut while the store is open."""

# ruff: noqa: ASYNC240 - these tests work on files; the loop has nothing else to do.

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runsvc.core.errors import StoreRefused, StoreUnavailable
from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import CODEC, Driver
from tests.engines.files import execute

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 50


def remove(wal: Path) -> None:
    wal.unlink()


def replace(wal: Path) -> None:
    wal.rename(wal.with_name("old-wal"))
    wal.write_bytes(b"")


@pytest.mark.parametrize("lose", [remove, replace])
async def test_changes_of_a_lost_write_ahead_log_are_saved(
    store: SqliteStore, driver: Driver, path: Path, lose: Callable[[Path], None]
) -> None:
    for _ in range(RUNS):
        driver.create()
    store_id = (await store.reading.clock()).store_id
    lose(Path(f"{path}-wal"))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="were saved into the file: restart"):
            driver.create()
    assert await store.reading.count_active() == RUNS
    # As a crash leaves the files.
    crashed = path.with_name("crashed.db")
    shutil.copy(path, crashed)
    assert execute(crashed, "SELECT count(*) FROM runs") == [(RUNS,)]
    await store.close()
    await store.open()
    assert await store.reading.count_active() == RUNS
    assert (await store.reading.clock()).store_id == store_id
    assert driver.create().revision == RUNS + 1


@pytest.mark.parametrize("part", [0, 0.5])
async def test_a_write_ahead_log_that_was_cut_is_not_written(
    store: SqliteStore, driver: Driver, path: Path, part: float
) -> None:
    for _ in range(RUNS):
        driver.create()
    store_id = (await store.reading.clock()).store_id
    wal = Path(f"{path}-wal")
    os.truncate(wal, int(wal.stat().st_size * part))
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="was cut by another program"):
            driver.create()
    await store.close()
    outcome = await opened_again(path)
    assert outcome != store_id
    assert "restore a backup" in outcome or len(outcome) == len(store_id)


async def opened_again(path: Path) -> str:
    """The id under which the store is served; or why it is refused."""
    again = SqliteStore(path, CODEC)
    try:
        await again.open()
    except StoreRefused as refused:
        return refused.detail
    store_id = (await again.reading.clock()).store_id
    await again.close()
    return store_id


async def test_a_checkpoint_of_another_program_that_cuts_it_is_harmless(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    for _ in range(RUNS):
        driver.create()
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert Path(f"{path}-wal").stat().st_size == 0
    for revision in range(RUNS + 1, RUNS + 3):
        assert driver.create().revision == revision


async def test_a_write_ahead_log_is_guarded_after_a_connection_was_reopened(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    store.writing._disconnect()
    driver.create()
    Path(f"{path}-wal").unlink()
    with pytest.raises(StoreUnavailable, match="were saved into the file"):
        driver.create()
