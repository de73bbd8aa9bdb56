"""The connections of a client. A server limits the calls at a time on each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.clients.environment import until, watchers
from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import run_of

if TYPE_CHECKING:
    from tests.clients.environment import Environment

#: More than two connections take.
WATCHES: Final = 600


@scenario
async def calls_do_not_wait_behind_watches(env: Environment) -> None:
    server = await env.serve()
    a = await env.driver()
    run_id = await run_of(a)
    for w in range(WATCHES):
        await a.do_unrecorded("watch", w=w, run_id=run_id)
        await a.do_unrecorded("next", w=w)
    env.record(server="streams", watchers=await watchers(server))
    await a.do("get", run_id=run_id, timeout_ms=5_000)
    for w in range(WATCHES):
        await a.do_unrecorded("unwatch", w=w)

    async def none_left() -> bool:
        return await watchers(server) == 0

    await until(none_left)
    await a.do("watch", w=0, run_id=run_id)
    await a.do("next", w=0)
