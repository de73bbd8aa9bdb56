"""An unavailable store: the caller gets an error, nothing changes, and the server recovers by itself."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from runsvc.commit import writer
from runsvc.commit.group_commit import GroupCommit
from runsvc.core.errors import OutcomeUnknown
from runsvc.store.sqlite.writing import SqliteWriting
from tests.support.calls import (
    INTERRUPT,
    PENDING,
    call,
    created,
    refused,
)
from tests.support.server import in_process
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.server import Client

DISPLACE = {"thread_id": "t", "multitask_strategy": INTERRUPT}


async def _nothing_changes(client: Client, run_id: str) -> None:
    """A call that would change two runs changes none, and its error has retry info."""
    before = (await call(client, "GetServerInfo")).current_revision
    error = await refused(client, "CreateOrReject", spec=DISPLACE)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert error.retry_after
    assert (await call(client, "Get", run_id=run_id)).run.status == PENDING
    assert (await call(client, "GetServerInfo")).current_revision == before
    assert len((await call(client, "ListByThread", thread_id="t")).runs) == 1


async def _all_is_well(client: Client, run_id: str) -> None:
    answer = await call(client, "CreateOrReject", spec=DISPLACE)
    assert [run.run_id for run in answer.superseded] == [run_id]


async def test_a_file_locked_by_another_process_is_unavailable(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        run = await created(client)
        with closing(sqlite3.connect(db, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await _nothing_changes(client, run.run_id)
        await _all_is_well(client, run.run_id)


@pytest.mark.parametrize(
    ("trouble", "cure"),
    [
        pytest.param("PRAGMA query_only = ON", "PRAGMA query_only = OFF", id="read-only"),
        pytest.param(
            "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", id="disk full"
        ),
    ],
)
async def test_a_file_that_cannot_be_written_is_unavailable(
    tmp_path: Path, pragmas: Callable[..., None], trouble: str, cure: str
) -> None:
    async with in_process(tmp_path / "runs.db") as client:
        run = await created(client)
        # A full disk has no effect until the file must grow.
        large = {"thread_id": "t", "kwargs": {"k": "x" * 100_000}, "multitask_strategy": INTERRUPT}
        pragmas(trouble)
        error = await refused(client, "CreateOrReject", spec=large)
        assert error.reason == "STORE_UNAVAILABLE"
        assert (await call(client, "Get", run_id=run.run_id)).run == run
        pragmas(cure)
        answer = await call(client, "CreateOrReject", spec=large)
        assert [each.run_id for each in answer.superseded] == [run.run_id]


async def test_health_follows_a_full_disk(tmp_path: Path, pragmas: Callable[..., None]) -> None:
    large = {"thread_id": "t", "kwargs": {"k": "x" * 100_000}}
    async with in_process(tmp_path / "runs.db") as client, asyncio.timeout(PATIENCE):
        health: Any = health_pb2_grpc.HealthStub(client.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="runsvc.v1.RunService"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        pragmas("PRAGMA max_page_count = 1")
        change = asyncio.create_task(watch.read())
        while not change.done():
            await refused(client, "Create", spec=large)
        assert change.result().status == health_pb2.HealthCheckResponse.NOT_SERVING
        admin = health_pb2.HealthCheckRequest(service="runsvc.v1.AdminService")
        assert (await health.Check(admin)).status == health_pb2.HealthCheckResponse.SERVING
        pragmas("PRAGMA max_page_count = 1000000")
        await call(client, "Create", spec=large)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING


async def test_a_file_that_was_moved_away_is_unavailable(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        run = await created(client)
        db.rename(tmp_path / "elsewhere")
        error = await refused(client, "CreateOrReject", spec=DISPLACE)
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        (tmp_path / "elsewhere").rename(db)
        await _all_is_well(client, run.run_id)


async def test_a_commit_of_unknown_outcome_is_reported_as_such(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: SqliteWriting) -> None:
        raise OutcomeUnknown

    with monkeypatch.context() as patch:
        patch.setattr(SqliteWriting, "commit", unknown)
        error = await refused(client, "Create", request_id="r", spec={"thread_id": "t"})
    assert (error.code, error.reason) == (grpc.StatusCode.UNKNOWN, "OUTCOME_UNKNOWN")
    assert not (await call(client, "Create", request_id="r", spec={"thread_id": "t"})).replayed


async def test_a_bug_discloses_only_a_request_id(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret")

    with monkeypatch.context() as patch:
        patch.setattr(GroupCommit, "_transact", broken)
        error = await refused(client, "Create", spec={"thread_id": "t"})
    assert error.code is grpc.StatusCode.INTERNAL
    assert "secret" not in error.message
    # The sweeper fails and logs it, too.
    calls = [each for each in caplog.records if each.name != "runsvc.maintenance.sweeper"]
    (record,) = [each for each in calls if each.exc_info]
    (request_id,) = re.findall(r"request (\S+) failed", record.getMessage())
    assert request_id in error.message
    await created(client)


async def test_calls_above_the_limit_of_the_writer_are_overloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults: Any = writer.Writer.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "max_waiting", 0)
    async with in_process(tmp_path / "runs.db") as client:
        error = await refused(client, "Create", spec={"thread_id": "t"})
        assert (error.code, error.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "OVERLOADED",
        )
        assert error.retry_after


async def test_a_row_damaged_after_it_was_answered_is_detected(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        run = await created(client)
        await call(client, "Get", run_id=run.run_id)
        await call(client, "ListByThread", thread_id="t")
        with closing(sqlite3.connect(db)) as other:
            other.execute("UPDATE runs SET body = x'ff' WHERE run_id = ?", [run.run_id])
            other.commit()
        await created(client, thread_id="t-2")
        for method, fields in (
            ("Get", {"run_id": run.run_id}),
            ("ListByThread", {"thread_id": "t"}),
        ):
            error = await refused(client, method, **fields)
            assert (error.code, error.reason) == (grpc.StatusCode.DATA_LOSS, "CORRUPT_ROW")


async def test_a_corrupt_row_is_named_and_can_be_removed(tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        run = await created(client)
    with closing(sqlite3.connect(db)) as other:
        other.execute("UPDATE runs SET body = x'ff'")
        other.commit()
    async with in_process(db) as client:
        for method, fields in (
            ("Get", {"run_id": run.run_id}),
            ("ListByThread", {"thread_id": "t"}),
            ("Cancel", {"run_id": run.run_id}),
            ("ReconcileOrphans", {}),
        ):
            error = await refused(client, method, **fields)
            assert (error.code, error.reason) == (grpc.StatusCode.DATA_LOSS, "CORRUPT_ROW")
            assert error.metadata == {"run_id": run.run_id}
        await call(client, "Delete", run_id=run.run_id)
        assert not (await call(client, "ListByThread", thread_id="t")).runs
