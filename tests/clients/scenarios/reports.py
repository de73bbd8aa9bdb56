"""Reports of the end, and what may follow it: results, stop reasons, late usage, usage by model, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.clients.scenario import scenario
from tests.clients.scenarios.calls import JSON
from tests.clients.scenarios.watches import read, run_of

if TYPE_CHECKING:
    from tests.clients.environment import Environment, RecordedDriver

BY_MODEL: dict[str, Any] = {
    "large": {"input_tokens": "9007199254740993", "output_tokens": 0, "calls": 1},
    "modèle 🚀": {"cache_read_tokens": 2, "reasoning_tokens": 3},
    "bare": {},
}


def nested(depth: int) -> dict[str, Any]:
    """An object of this many levels."""
    return {"a": nested(depth - 1)} if depth > 1 else {}


async def running(a: RecordedDriver, **start: Any) -> str:
    """Create a run, start it and return its id."""
    run_id = await run_of(a)
    await a.do("set_status", run_id=run_id, status="running", **start)
    return run_id


@scenario
async def a_result_is_kept(env: Environment) -> None:
    await env.serve()
    a, b = await env.driver(), await env.other_driver()
    spec = {"thread_id": "t", "kwargs": {"input": 1}}
    run_id = (await a.do("create", spec=spec, request_id="once"))["run"]["run_id"]
    end = {"run_id": run_id, "status": "success", "result": JSON}
    await a.do("complete", **end, stop_reason="  token_capped ")
    await b.do("get", run_id=run_id)
    await a.do("list", thread_id="t")
    await b.do("complete", run_id=run_id, status="success", result={"another": True})
    await a.do("create", spec=spec, request_id="once")
    other = await run_of(a)
    await a.do("set_status", run_id=other, status="success", result={"k": "🚀" * 250_000})
    await b.do("get", run_id=other)


@scenario
async def invalid_contents_of_an_end(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("complete", run_id=run_id, status="error", result={"a": 1})
    await a.do("complete", run_id=run_id, status="success", result=nested(17))
    await a.do("set_status", run_id=run_id, status="success", result={"a": "x" * (1 << 20)})
    await a.do("set_status", run_id=run_id, status="running", stop_reason="early")
    await a.do("complete", run_id=run_id, status="success", stop_reason="x" * 129)
    await a.do("get", run_id=run_id)


@scenario
async def a_long_error_is_cut(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    for text in ("ü" * 8_192, "ü" * 8_193, "€" * 100_000):
        await a.do("complete", run_id=await run_of(a), status="error", error=text)


@scenario
async def an_interrupted_report_acknowledges(env: Environment) -> None:
    await env.serve()
    a, b = await env.driver(), await env.other_driver()
    for report in ("set_status", "complete"):
        run_id = await running(a, worker_id="w")
        await b.do("cancel", run_id=run_id)
        await b.do("watch", w=1, run_id=run_id, until_acknowledged=True)
        await read(b, 2)
        end = {"run_id": run_id, "status": "interrupted", "stop_reason": "asked"}
        await a.do(report, **end)
        await a.do(report, **end, worker_id="w")
        await a.do(report, **end, worker_id="w")
        await b.do("next", w=1)
        await b.do("next", w=1)


@scenario
async def usage_after_the_end_is_a_change(env: Environment) -> None:
    await env.serve()
    a, b = await env.driver(), await env.other_driver()
    run_id = await run_of(a)
    await b.do("watch", w=1, thread_id="t", include_progress=True)
    await read(b, 2)
    ended = (await a.do("complete", run_id=run_id, status="success"))["run"]
    await a.do("update_progress", run_id=run_id, progress={"total_tokens": 7}, final=True)
    await a.do("update_progress", run_id=run_id, progress={"total_tokens": 8}, final=True)
    await b.do("next", w=1)
    await b.do("next", w=1)
    await b.do("unwatch", w=1)
    await b.do("watch", w=2, run_id=run_id, after_revision=ended["revision"])
    await b.do("next", w=2)
    await b.do("next", w=2)


@scenario
async def usage_by_model(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await running(a)
    await a.do("update_progress", run_id=run_id, progress={"by_model": BY_MODEL})
    more = {"large": {"output_tokens": 5}, "new": {"calls": 0}}
    end = {"run_id": run_id, "status": "success"}
    many: dict[str, Any] = {f"m{number}": {} for number in range(30)}
    wrongs: tuple[dict[str, Any], ...] = ({"": {}}, {"large": {"calls": -1}}, many)
    for wrong in wrongs:
        await a.do("complete", **end, progress={"by_model": wrong})
    await a.do("complete", **end, progress={"by_model": more})


@scenario
async def metadata_changes_at_any_time(env: Environment) -> None:
    await env.serve()
    a, b = await env.driver(), await env.other_driver()
    run_id = await run_of(a, metadata={"a": 1, "b": {"x": 1, "y": 2}})
    await b.do("watch", w=1, thread_id="t", include_progress=True)
    await read(b, 2)
    await a.do("update_metadata", run_id=run_id, set={"b": {"x": 9}, **JSON}, remove=["a", "none"])
    await b.do("next", w=1)
    await a.do("update_metadata", run_id=run_id, set={"b": {"x": 9}})
    await a.do("set_status", run_id=run_id, status="success")
    await b.do("next", w=1)
    await a.do("update_metadata", run_id=run_id, remove=["nested", "large"])
    await b.do("next", w=1)
    await a.do("update_metadata", run_id=run_id)
    await a.do("update_metadata", run_id=run_id, set={"c": 1}, remove=["c"])
    await a.do("update_metadata", run_id=run_id, set={"c": "x" * 65_536})
    await a.do("update_metadata", run_id="unknown", remove=["a"])


@scenario
async def an_executor_reports_a_result(env: Environment) -> None:
    await env.serve()
    a, b = await env.driver(), await env.other_driver()
    run_id = await run_of(a)
    await a.do("work", k=1, run_id=run_id, worker_id="w1")
    await a.do("report", k=1, progress={"by_model": {"m": {"input_tokens": 5, "calls": 1}}})
    await a.do("report", k=1, progress={"by_model": {"m": {"calls": 2}, "n": {"calls": 1}}})
    usage = {"total_tokens": 5}
    await a.do("finish", k=1, result=JSON, stop_reason="token_capped", progress=usage)
    await b.do("get", run_id=run_id)


@scenario
async def an_executor_gives_a_reason(env: Environment) -> None:
    await env.serve()
    a, b = await env.driver(), await env.other_driver()
    failed, cancelled = await run_of(a), await run_of(a)
    await a.do("work", k=1, run_id=failed, worker_id="w1")
    # A result belongs to SUCCESS only, so it is not sent with a failure.
    await a.do("finish", k=1, error="kaputt", stop_reason="out_of_memory", result={"a": 1})
    await a.do("work", k=2, run_id=cancelled, worker_id="w1")
    await b.do("cancel", run_id=cancelled)
    await a.do("stopped", k=2, stop_reason="asked")
    await b.do("get", run_id=cancelled)
