"""Leases and timeouts end runs without a living executor, and no other runs."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.v1 import run_pb2
from runsvc.v1.run_service_pb2 import HeartbeatRequest
from tests.support.calls import (
    CHANGED,
    ERROR,
    INTERRUPTED,
    PENDING,
    RUNNING,
    SUCCESS,
    TIMEOUT,
    call,
    created,
    refused,
    watched,
    watching,
)
from tests.support.engines import EVERY_ENGINE, locked, opened
from tests.support.fleet import busy_core, fleet_of
from tests.support.machine import LiveMachine
from tests.support.server import Process, client_of, in_process
from tests.support.worker import TTL, WORKER, leased, length, sending_heartbeats, worker_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.support.engines import StorePlace
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

LEASE_EXPIRED, ORPHANED = run_pb2.STATUS_REASON_LEASE_EXPIRED, run_pb2.STATUS_REASON_ORPHANED
TIMEOUT_EXCEEDED = run_pb2.STATUS_REASON_TIMEOUT_EXCEEDED
START_TIMEOUT_EXCEEDED = run_pb2.STATUS_REASON_START_TIMEOUT_EXCEEDED
HOUR = 3_600
#: Length of leases, in seconds, where server and worker are processes of their own: on a busy machine one of them may
#: have to wait while the other goes on.
APART = 3


async def found(client: Client, run: run_pb2.Run) -> run_pb2.Run:
    answer: run_pb2.Run = (await call(client, "Get", run_id=run.run_id)).run
    return answer


async def ended(client: Client, run: run_pb2.Run) -> run_pb2.Run:
    """The run once it has ended; the test's own time limit is the longest wait."""
    await watched(client, run_id=run.run_id)
    return await found(client, run)


async def heartbeat(client: Client, run: run_pb2.Run) -> run_pb2.Run:
    answer = await call(client, "Heartbeat", run_id=run.run_id, worker_id=WORKER)
    renewed: run_pb2.Run = answer.run
    return renewed


# Taking and renewing.


async def test_a_lease_given_at_creation_holds_from_then_on(client: Client) -> None:
    run = await created(client, worker_id=WORKER, lease_ttl=length(60))
    assert run.lease.ttl.seconds == 60
    assert run.lease.expires_at.ToMicroseconds() == run.created_at.ToMicroseconds() + 60_000_000
    assert (await found(client, run)).lease == run.lease


async def test_every_report_of_the_holder_renews_the_lease_without_an_event(client: Client) -> None:
    run = await leased(client, ttl=60)
    reports: list[tuple[str, dict[str, Any]]] = [
        ("Heartbeat", {}),
        ("SetStatus", {"status": RUNNING}),
        ("UpdateProgress", {"progress": {"total_tokens": 1}, "sequence": 5}),
        # Not applied, for it is late.
        ("UpdateProgress", {"progress": {"total_tokens": 2}, "sequence": 4}),
    ]
    revision = (await call(client, "GetServerInfo")).current_revision
    for method, fields in reports:
        answer = await call(client, method, run_id=run.run_id, worker_id=WORKER, **fields)
        assert answer.run.lease.expires_at.ToMicroseconds() > run.lease.expires_at.ToMicroseconds()
        if method != "UpdateProgress":
            assert answer.run.updated_at == run.updated_at
        run = answer.run
        assert (await found(client, run)).lease == run.lease
    assert (await call(client, "GetServerInfo")).current_revision == revision == run.revision


async def test_a_report_that_changes_nothing_still_renews_the_lease(client: Client) -> None:
    run = await created(client, worker_id=WORKER, lease_ttl=length(60))
    progress = await call(client, "UpdateProgress", run_id=run.run_id, worker_id=WORKER)
    assert not progress.applied
    status = await call(client, "SetStatus", run_id=run.run_id, status=PENDING, worker_id=WORKER)
    assert not status.changed
    assert status.run.lease.expires_at.ToMicroseconds() > run.lease.expires_at.ToMicroseconds()


