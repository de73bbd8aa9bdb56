"""`runsvc admin copy`: a store moves from a file to a database."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from runsvc.cli import main
from runsvc.database_url import DatabaseUrl
from runsvc.store.contents import TABLES
from runsvc.store.postgres import migrate
from tests.support.calls import (
    DELETED,
    RUNNING,
    SUCCESS,
    Refused,
    call,
    created,
    watched,
    watching,
)
from tests.support.engines import opened
from tests.support.filling import fill
from tests.support.server import in_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import Client


def admin_copy(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["admin", "copy", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


async def filled(client: Client) -> None:
    """Runs in several states, one removed, with request ids, kwargs, results, progress and a limit."""
    ended = await created(client, "ended", kwargs={"texts": ["a", "ä"]}, metadata={"k": "v"})
    await call(client, "SetStatus", run_id=ended.run_id, status=RUNNING)
    await call(client, "Complete", run_id=ended.run_id, status=SUCCESS, result={"answer": 42})
    await call(client, "Create", spec={"thread_id": "asked"}, request_id="r1")
    removed = await created(client, "removed")
    await call(client, "Cancel", run_id=removed.run_id)
    await call(client, "Delete", run_id=removed.run_id)
    await call(client, "SetConcurrencyLimit", prefix="model/", width=3)
    active = await created(client, "active", worker_id="w", lease_ttl={"seconds": 900})
    report = {"progress": {"total_tokens": 7}, "sequence": 7, "worker_id": "w"}
    await call(client, "UpdateProgress", run_id=active.run_id, **report)


async def state(client: Client) -> tuple[Any, ...]:
    """Everything of the store that a client can see."""
    revision = (await call(client, "GetServerInfo")).current_revision
    async with watching(client, all={}, after_revision=0) as watch:
        log = [await watch.read()]
        while log[-1].revision < revision:
            log.append(await watch.read())
    ids = dict.fromkeys(each.run.run_id for each in log if each.event != DELETED)
    runs = [await found(client, each) for each in ids]
    limits = await call(client, "ListConcurrencyLimits")
    changes = [(each.event, each.revision, each.previous_status, each.run) for each in log]
    return changes, runs, limits


async def found(client: Client, run_id: str) -> Any:
    """A run, or the reason for which there is none."""
    try:
        return (await call(client, "Get", run_id=run_id)).run
    except Refused as refusal:
        return refusal.error.reason


async def test_servers_on_the_copy_have_the_same_runs_log_and_request_ids(
    tmp_path: Path, postgres_url: str
) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        await filled(client)
        before, info = await state(client), await call(client, "GetServerInfo")
    content = db.read_bytes()
    output = await asyncio.to_thread(admin_copy, "--from", db, "--to", postgres_url)
    assert "runs: 3 of 3" in output
    assert f"Copied and checked 3 runs and {info.current_revision} log entries" in output
    assert db.read_bytes() == content
    async with in_process(DatabaseUrl(postgres_url)) as client:
        assert await state(client) == before
        repeated = await call(client, "Create", spec={"thread_id": "asked"}, request_id="r1")
        assert repeated.replayed
        following = await created(client)
        assert following.revision == info.current_revision + 1
        last = before[1][-1]
        assert following.created_at.ToNanoseconds() > last.created_at.ToNanoseconds()
        await call(client, "Heartbeat", run_id=last.run_id, worker_id="w")


async def test_a_watch_of_the_file_is_refused_and_one_without_its_id_goes_on(
    tmp_path: Path, postgres_url: str
) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        await filled(client)
        info = await call(client, "GetServerInfo")
    await asyncio.to_thread(admin_copy, "--from", db, "--to", postgres_url)
    async with in_process(DatabaseUrl(postgres_url)) as client:
        after = {"all": {}, "after_revision": info.current_revision}
        with pytest.raises(Refused) as refusal:
            await watched(client, **after, store_id=info.store_id)
        assert refusal.value.error.reason == "REVISION_UNKNOWN"
        async with watching(client, **after) as watch:
            run = await created(client)
            assert (await watch.read()).run.run_id == run.run_id


async def test_a_file_that_a_server_uses_is_refused(tmp_path: Path, postgres_url: str) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db):
        refusal = await asyncio.to_thread(admin_copy, "--from", db, "--to", postgres_url, status=1)
    assert "another server uses it: stop that server" in refusal
    assert is_empty(postgres_url)


async def test_a_database_that_holds_a_store_or_has_a_server_is_refused(
    tmp_path: Path, postgres_url: str
) -> None:
    db, place = tmp_path / "runs.db", DatabaseUrl(postgres_url)
    await asyncio.to_thread(fill, db, 10)
    async with in_process(place) as client:
        refusal = await asyncio.to_thread(admin_copy, "--from", db, "--to", postgres_url, status=1)
        assert "a server uses it: stop all its servers" in refusal
        await created(client)
    refusal = await asyncio.to_thread(admin_copy, "--from", db, "--to", postgres_url, status=1)
    assert "it holds a store already" in refusal
    assert "?schema=" in refusal
    with opened(place) as fetch:
        assert fetch("SELECT count(*) FROM runs") == [(1,)]


def test_a_large_store_is_copied_with_its_compacted_log(tmp_path: Path, postgres_url: str) -> None:
    db, place = tmp_path / "runs.db", DatabaseUrl(postgres_url)
    fill(db, 3_000, log_keep=1_000)
    assert "log: 1,000 of 1,000" in admin_copy("--from", db, "--to", postgres_url)
    with opened(place) as database, opened(db) as file:
        for table in TABLES:
            statement = f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY 1"
            assert database(statement) == file(statement)
        state = "SELECT revision, forgotten FROM commits ORDER BY number DESC LIMIT 1"
        assert database(state) == [(3_000, 2_000)]


def test_a_copy_that_does_not_arrive_as_it_was_sent_is_undone(
    tmp_path: Path, postgres_url: str
) -> None:
    db, place = tmp_path / "runs.db", DatabaseUrl(postgres_url)
    fill(db, 10)
    with opened(place) as database:
        database("""
            CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql
            AS $$BEGIN NEW.body := 'x'; RETURN NEW; END$$
        """)
        database("""
            CREATE TRIGGER damaging BEFORE INSERT ON log FOR EACH ROW
            WHEN (NEW.revision = 5) EXECUTE FUNCTION damage()
        """)
        try:
            refusal = admin_copy("--from", db, "--to", postgres_url, status=1)
        finally:
            database("DROP FUNCTION damage CASCADE")
    assert "the table log has other rows than the source" in refusal
    assert is_empty(postgres_url)
    admin_copy("--from", db, "--to", postgres_url)


def test_a_source_or_target_of_the_wrong_kind_is_refused_with_the_remedy(tmp_path: Path) -> None:
    url, db = "postgresql://u:hunter2@h/d", tmp_path / "runs.db"
    fill(db, 1)
    for source, target, remedy in (
        (url, url, "use pg_dump and pg_restore"),
        (db, tmp_path / "b.db", "use `runsvc admin backup`"),
        (tmp_path / "none.db", url, "name the file of a store"),
    ):
        output = admin_copy("--from", source, "--to", target, status=1)
        assert remedy in output
        assert "hunter2" not in output
    assert not (tmp_path / "none.db").exists()


def test_a_file_of_an_older_release_is_refused_with_the_remedy(
    tmp_path: Path, postgres_url: str
) -> None:
    db = tmp_path / "runs.db"
    fill(db, 1)
    with closing(sqlite3.connect(db)) as connection:
        connection.execute("PRAGMA user_version = 6")
    refusal = admin_copy("--from", db, "--to", postgres_url, status=1)
    assert "start `runsvc serve` of this release on it once" in refusal


def is_empty(url: str) -> bool:
    with opened(DatabaseUrl(url)) as fetch:
        if fetch("SELECT to_regclass('runs')") == [(None,)]:
            return True
        return fetch("SELECT count(*) FROM runs") == [(0,)]


async def test_an_interrupted_copy_leaves_the_database_as_it_was(
    tmp_path: Path, postgres_url: str
) -> None:
    db = tmp_path / "runs.db"
    await asyncio.to_thread(fill, db, 1_000)
    with opened(DatabaseUrl(postgres_url)) as database:
        await asyncio.to_thread(migrate, postgres_url)
        # The copy waits for this lock, in the middle of its transaction.
        database("BEGIN")
        database("LOCK TABLE log IN SHARE MODE")
        copying = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runsvc.cli", "admin", "copy"),
            *("--from", str(db), "--to", postgres_url),
            stderr=asyncio.subprocess.PIPE,
        )
        assert copying.stderr is not None
        line = await copying.stderr.readline()
        while b"activity: 1,000" not in line:
            line = await copying.stderr.readline()
            assert line
        copying.send_signal(signal.SIGINT)
        _, output = await copying.communicate()
        assert "Traceback" not in output.decode()
        database("ROLLBACK")
    assert is_empty(postgres_url)
    await asyncio.to_thread(admin_copy, "--from", db, "--to", postgres_url)
