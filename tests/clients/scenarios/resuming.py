"""A watch whose server goes away: it comes back, with no gap and no repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from runsvc.v1.run_pb2 import Run
from runsvc.v1.run_service_pb2 import StreamStatusResponse
from tests.clients.programmed import SILENCE, Programme
from tests.clients.scenario import scenario
from tests.clients.scenarios.watches import read, run_of
from tests.support.scripted import Refusal
from tests.support.server import Process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clients.environment import Actor, Stage

GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone", "SERVER_DRAINING", retry=0)
CUT = Refusal(grpc.StatusCode.INTERNAL, "the stream was reset")
STORE = "0198c0de-0000-4000-8000-00000000000a"


def event(
    kind: str, revision: int = 0, status: str = "", store_id: str = ""
) -> StreamStatusResponse:
    """An event as a server sends it."""
    run = Run(run_id="r", status=f"RUN_STATUS_{status}") if status else None
    return StreamStatusResponse(
        event=f"STATUS_EVENT_{kind}",
        revision=revision,
        run=run,
        store_id=store_id,
    )


async def _across(stage: Stage, end: Callable[[Process], Awaitable[Any]]) -> None:
    """A watch of one run and one of everything, over two restarts."""

    async def restarted(server: Process) -> None:
        await end(server)
        await server.start()
        stage.record(server=end.__name__, then="start")

    server = await stage.serve_process()
    a = await stage.driver()
    b = await stage.other()
    run_id = await run_of(b)
    await a.do("watch", w=1, run_id=run_id)
    await read(a, 2)
    await a.do("watch", w=2, all={}, after_revision=0)
    await read(a, 1, w=2)
    # One is waiting, the other is not read.
    change = await a.begin("next", w=1)
    await restarted(server)
    await b.reconnected()
    await b.do("set_status", run_id=run_id, status="running")
    await change
    await restarted(server)
    await b.reconnected()
    for _ in range(3):
        await run_of(b)
    await b.do("complete", run_id=run_id, status="success")
    await read(a, 2)
    await read(a, 5, w=2)
    await a.do("unwatch", w=2)


@scenario
async def across_a_kill(stage: Stage) -> None:
    await _across(stage, Process.kill)


@scenario
async def across_a_stop(stage: Stage) -> None:
    await _across(stage, Process.stop)


@scenario
async def a_server_that_comes_later(stage: Stage) -> None:
    server = await stage.serve_process()
    run_id = await run_of(await stage.driver())
    await server.kill()
    late = await stage.driver("late")
    await late.do("watch", w=1, run_id=run_id)
    snapshot = await late.begin("next", w=1)
    await server.start()
    await snapshot
    await late.do("unwatch", w=1)


@scenario
async def a_server_that_stays_away(stage: Stage) -> None:
    server = await stage.serve_process()
    await server.kill()
    a = await stage.driver()
    await a.do("watch", w=1, all={}, outage_ms=300)
    await a.do("next", w=1)


def _written(programme: Programme, stage: Stage) -> None:
    """Write down from where each stream was asked for."""
    for request in programme.asked:
        position = request.after_revision if request.HasField("after_revision") else None
        stage.record(server="StreamStatus", after_revision=position, store_id=request.store_id)


async def _programmed(stage: Stage, *streams: list[Any], **watch: Any) -> Actor:
    """A watch over those streams, one after the other, to its end."""
    programme = Programme()
    programme.will("StreamStatus", *streams)
    await stage.program(programme)
    a = await stage.driver()
    await a.do("watch", w=1, run_id="r", **watch)
    while "event" in await a.do("next", w=1):
        pass
    _written(programme, stage)
    return a


@scenario
async def its_position_is_the_last_revision_it_was_told(stage: Stage) -> None:
    snapshot = [event("SNAPSHOT", status="PENDING"), event("SNAPSHOT_END", 5, store_id=STORE)]
    progress = event("PROGRESS", status="RUNNING")
    await _programmed(
        stage,
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
async def a_snapshot_that_was_cut_off_comes_again(stage: Stage) -> None:
    snapshot = event("SNAPSHOT", status="RUNNING")
    await _programmed(
        stage, [snapshot, GONE], [snapshot, event("SNAPSHOT_END", 0, store_id=STORE), GONE], []
    )


@scenario
async def where_the_caller_wanted_to_begin(stage: Stage) -> None:
    await _programmed(
        stage, [GONE], [event("CHANGED", 4, "RUNNING"), GONE], [], after_revision=3, store_id=STORE
    )


@scenario
async def when_a_connection_has_grown_old(stage: Stage) -> None:
    programme = Programme()
    programme.will(
        "StreamStatus", [event("CHANGED", 4, "RUNNING"), SILENCE], [event("CHANGED", 5, "SUCCESS")]
    )
    age = (("grpc.max_connection_age_ms", 1_000), ("grpc.max_connection_age_grace_ms", 1_000))
    await stage.program(programme, options=age)
    a = await stage.driver()
    await a.do("watch", w=1, run_id="r", after_revision=3)
    await read(a, 3)
    _written(programme, stage)


@scenario
async def every_other_error_ends_it(stage: Stage) -> None:
    compacted = Refusal(
        grpc.StatusCode.OUT_OF_RANGE, "", "REVISION_COMPACTED", {"oldest_revision": "9"}
    )
    await _programmed(stage, [event("CHANGED", 4, "RUNNING"), GONE], [compacted], after_revision=3)


@scenario
async def an_error_that_the_server_means_ends_it(stage: Stage) -> None:
    corrupt = Refusal(grpc.StatusCode.DATA_LOSS, "", "CORRUPT_ROW", {"run_id": "r"})
    await _programmed(stage, [event("CHANGED", 4, "RUNNING"), corrupt], after_revision=3)


@scenario
async def a_server_that_is_gone_for_longer_than_it_may(stage: Stage) -> None:
    programme = Programme()
    programme.will("StreamStatus", *[[GONE]] * 100)
    await stage.program(programme)
    a = await stage.driver()
    await a.do("watch", w=1, run_id="r", outage_ms=200)
    await a.do("next", w=1)


@scenario
async def left_while_its_server_is_silent(stage: Stage) -> None:
    programme = Programme()
    programme.will(
        "StreamStatus",
        [event("CHANGED", 4, "RUNNING"), GONE],
        [event("CHANGED", 5, "RUNNING"), SILENCE],
    )
    await stage.program(programme)
    a = await stage.driver()
    await a.do("watch", w=1, run_id="r", after_revision=3)
    await read(a, 2)
    await a.do("unwatch", w=1)
