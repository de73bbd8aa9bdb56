"""Every unary call, with values that are hard to encode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.clients.scenario import scenario

if TYPE_CHECKING:
    from tests.clients.environment import Environment

JSON: dict[str, Any] = {
    "nested": {"list": [1, 2.5, None, True, [], {}, "x"], "empty": {}},
    "Zürich": '日本語 🚀 e\u0301 \u0000 " \\ </script>',
    "": -0.125,
    "large": 1e300,
}

LARGE = {
    "total_input_tokens": "9007199254740993",
    "total_tokens": "9223372036854775807",
    "llm_call_count": 9007199254740991,
}


@scenario
async def a_run_keeps_what_it_was_given(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run = (await a.do("create", spec={"thread_id": "t"}))["run"]
    await a.do("get", run_id=run["run_id"])
    spec = {
        "thread_id": "A:z/0@._-",
        "assistant_id": "assistant",
        "on_disconnect": "continue",
        "multitask_strategy": "rollback",
        "model_name": "  modèle  ",
        "worker_id": "w1",
        "metadata": JSON,
        "kwargs": JSON,
    }
    full = (await a.do("create_or_reject", spec=spec))["run"]
    await a.do("get", run_id=full["run_id"])


@scenario
async def large_values_pass(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    metadata, kwargs = {"k": "é" * 30_000}, {"k": "🚀" * 250_000}
    run = (await a.do("create", spec={"thread_id": "t", "metadata": metadata, "kwargs": kwargs}))[
        "run"
    ]
    await a.do("get", run_id=run["run_id"])
    for number in range(60):
        await a.do_unrecorded("create", spec={"thread_id": f"t{number % 2}", "metadata": metadata})
    # A page ends at 1 MiB, so this list takes several pages.
    listed = (await a.do_unrecorded("list", thread_id="t0"))["runs"]
    env.record(
        listed=len({run["run_id"] for run in listed}),
        whole=all(run["metadata"] == metadata for run in listed),
    )
    await a.do("create", spec={"thread_id": "t", "metadata": {"k": "é" * 40_000}})
    await a.do("complete", run_id=run["run_id"], status="error", error="ü" * 8_192)


@scenario
async def an_executor_reports(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = (await a.do("create", spec={"thread_id": "t", "kwargs": {"k": 1}}))["run"]["run_id"]
    of = {"run_id": run_id, "worker_id": "w1"}
    await a.do("update_progress", progress={"total_tokens": 1}, **of)
    await a.do("set_status", status="running", **of)
    await a.do("set_status", status="running", **of)
    await a.do(
        "update_progress", progress={"total_tokens": 5, "last_ai_message": "né"}, sequence=2, **of
    )
    await a.do("update_progress", progress={"total_tokens": 4}, sequence=1, **of)
    await a.do("update_progress", progress={"total_tokens": 0}, sequence=3, **of)
    await a.do("update_model_name", run_id=run_id, model_name=" model ")
    await a.do("update_model_name", run_id=run_id)
    await a.do("complete", status="error", error="no more credit", **of)
    await a.do("complete", status="error", progress={"llm_call_count": 3}, **of)
    await a.do("complete", status="error", progress={"llm_call_count": 4}, **of)
    await a.do("get", run_id=run_id)


@scenario
async def numbers_beyond_2_53_keep_their_digits(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    await a.do("set_status", run_id=run_id, status="running")
    await a.do("update_progress", run_id=run_id, progress=LARGE, sequence="9223372036854775806")
    await a.do(
        "update_progress",
        run_id=run_id,
        progress={"total_tokens": 1},
        sequence="9223372036854775805",
    )
    await a.do("get", run_id=run_id)


@scenario
async def a_cancel_says_what_it_found(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    pending = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    await a.do("cancel", run_id=pending)
    await a.do("cancel", run_id=pending, action="rollback", note="again")
    running = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    await a.do("set_status", run_id=running, status="running", worker_id="w1")
    await a.do("cancel", run_id=running, action="rollback", note="Schluß")
    await a.do("update_progress", run_id=running, progress={"total_tokens": 7}, worker_id="w1")
    await a.do("acknowledge_cancel", run_id=running, worker_id="w1", progress={"total_tokens": 9})
    await a.do("acknowledge_cancel", run_id=running, worker_id="w1")
    done = (await a.do("create", spec={"thread_id": "t"}))["run"]["run_id"]
    await a.do("complete", run_id=done, status="success")
    await a.do("cancel", run_id=done)
    await a.do("update_progress", run_id=done, progress={"total_tokens": 3}, final=True)


@scenario
async def a_strategy_decides_who_runs(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await a.do("has_inflight", thread_id="t")
    for strategy in ("reject", "reject", "interrupt", "rollback"):
        await a.do(
            "create_or_reject",
            spec={"thread_id": "t", "multitask_strategy": strategy, "kwargs": {"k": 1}},
        )
    await a.do("create", spec={"thread_id": "t"})
    await a.do("has_inflight", thread_id="t")
    await a.do("create_or_reject", spec={"thread_id": "t", "multitask_strategy": "interrupt"})


@scenario
async def a_repeated_creation_creates_nothing(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    spec = {"thread_id": "t", "multitask_strategy": "interrupt", "metadata": JSON}
    for cmd in ("create", "create_or_reject", "create_or_reject"):
        await a.do(cmd, request_id="répété", spec=spec)
    await a.do("create", request_id="répété", spec=spec)
    await a.do("create", request_id="répété", spec={"thread_id": "t"})
    await a.do("list", thread_id="t")


@scenario
async def pages_come_as_one_list(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await a.do("list", thread_id="t")
    for number in range(7):
        run_id = (
            await a.do_unrecorded(
                "create", spec={"thread_id": "t", "metadata": {"n": number}, "kwargs": {"k": 1}}
            )
        )["run"]["run_id"]
        if number % 2:
            await a.do_unrecorded("complete", run_id=run_id, status="success")
    await a.do("list", thread_id="t", page_size=3)
    await a.do("list", thread_id="t", page_size=2, statuses=["success"])
    await a.do("list", thread_id="t", statuses=["error", "timeout"])
    await a.do("list_first", thread_id="t", page_size=2, count=3)
    await a.do("list", thread_id="t", page_size=-1)
