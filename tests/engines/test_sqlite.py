"""What only the SQLite store has: the file, its pragmas, and the ways in which a disk fails."""

# ruff: noqa: ASYNC240 - files are what is tested here; the loop has nothing else to do.

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from runsvc.commit.command import Command, ExclusiveCommand
from runsvc.commit.group_commit import GroupCommit
from runsvc.core.errors import (
    CorruptRow,
    OutcomeUnknown,
    RunsvcError,
    StoreBusy,
    StoreRefused,
    StoreUnavailable,
)
from runsvc.core.model import RunSpec
from runsvc.store.attachments import Abandoned, Attach
from runsvc.store.base import Changes
from runsvc.store.queries import DueLeases, DueTimeouts, PageQuery
from runsvc.store.sqlite import SqliteStore, schema, writing
from runsvc.store.sqlite.connection import connect, make_writer, translation
from runsvc.store.sqlite.schema import APPLICATION_ID
from runsvc.watch.hub import StatusHub
from runsvc.wire.codec import RunCodec
from tests.conformance.driver import ALL, CODEC, RUNNING, SUCCESS, Driver, a_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Run
    from runsvc.store.base import Record

SECOND = timedelta(seconds=1)
EVER = timedelta.max


@contextmanager
def other_connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection


def execute(path: Path, *statements: str) -> list[Any]:
    rows: list[Any] = []
    with other_connection(path) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


def pragma(connection: sqlite3.Connection | None, name: str) -> object:
    assert connection is not None
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return value


async def refusal(path: Path) -> str:
    """The sentence with which opening this path is refused."""
    store = SqliteStore(path, CODEC)
    with pytest.raises(StoreRefused) as caught:
        await store.open()
    assert caught.value.path == str(path)
    assert str(caught.value).startswith(f"Cannot use {path}: ")
    with pytest.raises(StoreUnavailable):
        store.writing.begin()
    with pytest.raises(StoreUnavailable):
        await store.reading.clock()
    return caught.value.detail


# The file and its connections.


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
    for connection in (store.reading._pages, store.reading._log):
        assert connection is not None
        (row,) = await connection.execute_fetchall("PRAGMA query_only")
        assert tuple(row) == (1,)


