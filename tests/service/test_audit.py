"""Log lines about runs that were ended or removed: who did it, and when."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.v1.admin_service_pb2 import DeleteRequest, ReconcileOrphansRequest
from runsvc.v1.run_pb2 import RunSpec
from runsvc.v1.run_service_pb2 import (
    CancelRequest,
    CompleteRequest,
    CreateOrRejectRequest,
    CreateRequest,
    SetStatusRequest,
)
from tests.support.calls import INTERRUPT, RUNNING, SUCCESS, call, created, refused, watching
from tests.support.identities import ADMIN, A, with_identities
from tests.support.server import in_process
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import Client

CALLER = r", request q-1, peer ipv4:127\.0\.0\.1:\d+"
REQUEST_ID = (("x-request-id", "q-1"),)
SECRET = "s3cret"


class Log:
    """The log of the server at level info."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "runsvc")
        self._caplog = caplog

    def lines(self) -> list[str]:
        lines = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return lines

    def line(self) -> str:
        """Return the line since the last call. There is only one, and it holds no secret."""
        (line,) = self.lines()
        assert SECRET not in line
        return line


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


async def secret_run(client: Client) -> str:
    run = await created(client, metadata={"a": SECRET}, kwargs={"b": SECRET})
    return run.run_id


async def test_a_cancel_has_a_line(client: Client, log: Log) -> None:
    run_id = await secret_run(client)
    request = CancelRequest(run_id=run_id, note=SECRET)
    cancel = client.runs.Cancel(request, metadata=REQUEST_ID)
    await cancel
    assert dict(await cancel.trailing_metadata())["x-request-id"] == "q-1"
    pattern = f"Cancel of run {run_id}: CANCELLED, action INTERRUPT{CALLER}"
    assert re.fullmatch(pattern, log.line())
    again = client.runs.Cancel(request)
    await again
    made: Any = dict(await again.trailing_metadata())["x-request-id"]
    assert f"ALREADY_CANCELLED, action INTERRUPT, request {made}, peer" in log.line()


async def test_a_displacement_has_a_line_for_each_run(client: Client, log: Log) -> None:
    run_ids = [await secret_run(client) for _ in range(2)]
    spec = RunSpec(thread_id="t", multitask_strategy=INTERRUPT)  # type: ignore[arg-type]
    request = CreateOrRejectRequest(spec=spec, request_id="once")
    new = (await client.runs.CreateOrReject(request, metadata=REQUEST_ID)).run.run_id
    lines = log.lines()
    for run_id, line in zip(run_ids, lines, strict=True):
        cause = rf"INTERRUPTED \(SUPERSEDED by {new}\)"
        assert re.fullmatch(f"Run {run_id} ended: {cause}{CALLER}", line)
    # A replay ends nothing.
    await client.runs.CreateOrReject(request)
    assert not log.lines()


async def test_a_reconciliation_and_a_deletion_have_a_line(client: Client, log: Log) -> None:
    run_id = await secret_run(client)
    await client.runs.SetStatus(SetStatusRequest(run_id=run_id, status=RUNNING, worker_id="w"))  # type: ignore[arg-type]
    await client.admin.ReconcileOrphans(ReconcileOrphansRequest(), metadata=REQUEST_ID)
    pattern = rf"Run {run_id} ended: ERROR \(ORPHANED\), worker w{CALLER}"
    assert re.fullmatch(pattern, log.line())
    await client.admin.Delete(DeleteRequest(run_id=run_id), metadata=REQUEST_ID)
    assert re.fullmatch(f"Run {run_id} deleted{CALLER}", log.line())


async def test_with_authentication_a_line_names_the_principal(tmp_path: Path, log: Log) -> None:
    async with with_identities(tmp_path) as client:
        user, admin = A.calls(client), ADMIN.calls(client)
        create = CreateRequest(spec=RunSpec(thread_id="t"))
        ended, cancelled = [(await user.runs.Create(create)).run.run_id for _ in range(2)]
        log.lines()
        complete = CompleteRequest(run_id=ended, status=SUCCESS)  # type: ignore[arg-type]
        await user.runs.Complete(complete)
        assert log.line().startswith(f"Report on run {ended}: SUCCESS, principal ann, request ")
        # Neither a repeated report nor late usage ends the run.
        await user.runs.Complete(complete)
        await user.runs.Complete(CompleteRequest(run_id=ended, status=SUCCESS, progress={}))  # type: ignore[arg-type]
        assert not log.lines()
        answer = await admin.runs.Cancel(CancelRequest(run_id=cancelled))
        assert f"Cancel of run {cancelled}: CANCELLED" in (line := log.line())
        assert ", principal adm, request " in line
        assert answer.run.cancellation.requested_by == "adm"
        await admin.admin.Delete(DeleteRequest(run_id=ended))
        assert log.line().startswith(f"Run {ended} deleted, principal adm, request ")


