"""Every reason for which a call or a watch is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import grpc

from runsvc.rpc.status import TABLE
from runsvc.v1.error_reason_pb2 import ErrorReason
from tests.clients.programmed import Programme
from tests.clients.scenario import scenario
from tests.support.scripted import Refusal

if TYPE_CHECKING:
    from tests.clients.environment import Actor, Stage

NOBODY = "0198c0de-0000-7000-8000-000000000000"


async def _refused_watch(a: Actor, **watch: Any) -> None:
    await a.do("watch", w=1, **watch)
    await a.do("next", w=1)


@scenario
async def a_run_that_is_not_there(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
    for cmd, fields in (
        ("get", {}),
        ("set_status", {"status": "running"}),
        ("complete", {"status": "success"}),
        ("update_progress", {}),
        ("update_model_name", {}),
        ("cancel", {}),
        ("acknowledge_cancel", {}),
    ):
        await a.do(cmd, run_id=NOBODY, **fields)
    await _refused_watch(a, run_id=NOBODY)
    await _refused_watch(a, run_id=NOBODY, after_revision=0)


@scenario
async def a_request_that_is_at_fault_in_every_field(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
    await a.do("create", spec={})
    await a.do("create_or_reject")
    await a.do(
        "create",
        request_id="x" * 256,
        spec={"thread_id": "no blanks", "assistant_id": "ß", "model_name": "m" * 129},
    )
    await a.do("get")
    await a.do("cancel", run_id=NOBODY, action=99)
    await a.do("set_status", run_id=NOBODY, status=99)
    await a.do("create", spec={"thread_id": "t", "multitask_strategy": 99, "on_disconnect": 99})
    await _refused_watch(a)
    await _refused_watch(a, thread_id="t", until_acknowledged=True)


@scenario
async def a_thread_in_the_way(stage: Stage) -> None:
    await stage.serve(max_active_per_thread=1)
    a = await stage.driver()
    await a.do("create", request_id="r", spec={"thread_id": "t"})
    await a.do("create_or_reject", spec={"thread_id": "t"})
    await a.do("create", spec={"thread_id": "t"})
    await a.do("create", request_id="r", spec={"thread_id": "u"})
    await a.do("create", spec={"thread_id": "u", "multitask_strategy": "enqueue"})


@scenario
async def a_run_in_another_state(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
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
async def a_revision_that_cannot_be_served(stage: Stage) -> None:
    async with stage.interlude() as first:
        await first.serve()
        a = await first.driver()
        for _ in range(6):
            await a.ask("create", spec={"thread_id": "t"})
        await _refused_watch(a, all={}, after_revision=7)
        await _refused_watch(a, all={}, after_revision="18446744073709551615")
        await _refused_watch(a, all={}, after_revision=1, store_id="another")
    with closing(sqlite3.connect(stage.db)) as file:
        file.execute("DELETE FROM log WHERE revision <= 3")
        file.commit()
    await stage.serve()
    a = await stage.driver()
    await _refused_watch(a, all={}, after_revision=1)
    await a.do("watch", w=2, all={}, after_revision=3)
    await a.do("next", w=2)


@scenario
async def a_store_that_another_process_locks(stage: Stage) -> None:
    await stage.serve()
    a = await stage.driver()
    run_id = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    with closing(sqlite3.connect(stage.db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await a.do("cancel", run_id=run_id)


@scenario
async def a_row_that_cannot_be_read(stage: Stage) -> None:
    async with stage.interlude() as first:
        await first.serve()
        a = await first.driver()
        run_id = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    with closing(sqlite3.connect(stage.db)) as file:
        file.execute("UPDATE runs SET body = x'ff'")
        file.commit()
    await stage.serve()
    a = await stage.driver()
    await a.do("get", run_id=run_id)
    await a.do("list", thread_id="t")


@scenario
async def every_reason_as_a_server_may_send_it(stage: Stage) -> None:
    programme = Programme()
    await stage.program(programme)
    a = await stage.driver()
    codes = {int(row.reason): row.code for row in TABLE.values()}
    for value in ErrorReason.DESCRIPTOR.values[1:]:
        reason = value.name.removeprefix("ERROR_REASON_")
        code = codes.get(value.number) or grpc.StatusCode[reason]
        programme.will(
            "Cancel", Refusal(code, "text", reason, {"run_id": "é"}, (("a.b", "bad"),), retry=2)
        )
        await a.do("cancel", run_id="r")
    programme.will("Cancel", Refusal(grpc.StatusCode.INTERNAL, "no reason at all"))
    await a.do("cancel", run_id="r")
