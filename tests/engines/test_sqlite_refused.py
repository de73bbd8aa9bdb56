"""Files that the SQLite store refuses to open, and locks of other servers."""

# ruff: noqa: ASYNC240 - these tests work on files; the loop has nothing else to do.

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from runsvc.core.errors import (
    RunsvcError,
    StoreRefused,
    StoreUnavailable,
)
from runsvc.store.sqlite import SqliteStore, schema
from runsvc.store.sqlite import lock as lock_module
from runsvc.store.sqlite.lock import ServerLock
from tests.conformance.driver import CODEC, Driver
from tests.engines.files import execute, other_connection, refusal


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 500)
    before = path.read_bytes()
    assert "it is not a database: name another file with --db" in await refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE cats (name)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"],
)
async def test_another_programs_database_is_refused_and_not_changed(
    path: Path, statement: str
) -> None:
    execute(path, statement)
    before = path.read_bytes()
    assert "it is another program's database: name another file" in await refusal(path)
    assert path.read_bytes() == before
    assert {found.name for found in path.parent.iterdir()} <= {"runs.db", "runs.db.lock"}


async def test_another_programs_write_ahead_log_is_not_changed(path: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    with other_connection(source) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("CREATE TABLE cats (name)")
        # The files that a crashed program leaves behind.
        for suffix in ("", "-wal"):
            shutil.copy(f"{source}{suffix}", f"{path}{suffix}")
    before = path.read_bytes()
    assert "another program's" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_newer_file_is_refused(path: Path) -> None:
    store = SqliteStore(path, CODEC)
    await store.open()
    await store.close()
    execute(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    sentence = await refusal(path)
    assert f"schema 99, this one knows {len(schema._migrations())}" in sentence
    assert sentence.endswith("update runsvc")
    assert path.read_bytes() == before


async def test_a_folder_is_refused(path: Path) -> None:
    path.mkdir()
    assert await refusal(path) == "it is a folder or a device: name a file with --db"


async def test_a_device_is_refused() -> None:
    assert await refusal(Path("/dev/null")) == "it is a folder or a device: name a file with --db"


async def test_a_file_with_a_second_name_is_refused(store: SqliteStore, path: Path) -> None:
    await store.close()
    other = path.with_name("other.db")
    other.hardlink_to(path)
    assert "it has a second name (a hard link)" in await refusal(other)


async def test_a_missing_parent_folder_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert (
        await refusal(missing / "runs.db")
        == f"the folder {missing} does not exist: create it first"
    )
    assert not missing.exists()


async def test_a_file_that_may_not_be_written_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "may not write it or its folder: grant write access" in await refusal(path)


async def test_a_lock_is_taken_again_after_its_file_was_removed(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    Path(f"{path}.lock").unlink()
    driver.create()
    assert "another server uses it" in await refusal(path)


async def test_a_second_server_is_refused_also_after_the_lock_file_was_removed(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    Path(f"{path}.lock").unlink()
    assert "another server uses it under another name" in await refusal(path)
    assert driver.create().revision == 1


async def test_a_server_stops_writing_after_another_took_its_lock(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    Path(f"{path}.lock").unlink()
    with (
        FileLock(f"{path}.lock", timeout=0),
        pytest.raises(StoreUnavailable, match="another server uses it"),
    ):
        driver.create()
    assert driver.create().revision == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux locks the file itself")
async def test_a_second_name_made_while_a_server_serves_is_refused(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    other = path.with_name("other") / path.name
    other.parent.mkdir()
    other.hardlink_to(path)
    lock = ServerLock(other)
    with pytest.raises(StoreRefused, match="another server uses it under another name"):
        lock.take()
    assert driver.create().revision == 1


async def test_the_lock_leaves_the_locks_of_sqlite_alone(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    """A second process sees the write lock of an open transaction."""
    program = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('DELETE FROM clock')"
    )
    store.writing.begin()
    with pytest.raises(StoreRefused):
        await SqliteStore(path, CODEC).open()
    ended = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await ended.communicate()
    store.writing.rollback()
    assert b"database is locked" in errors


async def test_a_file_that_is_a_mount_point_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "_mount_id", lambda descriptor: f"mnt_id: {descriptor}")
    assert "it is a mount point of its own" in await refusal(path)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs Linux and the right to mount"
)
async def test_a_file_mounted_over_another_is_refused(tmp_path: Path) -> None:
    """Both names in a mount namespace of their own, which ends with the process."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "runs.db").touch()
    serve = f"{sys.executable} -m runsvc.cli serve --listen 127.0.0.1:0 --db b/runs.db"
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-c", f"mount --bind a/runs.db b/runs.db && exec {serve}"),
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if errors.startswith((b"unshare:", b"mount:")):
        pytest.skip(f"cannot mount here: {errors.decode()}")
    assert process.returncode == 1
    assert b"mount its folder instead of the file" in errors


async def test_a_second_store_on_one_file_is_refused(store: SqliteStore, path: Path) -> None:
    taken = "another server uses it: stop that server, or name another file with --db"
    assert await refusal(path) == taken
    # Also under another name.
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(StoreRefused, match="another server uses it"):
        await SqliteStore(link, CODEC).open()
    Driver(store).create()


@pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="needs a folder in which no file can be created"
)
async def test_a_folder_without_room_for_a_lock_file_is_not_reported_as_another_server() -> None:
    assert "its lock, a file beside it, cannot be created" in await refusal(Path("/proc/runs.db"))


async def test_a_lock_file_that_cannot_be_created_is_refused(path: Path) -> None:
    Path(f"{path}.lock").mkdir()
    with pytest.raises(RunsvcError):
        await SqliteStore(path, CODEC).open()


async def test_a_damaged_file_is_refused(path: Path) -> None:
    store = SqliteStore(path, CODEC)
    await store.open()
    await store.close()
    damaged = path.read_bytes()
    path.write_bytes(damaged[:100] + b"\xff" * (len(damaged) - 100))
    assert "it is damaged (database disk image is malformed): restore" in await refusal(path)


async def test_a_file_without_its_tables_or_clock_is_refused(
    store: SqliteStore, path: Path
) -> None:
    await store.close()
    execute(path, "DELETE FROM clock")
    assert "it is damaged (no clock): restore a backup" in await refusal(path)
    execute(path, "DROP TABLE clock")
    assert "it is damaged (no such table: clock): restore a backup" in await refusal(path)


async def test_a_loop_of_symbolic_links_is_refused(path: Path) -> None:
    path.symlink_to(path)
    for name in (path, path / "runs.db"):
        with pytest.raises(StoreRefused, match="its symbolic links form a loop"):
            SqliteStore(name, CODEC)