async def test_a_lease_and_a_timeout_that_ran_out_have_a_line(client: Client, log: Log) -> None:
    lease, soon = timedelta(seconds=1), timedelta(seconds=0.1)
    leased = await created(client, worker_id="w", lease_ttl=lease)
    timed = await created(client, start_timeout=soon)
    for run in (leased, timed):
        async with watching(client, run_id=run.run_id) as stream:
            await stream.rest()
    assert sorted(log.lines()) == sorted(
        [
            f"Run {leased.run_id} ended: ERROR (LEASE_EXPIRED), worker w",
            f"Run {timed.run_id} ended: TIMEOUT (START_TIMEOUT_EXCEEDED)",
        ]
    )


async def test_a_run_that_its_clients_left_has_a_line(tmp_path: Path, log: Log) -> None:
    async with in_process(tmp_path / "runs.db", attach_grace=0.0) as client:
        run = await created(client)
        async with watching(client, run_id=run.run_id, attach=True) as stream:
            await stream.read()
        async with watching(client, run_id=run.run_id) as stream:
            await stream.rest()
        assert log.line() == f"Run {run.run_id} ended: INTERRUPTED (CLIENT_DISCONNECTED)"


async def test_orphans_at_start_have_a_line(tmp_path: Path, log: Log) -> None:
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        run_id = await secret_run(client)
    async with in_process(db, orphans="fail"):
        assert log.lines()[0] == f"Run {run_id} ended: ERROR (ORPHANED)"


async def test_a_run_past_retention_has_its_id_in_a_line(tmp_path: Path, log: Log) -> None:
    retention = timedelta(microseconds=1)
    db = tmp_path / "runs.db"
    async with in_process(db) as client:
        run_id = await secret_run(client)
        await call(client, "SetStatus", run_id=run_id, status=SUCCESS)
    async with (
        in_process(db, retain_runs=retention) as client,
        watching(client, all={}, after_revision=2) as stream,
    ):
        await stream.read()
    assert f"Removed past retention: {run_id}" in log.lines()


async def test_a_cancel_whose_caller_left_has_a_line(
    tmp_path: Path, log: Log, client: Client
) -> None:
    run_id = await secret_run(client)
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as other:
        # The cancel waits for the lock, and its caller leaves.
        other.execute("BEGIN IMMEDIATE")
        cancel = client.runs.Cancel(CancelRequest(run_id=run_id), metadata=REQUEST_ID)
        # Calls of a connection begin in order.
        await asyncio.gather(call(client, "GetServerInfo"), call(client, "GetServerInfo"))
        cancel.cancel()
        assert (await cancel.code()).name == "CANCELLED"
    lines: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while not lines:
            await call(client, "GetServerInfo")
            lines = [line for line in log.lines() if run_id in line]
    pattern = f"Cancel of run {run_id}: the caller got no answer, it may have taken effect{CALLER}"
    assert re.fullmatch(pattern, lines[0])


async def test_lines_at_debug_name_the_run_or_the_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "runsvc.rpc.call_log")
    async with in_process(tmp_path / "runs.db") as client:
        run_id = await secret_run(client)
        await call(client, "Get", run_id=run_id)
        await call(client, "HasInflight", thread_id="t-9")
        await refused(client, "Get", run_id="a\nb")
    lines = [record.getMessage() for record in caplog.records]
    assert [re.sub(r".*/(.*) [\d.]+ ms, .*", r"\1", line) for line in lines] == [
        f"Create OK run {run_id}",
        f"Get OK run {run_id}",
        "HasInflight OK thread t-9",
        r"Get INVALID_ARGUMENT run 'a\nb'",
    ]
    assert all(re.search(r", peer ipv4:127\.0\.0\.1:\d+$", line) for line in lines)
    assert not any(SECRET in line for line in lines)
