"""The executor's side: a function that runs a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from runsvc.v1 import admin_service_pb2
from runsvc.v1.run_pb2 import Run
from runsvc.v1.run_service_pb2 import HeartbeatResponse, SetStatusResponse
from tests.clients.programmed import SILENCE, Programme
from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import read, run_of
from tests.clients.stage import until
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.clients.stage import Stage


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


async def _worker(stage: Stage, *beats: HeartbeatResponse | Refusal) -> None:
    """A worker that is told so in its heartbeats; the last one stops it."""
    programme = Programme()
    started = Run(run_id="r", status="RUN_STATUS_RUNNING", revision=2)
    programme.will("SetStatus", SetStatusResponse(run=started))
    programme.will("StreamStatus", [SILENCE])
    programme.will("Heartbeat", *beats, *[beats[-1]] * 100)
    await stage.program(programme)
    a = await stage.driver()
    await a.do("work", k=1, run_id="r", worker_id="w1", lease_ttl_ms=1_500)

    async def all_sent() -> bool:
        return sum(type(each).__name__ == "HeartbeatRequest" for each in programme.asked) >= len(
            beats
        )

    await until(all_sent)
    await a.do("stopped", k=1)


WELL = HeartbeatResponse(run=Run(run_id="r", status="RUN_STATUS_RUNNING", revision=2))


@scenario
async def a_worker_that_lost_its_run_stops(stage: Stage) -> None:
    other = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "", "NOT_HOLDER", {"run_id": "r"})
    await _worker(stage, WELL, WELL, other)


@scenario
async def a_worker_whose_lease_ran_out_unseen_stops(stage: Stage) -> None:
    await _worker(stage, WELL, Refusal(grpc.StatusCode.UNAVAILABLE, "gone"))


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
