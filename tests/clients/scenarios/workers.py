"""The executor's side: a function that runs a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.v1 import admin_service_pb2
from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import run_of

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
