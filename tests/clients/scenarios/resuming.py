"""Watches that lose their server: they resume without a gap and without a repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from runsvc.v1.run_pb2 import Run
from runsvc.v1.run_service_pb2 import StreamStatusResponse
from tests.clients.scenario import scenario
from tests.clients.scenario_script import NO_ANSWER, ScenarioScript
from tests.clients.scenarios.watches import read, run_of
from tests.support.scripted import Refusal
from tests.support.server import Process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clients.environment import Environment, RecordedDriver

GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone", "SERVER_DRAINING", retry=0)
CUT = Refusal(grpc.StatusCode.INTERNAL, "the stream was reset")
STORE = "0198c0de-0000-4000-8000-00000000000a"


def event(
    kind: str, revision: int = 0, status: str = "", store_id: str = ""
) -> StreamStatusResponse:
    """An event in the form that a server sends."""
    run = Run(run_id="r", status=f"RUN_STATUS_{status}") if status else None
    return StreamStatusResponse(
        event=f"STATUS_EVENT_{kind}",
        revision=revision,
        run=run,
        store_id=store_id,
    )


async def _watch_across_restarts(
    env: Environment, end: Callable[[Process], Awaitable[Any]]
) -> None:
    """Watch one run and all runs across two restarts."""

    async def restart(server: Process) -> None:
        await end(server)
        await server.start()
        env.record(server=end.__name__, then="start")

    server = await env.serve_process()
    a = await env.driver()
    b = await env.other_driver()
    run_id = await run_of(b)
    await a.do("watch", w=1, run_id=run_id)
    await read(a, 2)
    await a.do("watch", w=2, all={}, after_revision=0)
    await read(a, 1, w=2)
    # One watch waits for an event, the other has unread events.
    change = await a.begin("next", w=1)
    await restart(server)
    await b.wait_until_reconnected()
    await b.do("set_status", run_id=run_id, status="running")
    await change
    await restart(server)
    await b.wait_until_reconnected()
    for _ in range(3):
        await run_of(b)
    await b.do("complete", run_id=run_id, status="success")
    await read(a, 2)
    await read(a, 5, w=2)
    await a.do("unwatch", w=2)


@scenario
async def across_a_kill(env: Environment) -> None:
    await _watch_across_restarts(env, Process.kill)


@scenario
async def across_a_stop(env: Environment) -> None:
    await _watch_across_restarts(env, Process.stop)


@scenario
async def a_server_that_comes_later(env: Environment) -> None:
    server = await env.serve_process()
    run_id = await run_of(await env.driver())
    await server.kill()
    late = await env.driver("late")
    await late.do("watch", w=1, run_id=run_id)
    snapshot = await late.begin("next", w=1)
    await server.start()
    await snapshot
    await late.do("unwatch", w=1)


@scenario
async def a_server_that_stays_away(env: Environment) -> None:
    server = await env.serve_process()
    await server.kill()
    a = await env.driver()
    await a.do("watch", w=1, all={}, outage_ms=300)
    await a.do("next", w=1)


def _record_positions(script: ScenarioScript, env: Environment) -> None:
    """Record the position from which each stream was requested."""
    for request in script.asked:
        position = request.after_revision if request.HasField("after_revision") else None
        env.record(server="StreamStatus", after_revision=position, store_id=request.store_id)


async def _watch_script(env: Environment, *streams: list[Any], **watch: Any) -> RecordedDriver:
    """Watch a server that serves these streams one after the other, until the watch ends."""
    script = ScenarioScript()
    script.will("StreamStatus", *streams)
    await env.serve_script(script)
    a = await env.driver()
    await a.do("watch", w=1, run_id="r", **watch)
    while "event" in await a.do("next", w=1):
        pass
    _record_positions(script, env)
    return a


@scenario
async def its_position_is_the_last_revision_it_was_told(env: Environment) -> None:
    snapshot = [event("SNAPSHOT", status="PENDING"), event("SNAPSHOT_END", 5, store_id=STORE)]
    progress = event("PROGRESS", status="RUNNING")
    await _watch_script(
        env,
        [
            *snapshot,
            event("CHANGED", 7, "RUNNING"),
            event("HEARTBEAT", 9, store_id=STORE),
            progress,
            GONE,
        ],
        [CUT],
        [progress, GONE],
        [event("CHANGED", 12, "RUNNING"), CUT],
        [event("CHANGED", 13, "SUCCESS"), GONE],
        [],
    )


@scenario
async def a_snapshot_that_was_cut_off_comes_again(env: Environment) -> None:
    snapshot = event("SNAPSHOT", status="RUNNING")
    await _watch_script(
        env, [snapshot, GONE], [snapshot, event("SNAPSHOT_END", 0, store_id=STORE), GONE], []
    )


@scenario
async def where_the_caller_wanted_to_begin(env: Environment) -> None:
    await _watch_script(
        env, [GONE], [event("CHANGED", 4, "RUNNING"), GONE], [], after_revision=3, store_id=STORE
    )


@scenario
async def when_a_connection_has_grown_old(env: Environment) -> None:
    script = ScenarioScript()
    script.will(
        "StreamStatus",
        [event("CHANGED", 4, "RUNNING"), NO_ANSWER],
        [event("CHANGED", 5, "SUCCESS")],
    )
    age = (("grpc.max_connection_age_ms", 1_000), ("grpc.max_connection_age_grace_ms", 1_000))
    await env.serve_script(script, options=age)
    a = await env.driver()
    await a.do("watch", w=1, run_id="r", after_revision=3)
    await read(a, 3)
    _record_positions(script, env)


@scenario
async def every_other_error_ends_it(env: Environment) -> None:
    compacted = Refusal(
        grpc.StatusCode.OUT_OF_RANGE, "", "REVISION_COMPACTED", {"oldest_revision": "9"}
    )
    await _watch_script(env, [event("CHANGED", 4, "RUNNING"), GONE], [compacted], after_revision=3)


@scenario
async def an_error_that_the_server_means_ends_it(env: Environment) -> None:
    corrupt = Refusal(grpc.StatusCode.DATA_LOSS, "", "CORRUPT_ROW", {"run_id": "r"})
    await _watch_script(env, [event("CHANGED", 4, "RUNNING"), corrupt], after_revision=3)


@scenario
async def a_server_that_is_gone_for_longer_than_it_may(env: Environment) -> None:
    script = ScenarioScript()
    script.will("StreamStatus", *[[GONE]] * 100)
    await env.serve_script(script)
    a = await env.driver()
    await a.do("watch", w=1, run_id="r", outage_ms=200)
    await a.do("next", w=1)


@scenario
async def left_while_its_server_is_silent(env: Environment) -> None:
    script = ScenarioScript()
    script.will(
        "StreamStatus",
        [event("CHANGED", 4, "RUNNING"), GONE],
        [event("CHANGED", 5, "RUNNING"), NO_ANSWER],
    )
    await env.serve_script(script)
    a = await env.driver()
    await a.do("watch", w=1, run_id="r", after_revision=3)
    await read(a, 2)
    await a.do("unwatch", w=1)