async def test_an_empty_file_is_migrated(path: Path) -> None:
    path.touch()
    store = SqliteStore(path, CODEC)
    await store.open()
    assert (await store.reading.clock()).revision == 0
    await store.close()
    assert execute(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    tables = execute(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    assert tables == [("activity",), ("attachments",), ("clock",), ("log",), ("runs",)]


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


async def test_an_older_file_is_brought_to_the_present_version(
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
    assert await store.reading.get(run.run_id) is not None
    await store.close()
    assert execute(path, "SELECT count(*) FROM more") == [(0,)]


@pytest.mark.parametrize(
    ("table", "assignment", "complaint"),
    [
        ("runs", "status = 0", "CHECK"),
        ("runs", "status = 7", "CHECK"),
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
async def test_the_file_refuses_what_must_not_be(
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
    """The kinds of statements that the writer runs, each with its table."""
    statements: list[str] = []
    store.writing._connected().set_trace_callback(statements.append)
    work()
    store.writing._connected().set_trace_callback(None)
    words = (statement.split() for statement in statements)
    return {(word[0], word[2 if word[0] == "INSERT" else 1]) for word in words if len(word) > 1}


def test_a_change_of_the_activity_alone_leaves_the_row_of_the_run(
    store: SqliteStore, driver: Driver
) -> None:
    run = driver.report(driver.create(worker_id=None, lease_ttl=SECOND), RUNNING)
    report = written_by(store, lambda: driver.progress(run, 1))
    assert {("UPDATE", "activity"), ("UPDATE", "clock")} <= report
    assert ("UPDATE", "runs") not in report
    ending = written_by(store, lambda: driver.report(run, SUCCESS))
    assert {("UPDATE", "activity"), ("UPDATE", "runs"), ("INSERT", "log")} <= ending


async def test_a_duplicate_request_id_is_refused_and_nothing_is_saved(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create(request=a_request("id"))
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        driver.create(request=a_request("id"))
    assert await store.reading.count_active() == 1
    assert driver.create(request=a_request("another")).revision == 2


# What is refused.


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 500)
    before = path.read_bytes()
    assert "it is not a database: name another file with --db" in await refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE cats (name)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"],
)
async def test_another_programs_database_is_refused_and_left_as_it_is(
    path: Path, statement: str
) -> None:
    execute(path, statement)
    before = path.read_bytes()
    assert "it is another program's database: name another file" in await refusal(path)
    assert path.read_bytes() == before
    assert {found.name for found in path.parent.iterdir()} <= {"runs.db", "runs.db.lock"}


async def test_another_programs_write_ahead_log_is_left_as_it_is(
    path: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source.db"
    with other_connection(source) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("CREATE TABLE cats (name)")
        # As a program that crashed leaves them.
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


async def test_a_lock_whose_file_was_removed_is_taken_anew(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    Path(f"{path}.lock").unlink()
    driver.create()
    assert "another server uses it" in await refusal(path)


async def test_a_server_whose_lock_another_has_taken_no_longer_writes(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    Path(f"{path}.lock").unlink()
    other = SqliteStore(path, CODEC)
    await other.open()
    with pytest.raises(StoreUnavailable, match="another server uses it"):
        driver.create()
    await other.close()
    assert driver.create().revision == 1


async def test_a_second_store_on_one_file_is_refused(store: SqliteStore, path: Path) -> None:
    taken = "another server uses it: stop that server, or name another file with --db"
    assert await refusal(path) == taken
    # By whatever name it is called.
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(StoreRefused, match="another server uses it"):
        await SqliteStore(link, CODEC).open()
    Driver(store).create()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that takes no files")
async def test_a_folder_that_takes_no_lock_file_is_no_other_server() -> None:
    assert "its lock, a file beside it, cannot be created" in await refusal(Path("/proc/runs.db"))


async def test_a_lock_file_that_cannot_be_made_is_refused(path: Path) -> None:
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


async def test_a_row_with_damaged_columns_is_corrupt_and_can_be_removed(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    run, other = driver.create(), driver.create()
    await store.close()
    await store.open()
    execute(path, f"UPDATE runs SET created_at = {2**63 - 1} WHERE run_id = '{run.run_id}'")
    with pytest.raises(CorruptRow):
        await store.reading.get(run.run_id)
    with pytest.raises(CorruptRow):
        driver.report(run, SUCCESS)
    driver.delete(run)
    assert [state.run_id for state in (await store.reading.snapshot(ALL)).states] == [other.run_id]


def _due(
    query: DueLeases | DueTimeouts | Abandoned, tx: ExclusiveTransaction
) -> list[Run | CorruptRow]:
    return list(tx.due(query))


def test_a_row_with_damaged_columns_does_not_hide_others_that_are_due(
    driver: Driver, path: Path
) -> None:
    terms: Any = {"worker_id": "w", "lease_ttl": SECOND, "start_timeout": SECOND}
    run, other = driver.create(**terms), driver.create(**terms)
    attached = [Attach(each.run_id, each.run_id, "", run.created_at) for each in (run, other)]
    driver.carry_out(Command(lambda tx: tx.attach(*attached)))
    execute(path, f"UPDATE runs SET created_at = {2**62} WHERE run_id = '{run.run_id}'")
    at = other.created_at + SECOND
    for query in (DueLeases(at, EVER, 9), DueTimeouts(at, 9), Abandoned(at, "s", 9)):
        found = driver.carry_out(ExclusiveCommand(partial(_due, query), (query,)))
        assert other in found
        (corrupt,) = [each for each in found if isinstance(each, CorruptRow)]
        assert corrupt.run_id == run.run_id


async def test_a_damaged_entry_is_corrupt_for_those_who_read_it(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    execute(path, "PRAGMA ignore_check_constraints = ON", "UPDATE log SET status = 99")
    with pytest.raises(CorruptRow):
        await store.reading.log_tail(9, 1 << 20)
    hub = StatusHub(store.reading)
    await hub.start()
    assert (hub.ring.floor, hub.ring.revision) == (1, 1)


# Closing.


async def test_the_write_ahead_log_is_folded_in_at_close(path: Path) -> None:
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


# Failing and recovering.


async def test_a_lock_of_another_process_is_busy_until_it_goes(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    with other_connection(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="locked"):
            store.writing.begin()
        # Readers do not mind.
        assert await store.reading.count_active() == 1
        with pytest.raises(StoreBusy):
            driver.create()
        other.execute("ROLLBACK")
    assert driver.create().revision == 2


async def test_a_lock_that_goes_during_the_pauses_goes_unnoticed(
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


async def test_a_full_disk_is_unavailable_and_saves_nothing_until_there_is_room(
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


async def test_what_fails_for_one_does_not_fail_for_the_others(
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
    # The connection with the limit was closed by the first failure.
    assert [outcome.error for outcome in committed.outcomes] == [None] * 3
    assert await store.reading.count_active() == 4


async def test_a_read_only_connection_is_unavailable_and_opened_anew(
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


async def test_a_connection_that_broke_while_reading_the_clock_is_opened_anew(
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


async def test_a_file_that_was_moved_away_is_unavailable_until_it_is_back(
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


async def test_a_file_that_was_replaced_is_not_written(
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


async def test_a_damaged_body_is_a_corrupt_row(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    run = driver.create()
    await store.close()
    await store.open()
    execute(path, "UPDATE runs SET body = x'ffff'", "UPDATE log SET body = x'ffff'")
    record = await store.reading.get_without_kwargs(run.run_id)
    assert record is not None
    (entry,) = (await store.reading.log_since(ALL, 0, 9)).entries
    for subject in (record, entry):
        with pytest.raises(CorruptRow, match=run.run_id):
            CODEC.decode(subject)
    with pytest.raises(CorruptRow):
        driver.cancel(run)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET body = x'ffff'",
        "UPDATE activity SET body = x'ffff'",
        "UPDATE runs SET kwargs = x'ffff'",
        "UPDATE runs SET revision = 9",
    ],
)
async def test_a_corrupt_row_is_refused_each_time_it_is_read(
    store: SqliteStore, driver: Driver, path: Path, statement: str
) -> None:
    run = driver.create()
    await store.close()
    await store.open()
    execute(path, statement)
    for _ in range(2):
        with pytest.raises(CorruptRow, match=run.run_id):
            await store.reading.get(run.run_id)


@pytest.mark.parametrize("limit", [9, 99])
@pytest.mark.parametrize("part", ["runs", "activity"])
async def test_a_page_with_a_corrupt_row_is_refused_each_time_it_is_read(
    store: SqliteStore, driver: Driver, path: Path, limit: int, part: str
) -> None:
    run, _ = driver.create(), driver.create()
    await store.close()
    await store.open()
    execute(path, f"UPDATE {part} SET body = x'ffff' WHERE run_id = '{run.run_id}'")
    query = PageQuery(owner="o", thread_id="t", limit=limit, max_bytes=1 << 20)
    with pytest.raises(CorruptRow):
        driver.cancel(run)
    for _ in range(2):
        with pytest.raises(CorruptRow, match=run.run_id):
            await store.reading.page(query)


async def test_a_record_is_checked_once_and_then_cached(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [driver.create(kwargs=b"\x0a\x00") for _ in range(3)]
    await store.close()
    await store.open()
    checked: list[str] = []

    class CountingCodec(RunCodec):
        def check(self, record: Record) -> None:
            checked.append(record.run_id)
            super().check(record)

    monkeypatch.setattr(store.reading, "_codec", CountingCodec())
    query = PageQuery(owner="o", thread_id="t", limit=9, max_bytes=1 << 20)
    for _ in range(2):
        await store.reading.page(query)
    assert sorted(checked) == [run.run_id for run in runs]
    checked.clear()
    for _ in range(2):
        # The kwargs were not read before.
        assert await store.reading.get(runs[0].run_id) is not None
    assert checked == [runs[0].run_id]


# Commits whose fate has to be found out.


class FailingCommit:
    """A connection whose COMMIT fails, after or before it took effect."""

    def __init__(self, real: sqlite3.Connection, *, happens: bool, also: Callable[[], object]):
        self._real = real
        self._happens = happens
        self._also = also
        self.code: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement != "COMMIT":
            return self._real.execute(statement, *parameters)
        if self._happens:
            self._real.execute(statement)
        self._also()
        error = sqlite3.OperationalError("disk I/O error")
        if self.code is not None:
            error.sqlite_errorcode = self.code
        raise error


def fail_commits(
    store: SqliteStore, *, happens: bool, also: Callable[[], object] = bool
) -> FailingCommit:
    assert store.writing._connection is not None
    failing = FailingCommit(store.writing._connection, happens=happens, also=also)
    store.writing._connection = failing  # type: ignore[assignment]
    return failing


async def test_a_commit_that_failed_but_happened_is_a_success(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create()
    fail_commits(store, happens=True)
    run = driver.create()
    assert await store.reading.get(run.run_id) is not None
    assert store.writing._connection is None
    assert driver.create().revision == 3


async def test_a_commit_that_did_not_happen_is_unavailable(
    store: SqliteStore, driver: Driver
) -> None:
    driver.create()
    fail_commits(store, happens=False)
    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        driver.create()
    assert await store.reading.count_active() == 1
    assert driver.create().revision == 2


async def test_a_commit_that_was_locked_out_is_busy_and_keeps_its_connection(
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
async def test_a_commit_whose_fate_cannot_be_found_out_is_unknown(
    store: SqliteStore, driver: Driver, path: Path, *, happens: bool
) -> None:
    driver.create()
    away = path.with_name("away.db")
    fail_commits(store, happens=happens, also=lambda: path.rename(away))
    with pytest.raises(OutcomeUnknown):
        driver.create()
    assert store.writing._connection is None
    away.rename(path)
    # Nobody heard of it, but the revisions go on behind it.
    assert driver.create().revision == 2 + happens


async def test_the_fate_of_a_commit_is_not_asked_of_another_store(
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


# Translation.


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
def test_failures_are_told_apart_by_their_code(
    code: int | None, kind: type[StoreUnavailable]
) -> None:
    error = sqlite3.OperationalError("words that change with the release")
    if code is not None:
        error.sqlite_errorcode = code
    assert type(translation(error)) is kind
    assert translation(error).detail == "words that change with the release"


def test_a_path_may_hold_what_a_uri_reserves(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=ro&b#c%20d e.db"
    with closing(connect(path, create=True)) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert path.exists()


def test_connecting_creates_no_file_unless_asked(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect(path)
    assert not path.exists()
