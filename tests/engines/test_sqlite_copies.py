"""Copies of a SQLite store get another store id; the store itself keeps its id across stops, crashes and upgrades."""

# ruff: noqa: ASYNC240 - these tests work on files; the loop has nothing else to do.

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from runsvc.store.sqlite import SqliteStore
from runsvc.store.sqlite.mark import Mark, decode
from tests.conformance.driver import CODEC, Driver
from tests.engines.files import execute

if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIXES = ("", "-wal", "-shm", ".lock")

#: Turn a store into one of a release that left no mark.
AGED: Final = (
    "DROP TABLE concurrency_limits",
    "ALTER TABLE runs DROP COLUMN result",
    "DROP INDEX log_by_owner",
    "PRAGMA user_version = 3",
)


async def opened(path: Path) -> str:
    """Open and close a store, and return its id."""
    store = SqliteStore(path, CODEC)
    await store.open()
    store_id = (await store.reading.clock()).store_id
    await store.close()
    return store_id


async def served(path: Path, runs: int = 3) -> str:
    """Create runs in a store that is stopped cleanly, and return its id."""
    store = SqliteStore(path, CODEC)
    await store.open()
    for _ in range(runs):
        Driver(store).create()
    store_id = (await store.reading.clock()).store_id
    await store.close()
    return store_id


async def crashed(path: Path, into: Path) -> Path:
    """Copy the files of a store with changes as a crash leaves them, each with its inode's content."""
    store = SqliteStore(path, CODEC)
    await store.open()
    for _ in range(3):
        Driver(store).create()
    into.mkdir()
    for suffix in SUFFIXES:
        shutil.copy(f"{path}{suffix}", f"{into / path.name}{suffix}")
    await store.close()
    return into / path.name


def vacuum_into(source: Path, target: Path) -> None:
    execute(source, f"VACUUM INTO '{target}'")


def backup_api(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def copy(source: Path, target: Path) -> None:
    shutil.copy(source, target)


COPIES = [vacuum_into, backup_api, copy]


@pytest.mark.parametrize("make_copy", COPIES)
@pytest.mark.parametrize("later", [0, 3])
async def test_a_copy_in_another_place_gets_another_id(
    path: Path, tmp_path: Path, make_copy: Callable[[Path, Path], None], later: int
) -> None:
    store_id = await served(path)
    make_copy(path, tmp_path / "copy.db")
    await served(path, later)
    copied = await opened(tmp_path / "copy.db")
    assert copied != store_id
    assert await opened(tmp_path / "copy.db") == copied
    assert await opened(path) == store_id


@pytest.mark.parametrize("make_copy", COPIES)
async def test_a_copy_that_replaces_the_store_gets_another_id(
    path: Path, tmp_path: Path, make_copy: Callable[[Path, Path], None]
) -> None:
    store_id = await served(path)
    make_copy(path, tmp_path / "copy.db")
    assert await served(path) == store_id
    # In place, so that the inode stays.
    path.write_bytes((tmp_path / "copy.db").read_bytes())
    restored = await opened(path)
    assert restored != store_id
    assert await served(path) == restored
    # The older history, once more.
    path.write_bytes((tmp_path / "copy.db").read_bytes())
    assert await opened(path) not in (store_id, restored)


@pytest.mark.parametrize("make_copy", COPIES)
async def test_a_copy_from_before_a_crash_gets_another_id(
    path: Path, tmp_path: Path, make_copy: Callable[[Path, Path], None]
) -> None:
    store_id = await served(path)
    make_copy(path, tmp_path / "copy.db")
    store = SqliteStore(path, CODEC)
    await store.open()
    Driver(store).create()
    lock = Path(f"{path}.lock").read_bytes()
    await store.close()
    # What the crash left, but for the -wal, which a restore removes.
    path.write_bytes((tmp_path / "copy.db").read_bytes())
    Path(f"{path}.lock").write_bytes(lock)
    assert await opened(path) != store_id


async def test_a_copied_folder_gets_another_id(path: Path, tmp_path: Path) -> None:
    store_id = await served(path)
    shutil.copytree(path.parent, tmp_path / "copied", ignore=shutil.ignore_patterns("copied"))
    assert await opened(tmp_path / "copied" / path.name) != store_id


async def test_a_store_keeps_its_id_after_a_crash(path: Path, tmp_path: Path) -> None:
    """The mark may be older than the store, but it is never ahead of it."""
    copied = await crashed(path, tmp_path / "crashed")
    found = decode(Path(f"{copied}.lock").read_bytes())
    assert found is not None
    assert found.commits == 3
    for commits in (3, 2, 0):
        mark = Mark(found.store_id, commits, copied.stat().st_ino)
        Path(f"{copied}.lock").write_bytes(mark.encode())
        assert await opened(copied) == found.store_id
    Path(f"{copied}.lock").write_bytes(mark._replace(commits=4).encode())
    assert await opened(copied) != found.store_id


async def test_a_renamed_folder_keeps_the_id(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    store_id = await served(folder / "runs.db")
    folder.rename(tmp_path / "two")
    assert await opened(tmp_path / "two" / "runs.db") == store_id


def make_older(path: Path) -> None:
    """Turn the file into one of a release without marks: the later migrations added a column and an index."""
    execute(path, *AGED)


async def test_a_store_of_an_older_release_keeps_its_id(path: Path) -> None:
    """Older releases left an empty lock file, or none."""
    store_id = await served(path)
    make_older(path)
    Path(f"{path}.lock").write_bytes(b"")
    assert await opened(path) == store_id
    make_older(path)
    Path(f"{path}.lock").unlink()
    assert await opened(path) == store_id
    assert await opened(path) == store_id


async def test_a_backup_of_an_older_release_gets_another_id(path: Path, tmp_path: Path) -> None:
    store_id = await served(path)
    make_older(path)
    vacuum_into(path, tmp_path / "copy.db")
    assert await opened(tmp_path / "copy.db") != store_id


@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xff", b"a b c", b"0 " * 99])
async def test_a_lock_file_without_a_mark_means_a_copy(path: Path, content: bytes) -> None:
    store_id = await served(path)
    Path(f"{path}.lock").write_bytes(content)
    assert await opened(path) != store_id


async def test_a_lock_file_that_is_removed_while_the_store_is_open_gets_the_mark_again(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    store_id = (await store.reading.clock()).store_id
    Path(f"{path}.lock").unlink()
    store.writing.begin()
    store.writing.rollback()
    await store.close()
    assert await opened(path) == store_id
