"""Attached watches: a run is cancelled when its last attached watch has been closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import read, run_of

if TYPE_CHECKING:
    from tests.clients.environment import Environment


@scenario
async def a_run_that_was_left_is_cancelled_unless_it_may_go_on(env: Environment) -> None:
    await env.serve(attach_grace=0.2)
    a = await env.driver()
    b = await env.other_driver()
    left = await run_of(b)
    kept = await run_of(b, on_disconnect="continue")
    for w, run_id in ((1, kept), (2, left)):
        await a.do("watch", w=w, run_id=run_id, attach=True)
        await read(a, 2, w=w)
    await b.do("watch", w=1, run_id=left)
    await read(b, 2)
    await a.do("unwatch", w=1)
    await a.do("unwatch", w=2)
    await read(b, 2)
    await b.do("get", run_id=kept)


@scenario
async def an_attached_watch_comes_back_to_a_server_that_was_killed(env: Environment) -> None:
    server = await env.serve_process("--attach-grace", "1")
    a = await env.driver()
    b = await env.other_driver()
    run_id = await run_of(b)
    await a.do("watch", w=1, run_id=run_id, attach=True)
    await read(a, 2)
    change = await a.begin("next", w=1)
    await server.kill()
    await server.start()
    await b.wait_until_reconnected()
    await b.do("set_status", run_id=run_id, status="running")
    await change
    await b.do("complete", run_id=run_id, status="success")
    await read(a, 2)


@scenario
async def only_one_run_can_be_attached_to(env: Environment) -> None:
    await env.serve()
    a = await env.driver()
    await a.do("watch", w=1, thread_id="t", attach=True)
    await a.do("next", w=1)