@pytest.mark.parametrize("ttl", [2, None], ids=["with a short lease", "without a lease"])
async def test_a_restarted_worker_gets_the_lease_that_it_asks_for(
    client: Client, ttl: float | None
) -> None:
    start: dict[str, Any] = {"status": RUNNING, "worker_id": WORKER}
    run_id = (await created(client)).run_id
    first = {} if ttl is None else {"lease_ttl": length(ttl)}
    before = (await call(client, "SetStatus", run_id=run_id, **start, **first)).run
    answer = await call(client, "SetStatus", run_id=run_id, **start, lease_ttl=length(60))
    assert not answer.changed
    assert answer.run.lease.ttl.seconds == 60
    assert (answer.run.revision, answer.run.updated_at) == (before.revision, before.updated_at)
    assert (await found(client, before)).lease == answer.run.lease
    again = (await call(client, "SetStatus", run_id=run_id, **start)).run
    assert again.lease.ttl.seconds == 60
    assert again.lease.expires_at.ToMicroseconds() > answer.run.lease.expires_at.ToMicroseconds()


async def test_a_restarted_worker_can_add_a_lease(
    client: Client,
) -> None:
    start: dict[str, Any] = {"status": RUNNING, "worker_id": WORKER}
    run = await created(client)
    await call(client, "SetStatus", run_id=run.run_id, **start)
    await call(client, "SetStatus", run_id=run.run_id, **start, lease_ttl=length(1))
    assert (await ended(client, run)).status_reason == LEASE_EXPIRED


async def test_other_workers_do_not_renew_the_lease(client: Client) -> None:
    run = await leased(client, ttl=60)
    for method, fields in (
        ("Heartbeat", {}),
        ("UpdateProgress", {}),
        ("SetStatus", {"status": RUNNING}),
        ("Complete", {"status": SUCCESS}),
    ):
        error = await refused(client, method, run_id=run.run_id, worker_id="other", **fields)
        assert (error.reason, error.metadata) == ("NOT_HOLDER", {"run_id": run.run_id})
    await call(client, "UpdateModelName", run_id=run.run_id, model_name="m")
    assert (await found(client, run)).lease == run.lease


async def test_a_heartbeat_of_a_run_without_a_lease_changes_nothing(client: Client) -> None:
    run = await created(client)
    run.ClearField("kwargs")
    assert await heartbeat(client, run) == run


async def test_a_heartbeat_shows_the_cancel(client: Client) -> None:
    run = await leased(client, ttl=60)
    await call(client, "Cancel", run_id=run.run_id)
    answered = await heartbeat(client, run)
    assert answered.status == INTERRUPTED
    # The lease is renewed until the executor has stopped.
    assert answered.lease.expires_at.ToMicroseconds() > run.lease.expires_at.ToMicroseconds()
    await call(client, "AcknowledgeCancel", run_id=run.run_id, worker_id=WORKER)
    stopped = await found(client, run)
    assert (await heartbeat(client, run)).lease == stopped.lease


async def test_a_watch_waits_for_the_acknowledgement_while_the_lease_holds(
    client: Client,
) -> None:
    run = await leased(client)
    async with watching(
        client, run_id=run.run_id, after_revision=run.revision, until_acknowledged=True
    ) as stream:
        async with sending_heartbeats(client, run.run_id):
            await call(client, "Cancel", run_id=run.run_id)
            assert (await stream.read()).run.status == INTERRUPTED
            renewed = run
            while renewed.lease.expires_at.ToSeconds() <= run.lease.expires_at.ToSeconds() + TTL:
                renewed = await found(client, run)
                await asyncio.sleep(0.05)
        # No acknowledgement comes, and the executor that could send it is silent.
        assert await stream.rest() == []
    late = await call(client, "AcknowledgeCancel", run_id=run.run_id, worker_id=WORKER)
    assert late.changed
    again = await call(client, "AcknowledgeCancel", run_id=run.run_id, worker_id=WORKER)
    assert not again.changed
    assert again.run == late.run
    for method in ("SetStatus", "Complete"):
        error = await refused(client, method, run_id=run.run_id, status=SUCCESS, worker_id=WORKER)
        assert error.reason == "INVALID_TRANSITION"
    assert (await found(client, run)).status_reason == run_pb2.STATUS_REASON_CANCEL_REQUESTED


