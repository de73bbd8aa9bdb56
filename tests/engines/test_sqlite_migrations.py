"""Stores of older releases: they are brought to the present schema, and keep what they hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import ALL
from tests.support.calls import PENDING, RUNNING, SUCCESS, call
from tests.support.server import in_process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RELEASE_0_1_0 = Path(__file__).with_name("release_0_1_0.sql").read_text("utf-8")
SUCCEEDED = "01a21045-cf91-7fe7-b1ed-562a4e5b04a6"
WAITING = "01a21045-cfae-7999-acd8-907fbcaedea8"
LEASE = timedelta(seconds=30)
#: What the run that succeeded was created with.
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
    return path


def rows(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def schema_of(path: Path) -> Mapping[tuple[str, str], Sequence[Any]]:
    """Every table and index, with its columns in order and its text, and the version."""
    found: dict[tuple[str, str], Sequence[Any]] = {
        ("pragma", ""): rows(path, "PRAGMA user_version")
    }
    for kind, name, sql in rows(path, "SELECT type, name, sql FROM sqlite_schema"):
        details = "table_xinfo" if kind == "table" else "index_xinfo"
        found[kind, name] = (sql, rows(path, f"PRAGMA {details}({name})"))
    return found


async def migrate(path: Path) -> None:
    store = SqliteStore(path)
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


async def test_a_migrated_store_keeps_every_row(old: Path) -> None:
    statements = ("SELECT * FROM clock", "SELECT * FROM runs", "SELECT * FROM log")
    clock, runs, log = (rows(old, statement) for statement in statements)
    time = clock[0][3]
    await migrate(old)
    assert rows(old, "SELECT * FROM clock") == clock
    assert rows(old, "SELECT * FROM runs") == [(*row, None) for row in runs]
    # No entry is taken for older than it can be.
    assert rows(old, "SELECT * FROM log") == [(*row, time) for row in log]


async def test_a_migrated_log_is_read_as_before(old: Path) -> None:
    store = SqliteStore(old)
    await store.open()
    entries = (await store.log_since(ALL._replace(owner=""), 0, 9)).entries
    assert [(entry.run_id, entry.status) for entry in entries] == [
        (SUCCEEDED, PENDING),
        (SUCCEEDED, RUNNING),
        (SUCCEEDED, SUCCESS),
        (WAITING, PENDING),
    ]
    await store.close()


async def test_a_store_of_0_1_0_is_served(old: Path) -> None:
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
    leases = rows(old, "SELECT run_id, lease_ttl FROM runs WHERE lease_ttl > 0 ORDER BY created_at")
    assert leases == [(WAITING, 30_000_000), (leased.run_id, 30_000_000)]
