"""The executor's side: a function that runs a run."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final

import grpc

from runsvc.v1 import admin_service_pb2
from runsvc.v1.run_pb2 import Progress, Run
from runsvc.v1.run_service_pb2 import (
    CompleteRequest,
    CompleteResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    SetStatusResponse,
)
from tests.clients.environment import until
from tests.clients.programmed import SILENCE, Programme
from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import read, run_of
from tests.support.scripted import Refusal
from tests.support.server import Process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clients.environment import Actor, Stage

#: Longer than a client takes to find a server that is back.
LEASE_MS: Final = 5_000


@scenario
async def a_run_is_executed(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await a.do("executing", k=1)
    await a.do("report", k=1, progress={"total_tokens": 3})
    await a.do("report", k=1, progress={"total_tokens": 4})
    await a.do("finish", k=1, progress={"total_tokens": 5})
    failed = await run_of(a)
    await a.do("work", k=1, run_id=failed)
    await a.do("finish", k=1, error="kaputt: ü")


@scenario
async def a_run_that_another_worker_holds(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
    run_id = await run_of(a, worker_id="w1")
    await a.do("work", k=1, run_id=run_id, worker_id="w2")
    await a.do("cancel", run_id=run_id)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")


@scenario
async def a_cancel_stops_it(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
    b = await stage.other()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await b.do("cancel", run_id=run_id, action="rollback")
    await a.do("stopped", k=1, progress={"total_tokens": 6})
    await b.do("get", run_id=run_id)


@scenario
async def a_newer_run_stops_it(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await a.do("create_or_reject", spec={"thread_id": "t", "multitask_strategy": "interrupt"})
    await a.do("stopped", k=1)


@scenario
async def a_run_that_ended_by_other_hands(stage: Stage) -> None:
    server = await stage.serve()
    a = await stage.driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id)
    await server.admin.ReconcileOrphans(admin_service_pb2.ReconcileOrphansRequest())
    await a.do("stopped", k=1)


@scenario
async def its_report_reaches_a_server_that_was_killed(stage: Stage) -> None:
    server = await stage.serve_process()
    a = await stage.driver()
    b = await stage.other()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await server.kill()
    report = await a.begin("finish", k=1, progress={"total_tokens": 5})
    await server.start()
    await report
    await b.reconnected()
    await b.do("get", run_id=run_id)


async def _beating(stage: Stage, *beats: HeartbeatResponse | Refusal) -> Programme:
    """A server that answers heartbeats so, from the last on for ever."""
    programme = Programme()
    started = Run(run_id="r", status="RUN_STATUS_RUNNING", revision=2)
    programme.will("SetStatus", SetStatusResponse(run=started))
    programme.will("StreamStatus", [SILENCE])
    programme.will("Heartbeat", *beats, *[beats[-1]] * 100)
    await stage.program(programme)
    return programme


async def _worker(stage: Stage, programme: Programme, beats: int) -> Actor:
    """A worker that has sent so many heartbeats."""
    a = await stage.driver()
    await a.do("work", k=1, run_id="r", worker_id="w1", lease_ttl_ms=1_500)

    async def all_sent() -> bool:
        return sum(isinstance(each, HeartbeatRequest) for each in programme.asked) >= beats

    await until(all_sent)
    return a


WELL = HeartbeatResponse(run=Run(run_id="r", status="RUN_STATUS_RUNNING", revision=2))


@scenario
async def a_worker_that_lost_its_run_stops(stage: Stage) -> None:
    other = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "", "NOT_HOLDER", {"run_id": "r"})
    a = await _worker(stage, await _beating(stage, WELL, WELL, other), 3)
    await a.do("stopped", k=1)


async def _without_a_server(
    stage: Stage,
    leave: Callable[[Process], Awaitable[None]],
    back: Callable[[Process], Awaitable[None]],
) -> None:
    """A worker whose server is away for longer than its lease."""
    server = await stage.serve_process()
    a = await stage.driver(RUNSVC_TIMEOUT="3")
    b = await stage.other()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1", lease_ttl_ms=LEASE_MS)
    await leave(server)
    # Nothing happens by which the end of a lease could be seen from outside.
    gone = asyncio.create_task(asyncio.sleep(1.2 * LEASE_MS / 1_000))
    await a.do("report", k=1, progress={"total_tokens": 3})
    await gone
    await a.do("executing", k=1)
    await back(server)
    await b.reconnected()
    await a.do("executing", k=1)
    await a.do("finish", k=1, progress={"llm_call_count": 1})
    await b.do("get", run_id=run_id)


@scenario
async def a_worker_goes_on_while_its_server_is_dead(stage: Stage) -> None:
    await _without_a_server(stage, Process.kill, Process.start_again)


@scenario
async def a_worker_goes_on_while_its_server_is_stopped(stage: Stage) -> None:
    async def stopped(server: Process) -> None:
        server.signal(signal.SIGSTOP)

    async def goes_on(server: Process) -> None:
        server.signal(signal.SIGCONT)

    await _without_a_server(stage, stopped, goes_on)


@scenario
async def its_report_outlasts_its_lease(stage: Stage) -> None:
    server = await stage.serve_process()
    a = await stage.driver()
    b = await stage.other()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1", lease_ttl_ms=LEASE_MS)
    await server.kill()
    report = await a.begin("finish", k=1, progress={"total_tokens": 5})
    await asyncio.sleep(1.2 * LEASE_MS / 1_000)
    await server.start_again()
    await report
    await b.reconnected()
    await b.do("get", run_id=run_id)


@scenario
async def answers_that_do_not_tell_of_the_run_stop_no_worker(stage: Stage) -> None:
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "", "PERMISSION_DENIED")
    passing = Refusal(grpc.StatusCode.UNAVAILABLE, "", "STORE_UNAVAILABLE")
    full = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "")
    programme = await _beating(stage, WELL, denied, passing, full, denied)
    finished = Run(run_id="r", status="RUN_STATUS_SUCCESS", revision=3)
    programme.will("UpdateProgress", passing)
    programme.will("Complete", full, passing, CompleteResponse(run=finished))
    a = await _worker(stage, programme, 5)
    await a.do("report", k=1, progress={"total_tokens": 3})
    await a.do("executing", k=1)
    await a.do("finish", k=1, progress={"llm_call_count": 1})
    told = [each.progress for each in programme.asked if isinstance(each, CompleteRequest)]
    assert told == [Progress(total_tokens=3, llm_call_count=1)] * 3


@scenario
async def a_worker_that_is_heard_of_keeps_its_run(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
    b = await stage.other()
    lost, kept = await run_of(a), await run_of(a)
    await a.do("work", k=1, run_id=kept, worker_id="w1", lease_ttl_ms=3_000)
    # When this one's lease has run out, the other's would have, twice over.
    await b.do("set_status", run_id=lost, status="running", worker_id="w2", lease_ttl_ms=6_000)
    await b.do("watch", w=1, run_id=lost, after_revision=3)
    await read(b, 2)
    await a.do("executing", k=1)
    await b.do("cancel", run_id=kept)
    await a.do("stopped", k=1, progress={"total_tokens": 1})
