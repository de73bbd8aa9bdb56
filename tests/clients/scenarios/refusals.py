"""Every reason with which a call or a watch can fail."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import grpc

from runsvc.rpc.status import TABLE
from runsvc.v1.error_reason_pb2 import ErrorReason
from tests.clients.scenario import scenario
from tests.clients.scenario_script import ScenarioScript
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.clients.environment import Environment, RecordedDriver

MISSING_RUN_ID = "0198c0de-0000-7000-8000-000000000000"


async def _fail_to_watch(a: RecordedDriver, **watch: Any) -> None:
    await a.do("watch", w=1, **watch)
    await a.do("next", w=1)


@scenario
async def a_run_that_is_not_there(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    for cmd, fields in (
        ("get", {}),
        ("set_status", {"status": "running"}),
        ("complete", {"status": "success"}),
        ("update_progress", {}),
        ("update_model_name", {}),
        ("cancel", {}),
        ("acknowledge_cancel", {}),
    ):
        await a.do(cmd, run_id=MISSING_RUN_ID, **fields)
    await _fail_to_watch(a, run_id=MISSING_RUN_ID)
    await _fail_to_watch(a, run_id=MISSING_RUN_ID, after_revision=0)


@scenario
async def a_request_that_is_at_fault_in_every_field(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await a.do("create", spec={})
    await a.do("create_or_reject")
    await a.do(
        "create",
        request_id="x" * 256,
        spec={"thread_id": "no blanks", "assistant_id": "ß", "model_name": "m" * 129},
    )
    await a.do("get")
    await a.do("cancel", run_id=MISSING_RUN_ID, action=99)
    await a.do("set_status", run_id=MISSING_RUN_ID, status=99)
    await a.do("create", spec={"thread_id": "t", "multitask_strategy": 99, "on_disconnect": 99})
    await _fail_to_watch(a)
    await _fail_to_watch(a, thread_id="t", until_acknowledged=True)


@scenario
async def a_thread_in_the_way(env: Environment) -> None:
    await env.serve(max_active_per_thread=1)
    a = await env.driver()
    await a.do("create", request_id="r", spec={"thread_id": "t"})
    await a.do("create_or_reject", spec={"thread_id": "t"})
    await a.do("create", spec={"thread_id": "t"})
    await a.do("create", request_id="r", spec={"thread_id": "u"})
    await a.do("create", spec={"thread_id": "u", "multitask_strategy": "enqueue"})


@scenario
async def a_run_in_another_state(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    await a.do("acknowledge_cancel", run_id=run_id)
    await a.do("set_status", run_id=run_id, status="running", worker_id="w1")
    await a.do("set_status", run_id=run_id, status="running", worker_id="w2")
    await a.do("complete", run_id=run_id, status="success")
    await a.do("set_status", run_id=run_id, status="pending", worker_id="w1")
    await a.do("complete", run_id=run_id, status="success", worker_id="w1")
    await a.do("complete", run_id=run_id, status="error", worker_id="w1")
    await a.do("update_model_name", run_id=run_id, model_name="m")


@scenario
async def a_revision_that_cannot_be_served(env: Environment) -> None:
    async with env.part() as first:
        await first.serve()
        a = await first.driver()
        for _ in range(6):
            await a.do_unrecorded("create", spec={"thread_id": "t"})
        await _fail_to_watch(a, all={}, after_revision=7)
        await _fail_to_watch(a, all={}, after_revision="18446744073709551615")
        await _fail_to_watch(a, all={}, after_revision=1, store_id="another")
    with closing(sqlite3.connect(env.db)) as file:
        file.execute("DELETE FROM log WHERE revision <= 3")
        file.commit()
    await env.serve()
    a = await env.driver()
    await _fail_to_watch(a, all={}, after_revision=1)
    await a.do("watch", w=2, all={}, after_revision=3)
    await a.do("next", w=2)


@scenario
async def a_store_that_another_process_locks(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    with closing(sqlite3.connect(env.db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await a.do("cancel", run_id=run_id)


@scenario
async def a_row_that_cannot_be_read(env: Environment) -> None:
    async with env.part() as first:
        await first.serve()
        a = await first.driver()
        run_id = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    with closing(sqlite3.connect(env.db)) as file:
        file.execute("UPDATE runs SET body = x'ff'")
        file.commit()
    await env.serve()
    a = await env.driver()
    await a.do("get", run_id=run_id)
    await a.do("list", thread_id="t")


@scenario
async def every_reason_as_a_server_may_send_it(env: Environment) -> None:
    script = ScenarioScript()
    await env.serve_script(script)
    a = await env.driver()
    codes = {int(row.reason): row.code for row in TABLE.values()}
    for value in ErrorReason.DESCRIPTOR.values[1:]:
        reason = value.name.removeprefix("ERROR_REASON_")
        code = codes.get(value.number) or grpc.StatusCode[reason]
        script.will(
            "Cancel", Refusal(code, "text", reason, {"run_id": "é"}, (("a.b", "bad"),), retry=2)
        )
        await a.do("cancel", run_id="r")
    script.will("Cancel", Refusal(grpc.StatusCode.INTERNAL, "no reason at all"))
    await a.do("cancel", run_id="r")
