"""Migration of stores of older releases: they get the current schema, and keep their data."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value

from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, StoreRefused
from runsvc.core.model import Progress, RunSpec, RunStatus, Stamp
from runsvc.store import rows as rows_of
from runsvc.store.queries import DueLeases
from runsvc.store.sqlite import SqliteStore, schema
from runsvc.v1 import run_pb2
from runsvc.wire.convert import to_message
from tests.conformance.driver import ALL, CODEC, Driver
from tests.support.calls import PENDING, RUNNING, SUCCESS, call
from tests.support.server import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runsvc.core.model import Run

RELEASE_0_1_0 = Path(__file__).with_name("release_0_1_0.sql").read_text("utf-8")
SUCCEEDED = "01a21045-cf91-7fe7-b1ed-562a4e5b04a6"
WAITING = "01a21045-cfae-7999-acd8-907fbcaedea8"
LEASE = timedelta(seconds=30)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KWARGS = b"\x0a\x00"
METADATA = Struct(fields={"k": Value(string_value="x" * 300)}).SerializeToString()
#: The request that created the run that succeeded.
REQUEST = {
    "request_id": "q-1",
    "spec": {
        "thread_id": "chat-1",
        "assistant_id": "writer",
        "metadata": {"team": "blue"},
        "kwargs": {"prompt": "Hello"},
    },
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(RELEASE_0_1_0)
        # As every store that was served.
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def rows(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def schema_of(path: Path) -> Mapping[tuple[str, str], Sequence[Any]]:
    """Text and columns of every table and index, and the schema version."""
    found: dict[tuple[str, str], Sequence[Any]] = {
        ("pragma", ""): rows(path, "PRAGMA user_version")
    }
    for kind, name, sql in rows(path, "SELECT type, name, sql FROM sqlite_schema"):
        details = "table_xinfo" if kind == "table" else "index_xinfo"
        found[kind, name] = (sql, rows(path, f"PRAGMA {details}({name})"))
    return found


def wholes(path: Path) -> list[run_pb2.Run]:
    """The messages of all stored runs, each from its two rows."""
    statement = (
        "SELECT runs.body, activity.body FROM runs JOIN activity USING (run_id) ORDER BY runs.rowid"
    )
    return [run_pb2.Run.FromString(body + activity) for body, activity in rows(path, statement)]


async def migrate(path: Path) -> None:
    store = SqliteStore(path, CODEC)
    await store.open()
    await store.close()


async def test_a_migrated_store_has_the_schema_of_a_fresh_one(old: Path, tmp_path: Path) -> None:
    before = schema_of(old)
    fresh = tmp_path / "fresh.db"
    await migrate(old)
    await migrate(fresh)
    assert schema_of(old) == schema_of(fresh) != before
    assert rows(old, "PRAGMA integrity_check") == [("ok",)]
    assert rows(old, "PRAGMA foreign_key_check") == []


#: Columns that a run keeps in its row, from 0.1.0 on.
COLUMNS = (
    "run_id, owner, thread_id, assistant_id, status, revision, created_at, started_at, ended_at, "
    "timeout_at, superseded_by, request_method, request_id, spec_hash, kwargs"
)


async def test_a_migrated_store_keeps_every_row(old: Path) -> None:
    statements = ("SELECT * FROM clock", f"SELECT {COLUMNS} FROM runs", "SELECT * FROM log")
    clock, runs, log = (rows(old, statement) for statement in statements)
    activity = rows(old, "SELECT run_id, lease_expires_at, NULL, progress_sequence FROM runs")
    bodies = rows(old, "SELECT body FROM runs")
    time = clock[0][3]
    await migrate(old)
    assert rows(old, "SELECT * FROM clock") == clock
    assert rows(old, f"SELECT {COLUMNS} FROM runs") == runs
    columns = "run_id, lease_expires_at, lease_ttl, progress_sequence"
    assert rows(old, f"SELECT {columns} FROM activity") == activity
    assert wholes(old) == [run_pb2.Run.FromString(body) for (body,) in bodies]
    # No entry counts as older than it can be.
    assert rows(old, "SELECT * FROM log") == [(*row, time) for row in log]


async def test_a_migrated_log_is_read_as_before(old: Path) -> None:
    store = SqliteStore(old, CODEC)
    await store.open()
    entries = (await store.reading.log_since(ALL._replace(scope=""), 0, 9)).entries
    assert [(entry.run_id, entry.status) for entry in entries] == [
        (SUCCEEDED, PENDING),
        (SUCCEEDED, RUNNING),
        (SUCCEEDED, SUCCESS),
        (WAITING, PENDING),
    ]
    await store.close()


async def test_a_store_of_0_1_0_can_be_served(old: Path) -> None:
    async with in_process(old) as client:
        run = (await call(client, "Get", run_id=SUCCEEDED)).run
        assert (run.status, run.worker_id, run.kwargs["prompt"]) == (SUCCESS, "w-1", "Hello")
        again = await call(client, "Create", **REQUEST)
        assert (again.replayed, again.run.run_id) == (True, SUCCEEDED)
        await call(
            client, "SetStatus", run_id=WAITING, status=RUNNING, worker_id="w", lease_ttl=LEASE
        )
        spec = {"thread_id": "chat-3", "worker_id": "w", "lease_ttl": LEASE}
        leased = (await call(client, "Create", spec=spec)).run
        assert leased.revision == 6
    leases = rows(old, "SELECT run_id, lease_ttl FROM activity WHERE lease_ttl > 0 ORDER BY run_id")
    assert leases == [(WAITING, 30_000_000), (leased.run_id, 30_000_000)]


# From the schema before the activity had a table of its own.


def lives() -> Iterator[Run]:
    """Yield 2,000 runs in every stage, with leases, progress and sequences."""
    for number in range(1, 2_001):
        time = BEGIN + number * timedelta(milliseconds=1)
        at = Stamp(number, time)
        spec = RunSpec(
            thread_id=f"t{number % 7}", worker_id="w", lease_ttl=LEASE, metadata=METADATA
        )
        run = lifecycle.create(spec, run_id=f"r{number:05}", owner="o", at=at)
        if number % 4:
            run = lifecycle.report(run, RunStatus.RUNNING, at, worker_id="w")
            report = Progress(total_tokens=number, last_ai_message="m" * number)
            run = lifecycle.report_progress(
                run, report, Stamp(number, time + LEASE), worker_id="w", sequence=number
            )
        if number % 4 == 2:
            run = lifecycle.report(run, RunStatus.SUCCESS, at, worker_id="w")
        yield run


def with_schema_2(path: Path, runs: Sequence[Run]) -> None:
    """Make a store as the releases before 0003_activity.sql wrote it."""
    with closing(sqlite3.connect(path)) as file:
        for script in schema._migrations()[:2]:
            file.executescript(script)
        file.execute("INSERT INTO clock VALUES (1, 's', ?, 0, 0)", (len(runs),))
        columns = f"{COLUMNS}, lease_expires_at, lease_ttl, progress_sequence, body"
        marks = ", ".join("?" * len(columns.split(",")))
        file.executemany(f"INSERT INTO runs ({columns}) VALUES ({marks})", map(schema_2_row, runs))
        attachments = [(run.run_id, run.run_id, "s", 1) for run in runs[:9]]
        file.executemany("INSERT INTO attachments VALUES (?, ?, ?, ?)", attachments)
        file.commit()
        file.execute("PRAGMA user_version = 2")
        file.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")


def schema_2_row(run: Run) -> tuple[object, ...]:
    lease = None if run.status.terminal else run.lease
    times = (time and rows_of.microseconds(time) for time in (run.started_at, run.ended_at))
    return (
        *(run.run_id, run.owner, run.thread_id, run.assistant_id, int(run.status), run.revision),
        *(rows_of.microseconds(run.created_at), *times),
        *(None, None, None, None, None, KWARGS),
        lease and rows_of.microseconds(lease.expires_at),
        lease and rows_of.duration_value(lease.ttl),
        run.progress_sequence,
        to_message(run).SerializeToString(),
    )


async def test_a_large_store_keeps_leases_progress_and_times(path: Path) -> None:
    runs = list(lives())
    with_schema_2(path, runs)
    attachments = rows(path, "SELECT * FROM attachments")
    store = SqliteStore(path, CODEC)
    await store.open()
    for run in runs:
        record = await store.reading.get(run.run_id, None)
        assert record is not None
        # A PENDING run of an earlier release can be claimed.
        turn = 0 if run.status is RunStatus.PENDING else None
        assert (CODEC.decode(record), record.kwargs) == (replace(run, turn=turn), KWARGS)
    found = Driver(store).load(DueLeases(BEGIN + timedelta(days=1), LEASE, 3_000))
    assert [record.run_id for record in found] == [
        run.run_id for run in runs if not run.status.terminal
    ]
    await store.close()
    assert rows(path, "SELECT * FROM attachments") == attachments
    assert wholes(path) == list(map(to_message, runs))
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "PRAGMA foreign_key_check") == []


async def test_a_migrated_store_of_schema_2_has_the_schema_of_a_fresh_one(
    path: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh.db"
    with_schema_2(path, list(lives())[:9])
    await migrate(path)
    await migrate(fresh)
    assert schema_of(path) == schema_of(fresh)


@pytest.mark.parametrize("damage", [b"\xff", b"", b"\x0a\x05r-1"])
async def test_a_corrupt_row_stays_corrupt_and_can_be_removed(path: Path, damage: bytes) -> None:
    damaged, sound = list(lives())[1:3]
    with_schema_2(path, [damaged, sound])
    with closing(sqlite3.connect(path)) as file:
        statement = "UPDATE runs SET body = ? WHERE run_id = ?"
        file.execute(statement, (damage, damaged.run_id))
        file.commit()
    store = SqliteStore(path, CODEC)
    await store.open()
    assert rows(path, "SELECT runs.body, activity.body FROM runs JOIN activity USING (run_id)")[
        0
    ] == (damage, b"")
    driver = Driver(store)
    with pytest.raises(CorruptRow):
        driver.cancel(damaged)
    driver.report(sound, RunStatus.SUCCESS, worker_id="w")
    driver.delete(damaged)
    assert await store.reading.get(damaged.run_id, None) is None
    await store.close()


def test_migrations_are_numbered_without_gap_or_repetition() -> None:
    """They run in the order of their names, and a store keeps only their number."""
    folder = resources.files("runsvc.store") / "migrations" / "sqlite"
    numbers = sorted(int(each.name[:4]) for each in folder.iterdir() if each.name.endswith(".sql"))
    assert numbers == list(range(1, len(numbers) + 1))


async def test_a_migration_that_fails_leaves_the_old_store(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_schema_2(path, list(lives())[:9])
    before = schema_of(path), rows(path, "SELECT * FROM runs")
    scripts = [*schema._migrations()[:3], "SELECT * FROM nowhere;\n"]
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_migrations", lambda: scripts)
        with pytest.raises(StoreRefused, match="no such table: nowhere"):
            await SqliteStore(path, CODEC).open()
    assert (schema_of(path), rows(path, "SELECT * FROM runs")) == before
    await migrate(path)
    assert len(wholes(path)) == 9
