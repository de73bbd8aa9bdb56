"""The events of a watch, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runsvc.v1 import admin_service_pb2
from tests.clients.scenario import scenario

if TYPE_CHECKING:
    from tests.clients.environment import Environment, RecordedDriver


async def read(a: RecordedDriver, count: int, w: int = 1) -> None:
    """Read this many events."""
    for _ in range(count):
        await a.do("next", w=w)


async def run_of(a: RecordedDriver, **spec: Any) -> str:
    """Create a run on thread t and return its id."""
    run_id: str = (await a.do("create", spec={"thread_id": "t", **spec}))["run"]["run_id"]
    return run_id


@scenario
async def a_run_from_its_snapshot_to_its_end(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a, metadata={"ü": 1}, kwargs={"left": "out"})
    await a.do("watch", w=1, run_id=run_id)
    await read(a, 2)
    await a.do("set_status", run_id=run_id, status="running", worker_id="w1")
    await a.do(
        "complete",
        run_id=run_id,
        status="error",
        error="Öl",
        progress={"total_tokens": 0},
        worker_id="w1",
    )
    await read(a, 3)


@scenario
async def a_run_that_is_over(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("cancel", run_id=run_id)
    await a.do("watch", w=1, run_id=run_id)
    await read(a, 3)
    await a.do("watch", w=2, run_id=run_id, after_revision=0)
    await read(a, 3, w=2)
    await a.do("watch", w=3, run_id=run_id, after_revision=2)
    await read(a, 1, w=3)


@scenario
async def a_cancel_in_one_language_seen_in_another(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await run_of(b)
    await a.do("watch", w=1, run_id=run_id)
    await read(a, 2)
    change = await a.begin("next", w=1)
    await b.do("cancel", run_id=run_id, action="rollback", note="от b")
    await change
    await read(a, 1)


@scenario
async def until_the_executor_has_stopped(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("set_status", run_id=run_id, status="running", worker_id="w1")
    await a.do("watch", w=1, run_id=run_id, until_acknowledged=True)
    await read(a, 2)
    await a.do("cancel", run_id=run_id)
    await read(a, 1)
    await a.do("acknowledge_cancel", run_id=run_id, worker_id="w1")
    await read(a, 2)
    never_ran = await run_of(a)
    await a.do("watch", w=2, run_id=never_ran, until_acknowledged=True)
    await read(a, 2, w=2)
    await a.do("cancel", run_id=never_ran)
    await read(a, 2, w=2)


@scenario
async def a_thread_and_who_displaces_whom(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await run_of(a)
    await run_of(a)
    await a.do("watch", w=1, thread_id="t")
    await read(a, 3)
    await a.do("create", spec={"thread_id": "elsewhere"})
    await a.do("create_or_reject", spec={"thread_id": "t", "multitask_strategy": "interrupt"})
    await read(a, 3)
    await a.do("watch", w=2, thread_id="t", after_revision=2)
    await read(a, 3, w=2)
    await a.do("unwatch", w=1)
    await a.do("unwatch", w=2)


@scenario
async def all_runs_and_those_of_an_assistant(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await a.do("watch", w=1, all={})
    await read(a, 1)
    await a.do("watch", w=2, all={"assistant_id": "second"})
    await read(a, 1, w=2)
    await run_of(a, assistant_id="first")
    await run_of(a, assistant_id="second")
    await read(a, 2)
    await read(a, 1, w=2)
    await a.do("unwatch", w=1)
    await a.do("unwatch", w=2)


@scenario
async def progress_where_it_is_asked_for(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("set_status", run_id=run_id, status="running")
    await a.do("watch", w=1, run_id=run_id, include_progress=True)
    await read(a, 2)
    await a.do(
        "update_progress", run_id=run_id, progress={"total_tokens": 5, "last_ai_message": "…"}
    )
    await read(a, 1)
    await a.do("complete", run_id=run_id, status="success")
    await read(a, 2)


@scenario
async def a_run_that_was_removed(env: Environment) -> None:
    server = await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("watch", w=1, thread_id="t")
    await read(a, 2)
    await a.do("complete", run_id=run_id, status="success")
    await server.admin.Delete(admin_service_pb2.DeleteRequest(run_id=run_id))
    await read(a, 2)
    await a.do("watch", w=2, run_id=run_id, after_revision=0)
    await read(a, 4, w=2)
    await a.do("unwatch", w=1)