async def test_a_heartbeat_after_the_end_is_refused(client: Client) -> None:
    run = await leased(client, ttl=60)
    await call(client, "Complete", run_id=run.run_id, status=SUCCESS, worker_id=WORKER)
    error = await refused(client, "Heartbeat", run_id=run.run_id, worker_id=WORKER)
    assert error.reason == "INVALID_TRANSITION"
    assert error.metadata["from"] == "SUCCESS"


# Ending.


async def test_the_run_of_a_killed_worker_ends(db: StorePlace) -> None:
    async with in_process(db) as client:
        # Long enough for a process to start on a busy machine.
        run = await leased(client, ttl=8)
        async with (
            watching(client, thread_id="t", after_revision=run.revision) as stream,
            worker_process(client.address, run.run_id, 8) as worker,
        ):
            renewed = run
            while renewed.lease.expires_at.ToSeconds() < run.lease.expires_at.ToSeconds() + 2:
                renewed = await found(client, run)
                assert renewed.status == RUNNING
                await asyncio.sleep(0.05)
            worker.kill()
            change = await stream.read()
        assert (change.event, change.run.status) == (CHANGED, ERROR)
        assert (change.run.status_reason, change.previous_status) == (LEASE_EXPIRED, RUNNING)
        assert change.run.ended_at.ToMicroseconds() >= change.run.lease.expires_at.ToMicroseconds()
        assert not (await call(client, "HasInflight", thread_id="t")).has_inflight
        await call(client, "CreateOrReject", spec={"thread_id": "t"})
        error = await refused(
            client, "Complete", run_id=run.run_id, status=SUCCESS, worker_id=WORKER
        )
        assert error.reason == "INVALID_TRANSITION"


async def test_a_leased_run_that_never_started_ends(client: Client) -> None:
    run = await created(client, worker_id=WORKER, lease_ttl=length(1))
    lost = await ended(client, run)
    assert (lost.status, lost.status_reason) == (ERROR, LEASE_EXPIRED)
    assert not lost.HasField("started_at")


async def test_runs_end_by_their_timeouts(client: Client) -> None:
    waiting = await created(client, start_timeout=length(0.2), timeout=length(60))
    running = await created(client, start_timeout=length(60), timeout=length(0.2))
    await call(client, "SetStatus", run_id=running.run_id, status=RUNNING)
    healthy = await created(client, start_timeout=length(60))
    run = await ended(client, waiting)
    assert (run.status, run.status_reason) == (TIMEOUT, START_TIMEOUT_EXCEEDED)
    run = await ended(client, running)
    assert (run.status, run.status_reason) == (TIMEOUT, TIMEOUT_EXCEEDED)
    assert (await found(client, healthy)).status == PENDING


