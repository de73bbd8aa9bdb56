"""A watch that is left early holds nothing: no stream at the server, nothing in the client."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.clients.environment import until, watchers
from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import read, run_of

if TYPE_CHECKING:
    from tests.clients.environment import Actor, Stage
    from tests.support.server import Client

ROUNDS = 1000
#: What may be more after so many rounds: pools and caches that fill once.
SLACK = 20


async def _no_stream(stage: Stage, server: Client) -> None:
    async def none() -> bool:
        return await watchers(server) == 0

    await until(none)
    stage.record(server="GetServerInfo", watchers=0)


@scenario
async def frees_the_stream(stage: Stage) -> None:
    server = await stage.serve()
    a = await stage.driver()
    run_id = await run_of(a)
    await a.do("watch", w=1, run_id=run_id)
    await read(a, 1)
    await a.do("watch", w=2, all={})
    await read(a, 2, w=2)
    await a.do("unwatch", w=1)
    await a.do("unwatch", w=2)
    await _no_stream(stage, server)
    # The channel is as good as before.
    await a.do("cancel", run_id=run_id)


@scenario
async def leaves_nothing_behind_in_a_thousand_rounds(stage: Stage) -> None:
    server = await stage.serve()
    a = await stage.driver()
    run_id = await run_of(a)
    await a.do("watch_and_leave", run_id=run_id, rounds=20)
    before = await _held(a)
    await a.do("watch_and_leave", run_id=run_id, rounds=ROUNDS)
    await _no_stream(stage, server)

    async def nothing_more() -> bool:
        held = await _held(a)
        return all(held[name] <= before[name] + SLACK for name in before)

    await until(nothing_more)
    await a.do("get", run_id=run_id)


async def _held(a: Actor) -> dict[str, Any]:
    """What the driver's process holds open: as its language counts, and as the system does."""
    process = Path("/proc", str(a.driver.pid))
    counted: dict[str, Any] = await a.ask("resources")
    return {
        **counted,
        "files": len(list(process.joinpath("fd").iterdir())),
        "system threads": len(list(process.joinpath("task").iterdir())),
    }
