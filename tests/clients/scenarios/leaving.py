"""Watches that are closed early: neither server nor client keeps anything of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.clients.environment import until, watchers
from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import read, run_of

if TYPE_CHECKING:
    from tests.clients.environment import Environment, RecordedDriver
    from tests.support.server import Client

ROUNDS = 1000
#: Allowed growth after that many rounds, for pools and caches that fill once.
SLACK = 20


async def _check_no_stream(env: Environment, server: Client) -> None:
    async def no_stream() -> bool:
        return await watchers(server) == 0

    await until(no_stream)
    env.record(server="GetServerInfo", watchers=0)


@scenario
async def frees_the_stream(env: Environment) -> None:
    server = await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("watch", w=1, run_id=run_id)
    await read(a, 1)
    await a.do("watch", w=2, all={})
    await read(a, 2, w=2)
    await a.do("unwatch", w=1)
    await a.do("unwatch", w=2)
    await _check_no_stream(env, server)
    # The channel still works.
    await a.do("cancel", run_id=run_id)


@scenario
async def leaves_nothing_behind_in_a_thousand_rounds(env: Environment) -> None:
    server = await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    await a.do("watch_and_leave", run_id=run_id, rounds=20)
    before = await _resources(a)
    await a.do("watch_and_leave", run_id=run_id, rounds=ROUNDS)
    await _check_no_stream(env, server)

    async def no_growth() -> bool:
        held = await _resources(a)
        return all(held[name] <= before[name] + SLACK for name in before)

    await until(no_growth)
    await a.do("get", run_id=run_id)


async def _resources(a: RecordedDriver) -> dict[str, Any]:
    """The open resources of the driver's process, as its language and the operating system count them."""
    process = Path("/proc", str(a.driver.pid))
    counted: dict[str, Any] = await a.do_unrecorded("resources")
    return {
        **counted,
        "files": len(list(process.joinpath("fd").iterdir())),
        "system threads": len(list(process.joinpath("task").iterdir())),
    }