@pytest.mark.parametrize("damage", ["body = substr(body, 1, 1)", f"created_at = {1 << 62}"])
async def test_a_corrupt_row_does_not_delay_other_expiries(
    db: StorePlace, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    async with in_process(db) as client:
        broken = await leased(client)
        with opened(db) as other:
            other(f"UPDATE runs SET {damage}")
        run = await leased(client, "u")
        assert (await ended(client, run)).status_reason == LEASE_EXPIRED
        run = await created(client, start_timeout=length(0.01))
        assert (await ended(client, run)).status == TIMEOUT
    (record,) = [each for each in caplog.records if each.name == "runsvc.maintenance.expiry"]
    assert broken.run_id in record.getMessage()


async def test_orphans_are_active_runs_without_a_live_lease(db: StorePlace) -> None:
    async with in_process(db) as client:
        held, free = await leased(client, ttl=60), await created(client)
        answer = await call(client, "ReconcileOrphans")
        assert [run.run_id for run in answer.runs] == [free.run_id]
        assert (await found(client, held)).status == RUNNING
    async with in_process(db, orphans="fail") as client:
        assert (await found(client, held)).status == RUNNING


# Outages: the runs of living executors continue, and those of dead ones end after the outage.


async def _outlives(client: Client, alive: run_pb2.Run, dead: run_pb2.Run) -> None:
    """After an outage the run of the dead executor ends, and the other one continues."""
    assert (await found(client, dead)).status == RUNNING
    assert (await ended(client, dead)).status_reason == LEASE_EXPIRED
    assert (await found(client, alive)).status == RUNNING


async def test_a_stopped_server_process_ends_no_lease(db: StorePlace) -> None:
    async with Process(db) as process, client_of(process.address) as client:
        alive, dead = await leased(client, "a", APART), await leased(client, "d", APART)
        async with sending_heartbeats(client, alive.run_id, APART):
            process.signal(signal.SIGSTOP)
            await asyncio.sleep(2 * APART)
            process.signal(signal.SIGCONT)
            await _outlives(client, alive, dead)


async def test_a_server_that_was_down_ends_no_lease(db: StorePlace) -> None:
    async with Process(db) as process, client_of(process.address) as client:
        alive, dead = await leased(client, "a", APART), await leased(client, "d", APART)
        await process.kill()
    await asyncio.sleep(2 * APART)
    async with (
        Process(db) as process,
        client_of(process.address) as client,
        sending_heartbeats(client, alive.run_id, APART),
    ):
        await _outlives(client, alive, dead)


@pytest.mark.parametrize("trouble", ["PRAGMA query_only = ON", "PRAGMA max_page_count = 1"])
async def test_a_store_that_refuses_writes_ends_no_lease(
    tmp_path: Path, pragmas: Callable[..., None], trouble: str
) -> None:
    async with in_process(tmp_path / "runs.db") as client:
        alive, dead = await leased(client, "a"), await leased(client, "d")
        async with sending_heartbeats(client, alive.run_id):
            pragmas(trouble)
            for _ in range(30):
                # A full disk has no effect until the file must grow.
                large = {"thread_id": "t", "kwargs": {"k": "x" * 100_000}}
                assert (await refused(client, "Create", spec=large)).reason == "STORE_UNAVAILABLE"
                await asyncio.sleep(0.1)
            pragmas("PRAGMA query_only = OFF", "PRAGMA max_page_count = 1000000")
            await _outlives(client, alive, dead)


async def test_a_store_locked_by_another_process_ends_no_lease(db: StorePlace) -> None:
    async with in_process(db) as client:
        alive, dead = await leased(client, "a"), await leased(client, "d")
        async with sending_heartbeats(client, alive.run_id):
            with locked(db):
                await asyncio.sleep(3)
            await _outlives(client, alive, dead)


async def test_a_clock_set_forward_ends_no_run(db: StorePlace) -> None:
    machine = LiveMachine()
    async with in_process(db, timekeeper=machine.timekeeper()) as client:
        alive, dead = await leased(client, "a"), await leased(client, "d")
        limited = await created(client, start_timeout=length(HOUR / 2))
        async with sending_heartbeats(client, alive.run_id):
            machine.set_clock(HOUR)
            await _outlives(client, alive, dead)
            assert (await found(client, limited)).status == PENDING


async def test_a_clock_set_forward_and_back_before_a_start_removes_and_ends_nothing(
    db: StorePlace,
) -> None:
    machine = LiveMachine()
    kept: dict[str, Any] = {"retain_runs": timedelta(days=30), "log_keep_age": timedelta(days=7)}

    def started() -> AbstractAsyncContextManager[Client]:
        timekeeper = machine.timekeeper()
        return in_process(db, timekeeper=timekeeper, orphans="keep", **kept)

    async with started() as client:
        limited = await created(client, start_timeout=length(HOUR))
        over = await created(client)
        await call(client, "SetStatus", run_id=over.run_id, status=SUCCESS)
        machine.set_clock(40 * 24 * HOUR)
        await created(client)
    machine.set_clock(-40 * 24 * HOUR)
    async with started() as client:
        short = await created(client, start_timeout=length(1))
        assert (await ended(client, short)).status_reason == START_TIMEOUT_EXCEEDED
        assert (await found(client, limited)).status == PENDING
        assert (await found(client, over)).status == SUCCESS
        assert (await call(client, "GetServerInfo")).oldest_revision == 1


async def test_a_clock_set_back_still_expires_leases(db: StorePlace) -> None:
    machine = LiveMachine()
    async with in_process(db, timekeeper=machine.timekeeper()) as client:
        alive, dead = await leased(client, "a"), await leased(client, "d")
        limited = await created(client, start_timeout=length(1))
        async with sending_heartbeats(client, alive.run_id):
            machine.set_clock(-HOUR)
            later = await created(client, start_timeout=length(1))
            await _outlives(client, alive, dead)
            for run in (limited, later):
                assert (await ended(client, run)).status_reason == START_TIMEOUT_EXCEEDED


async def test_a_heartbeat_counts_even_if_its_worker_did_not_wait_for_the_answer(
    db: StorePlace,
) -> None:
    async with in_process(db) as client:
        run = await leased(client, ttl=60)
        with locked(db):
            # The writer waits with this creation while the heartbeat arrives.
            first = asyncio.create_task(created(client, "u"))
            await asyncio.gather(*(call(client, "GetServerInfo") for _ in range(2)))
            request = HeartbeatRequest(run_id=run.run_id, worker_id=WORKER)
            abandoned = client.runs.Heartbeat(request)
            # Calls of a connection begin in order.
            await asyncio.gather(*(call(client, "GetServerInfo") for _ in range(2)))
            abandoned.cancel()
            assert await abandoned.code() is grpc.StatusCode.CANCELLED
        await first
        # A later command runs after the heartbeat.
        await call(client, "UpdateModelName", run_id=run.run_id, model_name="m")
        lease = (await found(client, run)).lease
        assert lease.expires_at.ToMicroseconds() > run.lease.expires_at.ToMicroseconds()


# Many executors.


@pytest.mark.parametrize(
    ("workers", "ttl", "seconds"),
    [
        pytest.param(200, 5, 6, id="short"),
        pytest.param(
            10_000, 30, 600, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1_800)]
        ),
    ],
)
async def test_a_fleet_of_workers_on_a_busy_machine_loses_no_lease(
    db: StorePlace, workers: int, ttl: float, seconds: float
) -> None:
    async with (
        Process(db) as process,
        client_of(process.address) as client,
        busy_core(),
        fleet_of(process.address, workers, ttl) as fleet,
    ):
        await fleet.renew_leases(seconds)
        assert fleet.refusals == []
        info = await call(client, "GetServerInfo")
        assert (info.active_runs, info.current_revision) == (workers, workers)
        # From now on no executor sends heartbeats.
        async with watching(client, all={}, after_revision=info.current_revision) as stream:
            lost: list[run_pb2.Run] = []
            while len(lost) < workers:
                event = await stream.read()
                lost += [event.run] if event.event == CHANGED else []
    assert {run.run_id for run in lost} == set(fleet.run_ids)
    assert {run.status_reason for run in lost} == {LEASE_EXPIRED}
    late = [run.ended_at.ToMicroseconds() - run.lease.expires_at.ToMicroseconds() for run in lost]
    assert min(late) >= 0
    print(
        f"slowest renewal {fleet.slowest:.3f} s, latest end {max(late) / 1e6:.3f} s after its time"
    )
