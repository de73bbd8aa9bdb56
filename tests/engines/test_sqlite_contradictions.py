"""Stores that contradict themselves: a file that was put beside the `-wal` of another state is refused."""

# ruff: noqa: ASYNC240 - these tests work on files; the loop has nothing else to do.

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runsvc.core.errors import StoreUnavailable
from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import CODEC, SUCCESS, Driver
from tests.engines.files import execute, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = "restore a backup, and remove the -wal and -shm files beside it before"


def vacuum_into(source: Path, target: Path) -> None:
    execute(source, f"VACUUM INTO '{target}'")


def copy(source: Path, target: Path) -> None:
    execute(source, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(source, target)


async def mixed(path: Path, make_copy: Callable[[Path, Path], None], later: int) -> Path:
    """A backup that was put over a store after a crash, while the store's -wal was still there."""
    folder = path.parent / "mixed"
    folder.mkdir()
    target, backup = folder / path.name, folder / "backup.db"
    store = SqliteStore(path, CODEC)
    await store.open()
    driver = Driver(store)
    for _ in range(3):
        driver.report(driver.create(), SUCCESS)
    make_copy(path, backup)
    # At most a hundred commits. Those of many runs write more than the -wal holds between two checkpoints.
    threads = [f"t{number}" for number in range(later)]
    driver.create_many(threads, at_once=max(1, later // 100), kwargs=bytes(5_000))
    for suffix in ("-wal", ".lock"):
        shutil.copy(f"{path}{suffix}", f"{target}{suffix}")
    await store.close()
    backup.rename(target)
    return target


@pytest.mark.parametrize("make_copy", [vacuum_into, copy])
@pytest.mark.parametrize("later", [3, 300, 1_000])
async def test_a_backup_beside_an_old_write_ahead_log_is_refused_and_not_changed(
    path: Path, make_copy: Callable[[Path, Path], None], later: int
) -> None:
    target = await mixed(path, make_copy, later)
    before = target.read_bytes(), Path(f"{target}-wal").read_bytes()
    if make_copy is copy and later == 3:
        # All that the copy lacks is in the -wal: they belong together.
        store = SqliteStore(target, CODEC)
        await store.open()
        assert (await store.reading.clock()).revision == 9
        await store.close()
        return
    for _ in range(2):
        assert HINT in await refusal(target)
        assert (target.read_bytes(), Path(f"{target}-wal").read_bytes()) == before
    # As the message states.
    Path(f"{target}-wal").unlink()
    Path(f"{target}-shm").unlink()
    store = SqliteStore(target, CODEC)
    await store.open()
    assert (await store.reading.clock()).revision == 6
    await store.close()


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("UPDATE clock SET revision = 9", "the log does not end at the revision of the clock"),
        ("DELETE FROM log WHERE revision = 2", "the log has gaps"),
        ("UPDATE runs SET revision = 9 WHERE revision = 4", "an active run is newer"),
        ("UPDATE runs SET revision = 1", "the newest changes of the log"),
        ("DELETE FROM runs", "the newest changes of the log"),
    ],
)
async def test_a_clock_that_does_not_fit_the_log_or_the_runs_is_refused(
    store: SqliteStore, driver: Driver, path: Path, statement: str, detail: str
) -> None:
    for _ in range(4):
        driver.create()
    await store.close()
    execute(path, statement)
    found = await refusal(path)
    assert f"it contradicts itself ({detail}" in found
    assert HINT in found


async def test_compacted_and_deleted_entries_are_no_contradiction(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    ended = driver.report(driver.create(), SUCCESS)
    driver.create()
    driver.delete(ended)
    for forgotten in (2, 4):
        execute(path, f"DELETE FROM log WHERE revision <= {forgotten}")
        await store.close()
        await store.open()
    assert driver.create().revision == 5


@pytest.mark.parametrize("checkpoint", [True, False])
async def test_a_file_that_is_overwritten_while_it_is_served_is_not_written(
    store: SqliteStore, driver: Driver, path: Path, checkpoint: bool
) -> None:
    driver.create()
    backup = path.with_name("backup.db")
    vacuum_into(path, backup)
    driver.create()
    if checkpoint:
        execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(backup, path)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="another program wrote to its file"):
            driver.create()


async def test_a_checkpoint_of_another_program_is_harmless(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    for mode in ("PASSIVE", "FULL", "RESTART", "TRUNCATE"):
        driver.create()
        execute(path, f"PRAGMA wal_checkpoint({mode})")
    assert driver.create().revision == 5


async def test_checkpoints_of_the_writer_are_no_writes_of_others(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.writing._connection is not None
    store.writing._connection.execute("PRAGMA wal_autocheckpoint = 1").fetchall()
    monkeypatch.setattr(
        "runsvc.store.sqlite.file_guard.contradiction", lambda *_, **__: "was asked"
    )
    for revision in range(1, 9):
        assert driver.create().revision == revision
