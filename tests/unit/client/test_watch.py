"""Watches of both twins against a scripted server: going on, ending, leaving."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import AsyncRunClient, NotFound, RunClient, RunError, Unavailable
from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse
from tests.support.both_clients import make_client
from tests.support.scripted import HOLD, Refusal
from tests.support.waiting import until
from tests.unit.client.test_resume import CHANGED, END, SNAPSHOT, event

if TYPE_CHECKING:
    from tests.support.scripted import Script

GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
LAST = event("CHANGED", 9, "SUCCESS")


async def test_it_goes_on_where_it_was_cut_off(client: Any, script: Script) -> None:
    script.will("StreamStatus", [SNAPSHOT, END, CHANGED, GONE], [GONE], [LAST])
    lost: list[RunError] = []
    watch = client.watch("r1", on_reconnect=lost.append)
    assert [each async for each in watch] == [SNAPSHOT, END, CHANGED, LAST]
    assert [each async for each in watch] == []
    behind = StreamStatusRequest(run_id="r1", after_revision=6, store_id="s")
    assert script.asked == [StreamStatusRequest(run_id="r1"), behind, behind]
    assert [type(error) for error in lost] == [Unavailable, Unavailable]


async def test_a_cut_snapshot_starts_over(client: Any, script: Script) -> None:
    script.will("StreamStatus", [SNAPSHOT, GONE], [SNAPSHOT, END, LAST])
    assert [each async for each in client.watch("r1")] == [SNAPSHOT, SNAPSHOT, END, LAST]


async def test_behind_the_end_no_server_is_waited_for(client: Any, script: Script) -> None:
    script.will("StreamStatus", [LAST, GONE], [GONE])
    assert [each async for each in client.watch("r1")] == [LAST]
    assert len(script.asked) == 2


@pytest.mark.parametrize("reason", ["REVISION_COMPACTED", "REVISION_UNKNOWN"])
async def test_it_starts_over_behind_a_log_that_does_not_go_on_if_asked_to(
    client: Any, script: Script, reason: str
) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "old", reason)
    script.will("StreamStatus", [compacted], [SNAPSHOT, END], [compacted])
    watch = client.watch(thread_id="t", after_revision=1, resnapshot=True)
    assert [each async for each in watch] == [SNAPSHOT, END]
    with pytest.raises(RunError) as refusal:
        await anext(client.watch(thread_id="t", after_revision=1))
    assert refusal.value.reason == reason


async def test_what_cannot_be_made_up_for_is_raised_and_ends_it(
    client: Any, script: Script
) -> None:
    script.will("StreamStatus", [Refusal(grpc.StatusCode.NOT_FOUND, "no", "RUN_NOT_FOUND")])
    watch = client.watch("r1")
    with pytest.raises(NotFound):
        await anext(watch)
    assert [each async for each in watch] == []


async def test_a_log_that_was_cut_before_the_snapshot_came_is_made_up_for(
    client: Any, script: Script
) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "no", "REVISION_COMPACTED")
    script.will("StreamStatus", [compacted], [END])
    assert await anext(client.watch(all_runs=True)) == END
    assert script.asked[0] == script.asked[1]


async def test_it_gives_up_after_the_outage(client: Any, script: Script) -> None:
    script.will("StreamStatus", GONE)
    with pytest.raises(Unavailable):
        await anext(client.watch(all_runs=True, outage=0.1))
    assert len(script.asked) > 1


async def test_who_is_told_of_a_cut_may_end_it(client: Any, script: Script) -> None:
    def give_up(error: RunError) -> None:
        raise error

    script.will("StreamStatus", [END, GONE])
    watch = client.watch(all_runs=True, on_reconnect=give_up)
    assert await anext(watch) == END
    with pytest.raises(Unavailable):
        await anext(watch)
    assert [each async for each in watch] == []
    assert len(script.asked) == 1


async def test_nothing_is_asked_before_the_first_event_is(client: Any, script: Script) -> None:
    with pytest.raises(ValueError, match="name one thing to watch"):
        client.watch("r1", all_runs=True)
    client.watch("r1")
    script.will("StreamStatus", [])
    assert [each async for each in client.watch("r2")] == []
    assert script.asked == [StreamStatusRequest(run_id="r2")]


@pytest.mark.parametrize("token", [None, "secret"])
async def test_a_watch_that_is_closed_ends_the_loop_that_waits(
    kind: Any, target: str, script: Script, token: str | None
) -> None:
    script.will("StreamStatus", [CHANGED, HOLD])
    async with make_client(kind, target, token=token) as client:
        watch = client.watch(all_runs=True)
        assert await anext(watch) == CHANGED
        waiting = asyncio.ensure_future(anext(watch, None))
        await until(lambda: script.held == 1)
        await watch.aclose()
        assert await waiting is None
        await until(lambda: script.held == 0)


async def test_a_watch_that_is_closed_does_not_try_again(client: Any, script: Script) -> None:
    later = Refusal(grpc.StatusCode.UNAVAILABLE, "Going.", "SERVER_DRAINING", retry=50)
    script.will("StreamStatus", [later])
    watch = client.watch(all_runs=True)
    waiting = asyncio.ensure_future(anext(watch, None))
    await until(lambda: len(script.asked) == 1)
    await watch.aclose()
    assert await waiting is None


async def test_a_watch_fails_with_its_client_s_end(kind: Any, target: str, script: Script) -> None:
    script.will("StreamStatus", [CHANGED, HOLD])
    async with make_client(kind, target) as client:
        watch = client.watch(all_runs=True)
        await anext(watch)
    with pytest.raises(RunError) as failure:
        await anext(watch)
    assert failure.value.code is grpc.StatusCode.CANCELLED


async def test_so_does_one_that_waits(kind: Any, target: str, script: Script) -> None:
    script.will("StreamStatus", [CHANGED, HOLD])
    async with make_client(kind, target) as client:
        watch = client.watch(all_runs=True)
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        # Until it waits for what does not come.
        await asyncio.wait([waiting], timeout=0.05)
    with pytest.raises(RunError) as failure:
        await waiting
    assert failure.value.code is grpc.StatusCode.CANCELLED


class Left(Exception):
    """Somebody leaves a loop by an exception."""


async def leave_by_exception(client: AsyncRunClient, script: Script) -> None:
    async for _ in client.watch(all_runs=True):
        await until(lambda: script.held == 1)
        raise Left


def leave_by_exception_in_a_thread(client: RunClient, script: Script) -> None:
    for _ in client.watch(all_runs=True):
        asyncio.run(until(lambda: script.held == 1))
        raise Left


@pytest.mark.parametrize("token", [None, "secret"])
async def test_leaving_the_loop_ends_the_stream(
    target: str, script: Script, token: str | None
) -> None:
    script.will("StreamStatus", *[[CHANGED, HOLD]] * 3)
    async with AsyncRunClient(target, token=token) as client:
        async for _ in client.watch(all_runs=True):
            await until(lambda: script.held == 1)
            break
        await until(lambda: script.held == 0)
        with pytest.raises(Left):
            await leave_by_exception(client, script)
        await until(lambda: script.held == 0)
        async with client.watch(all_runs=True) as watch:
            async for _ in watch:
                await until(lambda: script.held == 1)
                break
            assert script.held == 1
        await until(lambda: script.held == 0)


@pytest.mark.parametrize("token", [None, "secret"])
async def test_a_task_that_is_cancelled_ends_the_stream(
    target: str, script: Script, token: str | None
) -> None:
    async def watch(client: AsyncRunClient) -> None:
        async for _ in client.watch(all_runs=True):
            pass

    script.will("StreamStatus", [CHANGED, HOLD])
    async with AsyncRunClient(target, token=token) as client:
        task = asyncio.create_task(watch(client))
        await until(lambda: script.held == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: script.held == 0)


async def test_who_gave_up_waiting_may_ask_again(target: str, script: Script) -> None:
    script.will("StreamStatus", [CHANGED, HOLD], [LAST])
    async with AsyncRunClient(target) as client:
        watch = client.watch("r1")
        assert await anext(watch) == CHANGED
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(watch), 0.1)
        assert [each async for each in watch] == [LAST]
    assert script.asked[-1].after_revision == 6


@pytest.mark.parametrize("token", [None, "secret"])
def test_leaving_the_loop_ends_the_stream_for_threads_too(
    target: str, script: Script, token: str | None
) -> None:
    def holds(count: int) -> None:
        asyncio.run(until(lambda: script.held == count))

    script.will("StreamStatus", *[[CHANGED, HOLD]] * 3)
    with RunClient(target, token=token) as client:
        for _ in client.watch(all_runs=True):
            holds(1)
            break
        holds(0)
        with pytest.raises(Left):
            leave_by_exception_in_a_thread(client, script)
        holds(0)
        with client.watch(all_runs=True) as watch:
            assert next(watch) == CHANGED
            holds(1)
        assert list(watch) == []
        holds(0)


def test_another_thread_ends_a_watch_at_any_moment(target: str, script: Script) -> None:
    script.will("StreamStatus", *[[CHANGED, HOLD]] * 50)
    with RunClient(target) as client:
        for number in range(50):
            watch = client.watch(all_runs=True)
            seen: list[StreamStatusResponse] = []
            thread = threading.Thread(target=seen.extend, args=[watch])
            thread.start()
            if number % 2:
                asyncio.run(until(lambda: script.held))
            watch.close()
            thread.join(20)
            assert not thread.is_alive()
    asyncio.run(until(lambda: script.held == 0))


def test_a_client_closes_while_threads_open_watches() -> None:
    client, stop = RunClient("127.0.0.1:1", token=None), threading.Event()

    def keep_opening() -> None:
        # Some stay and some go: what is open changes all the time, and does not grow.
        kept = deque[object](maxlen=64)
        while not stop.is_set():
            kept.append(client.watch("r1"))

    opening = threading.Thread(target=keep_opening)
    opening.start()
    try:
        for _ in range(200):
            client.close()
    finally:
        stop.set()
        opening.join()
