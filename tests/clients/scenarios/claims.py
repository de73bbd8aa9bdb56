"""Workers: programs that claim runs and perform them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.clients.environment import until
from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import run_of

if TYPE_CHECKING:
    from tests.clients.environment import Environment, RecordedDriver

ASSISTANT: Final = "support"


async def _claimable(a: RecordedDriver, thread: str, **spec: Any) -> Any:
    """Create a run that workers claim, and return its id."""
    return await run_of(a, thread_id=thread, assistant_id=ASSISTANT, **spec)


async def _worker(a: RecordedDriver, worker_id: str, **options: Any) -> None:
    await a.do("worker", k=1, worker_id=worker_id, assistants=[ASSISTANT], **options)


async def _is_idle(a: RecordedDriver, state: str) -> None:
    """Wait until the worker has this state and no run."""

    async def reached() -> bool:
        health = await a.do_unrecorded("worker_health", k=1)
        return bool(health == {"state": state, "running": 0})

    await until(reached)
    await a.do("worker_health", k=1)


@scenario
async def a_worker_claims_and_completes(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await run_of(a, thread_id="other", assistant_id="other")
    run_id = await _claimable(a, "t", kwargs={"input": "hello"})
    await _worker(a, "w1", lease_ttl_ms=30_000)
    await a.do("worker_next", k=1)
    await a.do("worker_health", k=1)
    progress = {"total_tokens": 5, "by_model": {"m": {"input_tokens": 3, "calls": 1}}}
    await a.do("worker_finish", k=1, run_id=run_id, progress=progress, result={"output": "hello"})
    await a.do("get", run_id=run_id)
    failing = await _claimable(a, "t")
    await a.do("worker_next", k=1)
    await a.do("worker_finish", k=1, run_id=failing, error="kaputt: ü")
    await a.do("worker_stop", k=1)
    await a.do("worker_health", k=1)


@scenario
async def a_worker_performs_as_many_runs_as_it_has_room_for(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await _worker(a, "w1", concurrency=2)
    first = await _claimable(a, "t1")
    await a.do("worker_next", k=1)
    second = await _claimable(a, "t2")
    await a.do("worker_next", k=1)
    third = await _claimable(a, "t3")
    await a.do("worker_health", k=1)
    await a.do("get", run_id=third)
    await a.do("worker_finish", k=1, run_id=first)
    await a.do("worker_next", k=1)
    await a.do("worker_finish", k=1, run_id=third)
    await a.do("worker_finish", k=1, run_id=second)
    await a.do("worker_stop", k=1)


@scenario
async def two_workers_share(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    b = await env.other_driver()
    first, second = [await _claimable(a, f"t{number}") for number in range(2)]
    await _worker(a, "w1")
    await a.do("worker_next", k=1)
    await _worker(b, "w2")
    await b.do("worker_next", k=1)
    await b.do("worker_finish", k=1, run_id=second)
    await a.do("worker_finish", k=1, run_id=first)
    await a.do("worker_stop", k=1)
    await b.do("worker_stop", k=1)


@scenario
async def a_worker_waits_for_a_run(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    b = await env.other_driver()
    await _worker(a, "w1")
    called = await a.begin("worker_next", k=1)
    run_id = await _claimable(b, "t")
    await called
    await a.do("worker_finish", k=1, run_id=run_id)
    await a.do("worker_stop", k=1)


@scenario
async def a_cancel_reaches_its_handler(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await _claimable(a, "t")
    await _worker(a, "w1")
    await a.do("worker_next", k=1)
    await b.do("cancel", run_id=run_id)
    await a.do("worker_stopped", k=1, run_id=run_id)
    await a.do("worker_stop", k=1)
    await b.do("get", run_id=run_id)


@scenario
async def a_retryable_failure_is_claimed_again(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    run_id = await _claimable(a, "t", retry={"max_attempts": 2})
    await _worker(a, "w1")
    for _ in range(2):
        await a.do("worker_next", k=1)
        await a.do("worker_finish", k=1, run_id=run_id, error="busy", retryable=True)
    await a.do("worker_stop", k=1)
    await a.do("get", run_id=run_id)


@scenario
async def a_worker_that_stops_gives_its_run_back(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await _claimable(a, "t")
    await _worker(a, "w1", grace_ms=0)
    await a.do("worker_next", k=1)
    await a.do("worker_stop", k=1)
    await a.do("worker_stopped", k=1, run_id=run_id)
    await a.do("worker_health", k=1)
    await _worker(b, "w2")
    await b.do("worker_next", k=1)
    await b.do("worker_finish", k=1, run_id=run_id)
    await b.do("worker_stop", k=1)


@scenario
async def a_server_restarts_while_its_worker_is_idle(env: Environment) -> None:
    server = await env.serve_process()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await _claimable(a, "t")
    await _worker(a, "w1")
    await a.do("worker_next", k=1)
    await a.do("worker_finish", k=1, run_id=run_id)
    await _is_idle(a, "working")
    await server.kill()
    await _is_idle(a, "disconnected")
    await server.start_again()
    await _is_idle(a, "working")
    await b.wait_until_reconnected()
    run_id = await _claimable(b, "t")
    await a.do("worker_next", k=1)
    await a.do("worker_finish", k=1, run_id=run_id)
    await a.do("worker_stop", k=1)


@scenario
async def a_server_restarts_while_its_worker_performs_a_run(env: Environment) -> None:
    server = await env.serve_process()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await _claimable(a, "t")
    await _worker(a, "w1", lease_ttl_ms=30_000)
    await a.do("worker_next", k=1)
    await server.kill()
    report = await a.begin("worker_finish", k=1, run_id=run_id, progress={"total_tokens": 5})
    await server.start_again()
    await report
    await b.wait_until_reconnected()
    await b.do("get", run_id=run_id)
    await a.do("worker_stop", k=1)
