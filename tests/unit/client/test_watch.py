"""Watches of both clients against a scripted server: resuming, ending, leaving."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.client import AsyncRunClient, NotFound, RunClient, RunError, Unavailable
from runsvc.v1.run_service_pb2 import StreamStatusRequest, StreamStatusResponse
from tests.support.both_clients import make_client
from tests.support.scripted import HOLD, Refusal
from tests.support.waiting import PATIENCE, until
from tests.unit.client.test_resume import CHANGED, END, SNAPSHOT, event

if TYPE_CHECKING:
    from tests.support.scripted import Script

GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
LAST = event("CHANGED", 9, "SUCCESS")


async def test_watch_resumes_after_a_lost_connection(client: Any, script: Script) -> None:
    script.will("StreamStatus", [SNAPSHOT, END, CHANGED, GONE], [GONE], [LAST])
    errors: list[RunError] = []
    watch = client.watch("r1", on_reconnect=errors.append)
    assert [each async for each in watch] == [SNAPSHOT, END, CHANGED, LAST]
    assert [each async for each in watch] == []
    resumed = StreamStatusRequest(run_id="r1", after_revision=6, store_id="s")
    assert script.asked == [StreamStatusRequest(run_id="r1"), resumed, resumed]
    assert [type(error) for error in errors] == [Unavailable, Unavailable]


async def test_interrupted_snapshot_starts_over(client: Any, script: Script) -> None:
    script.will("StreamStatus", [SNAPSHOT, GONE], [SNAPSHOT, END, LAST])
    assert [each async for each in client.watch("r1")] == [SNAPSHOT, SNAPSHOT, END, LAST]


async def test_after_the_end_the_watch_does_not_wait(client: Any, script: Script) -> None:
    script.will("StreamStatus", [LAST, GONE], [GONE])
    assert [each async for each in client.watch("r1")] == [LAST]
    assert len(script.asked) == 2


@pytest.mark.parametrize("reason", ["REVISION_COMPACTED", "REVISION_UNKNOWN"])
async def test_resnapshot_replaces_a_compacted_log(
    client: Any, script: Script, reason: str
) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "old", reason)
    script.will("StreamStatus", [compacted], [SNAPSHOT, END], [compacted])
    watch = client.watch(thread_id="t", after_revision=1, resnapshot=True)
    assert [each async for each in watch] == [SNAPSHOT, END]
    with pytest.raises(RunError) as refusal:
        await anext(client.watch(thread_id="t", after_revision=1))
    assert refusal.value.reason == reason


async def test_final_error_is_raised_and_ends_the_watch(client: Any, script: Script) -> None:
    script.will("StreamStatus", [Refusal(grpc.StatusCode.NOT_FOUND, "no", "RUN_NOT_FOUND")])
    watch = client.watch("r1")
    with pytest.raises(NotFound):
        await anext(watch)
    assert [each async for each in watch] == []


async def test_log_compacted_during_the_snapshot_is_retried(client: Any, script: Script) -> None:
    compacted = Refusal(grpc.StatusCode.OUT_OF_RANGE, "no", "REVISION_COMPACTED")
    script.will("StreamStatus", [compacted], [END])
    assert await anext(client.watch(all_runs=True)) == END
    assert script.asked[0] == script.asked[1]


async def test_watch_gives_up_after_the_outage(client: Any, script: Script) -> None:
    script.will("StreamStatus", GONE)
    with pytest.raises(Unavailable):
        await anext(client.watch(all_runs=True, outage=0.1))
    assert len(script.asked) > 1


async def test_exception_of_on_reconnect_ends_the_watch(client: Any, script: Script) -> None:
    def give_up(error: RunError) -> None:
        raise error

    script.will("StreamStatus", [END, GONE])
    watch = client.watch(all_runs=True, on_reconnect=give_up)
    assert await anext(watch) == END
    with pytest.raises(Unavailable):
        await anext(watch)
    assert [each async for each in watch] == []
    assert len(script.asked) == 1


async def test_no_request_before_the_first_event(client: Any, script: Script) -> None:
    with pytest.raises(ValueError, match="Name only one target"):
        client.watch("r1", all_runs=True)
    client.watch("r1")
    script.will("StreamStatus", [])
    assert [each async for each in client.watch("r2")] == []
    assert script.asked == [StreamStatusRequest(run_id="r2")]


@pytest.mark.parametrize("token", [None, "secret"])
async def test_closing_a_watch_ends_a_waiting_loop(
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


async def test_closed_watch_does_not_reconnect(client: Any, script: Script) -> None:
    later = Refusal(grpc.StatusCode.UNAVAILABLE, "Stopping.", "SERVER_DRAINING", retry=50)
    script.will("StreamStatus", [later])
    watch = client.watch(all_runs=True)
    waiting = asyncio.ensure_future(anext(watch, None))
    await until(lambda: len(script.asked) == 1)
    await watch.aclose()
    assert await waiting is None


async def test_watch_fails_after_its_client_is_closed(
    kind: Any, target: str, script: Script
) -> None:
    script.will("StreamStatus", [CHANGED, HOLD])
    async with make_client(kind, target) as client:
        watch = client.watch(all_runs=True)
        await anext(watch)
    with pytest.raises(RunError) as failure:
        await anext(watch)
    assert failure.value.code is grpc.StatusCode.CANCELLED


async def test_waiting_watch_fails_when_its_client_is_closed(
    kind: Any, target: str, script: Script
) -> None:
    script.will("StreamStatus", [CHANGED, HOLD])
    async with make_client(kind, target) as client:
        watch = client.watch(all_runs=True)
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        # Let it start to wait.
        await asyncio.wait([waiting], timeout=0.05)
    with pytest.raises(RunError) as failure:
        await waiting
    assert failure.value.code is grpc.StatusCode.CANCELLED


class Left(Exception):
    """Leaves a loop."""


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
async def test_cancelling_the_task_ends_the_stream(
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


async def test_wait_that_is_given_up_keeps_the_stream(target: str, script: Script) -> None:
    script.will("StreamStatus", [CHANGED, HOLD])
    async with AsyncRunClient(target) as client:
        watch = client.watch("r1")
        assert await anext(watch) == CHANGED
        await until(lambda: script.held == 1)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(watch), 0.05)
        assert (script.held, len(script.asked)) == (1, 1)
        await watch.aclose()
        assert [each async for each in watch] == []
        await until(lambda: script.held == 0)


async def test_event_of_a_wait_that_was_given_up_is_not_lost(target: str, script: Script) -> None:
    script.will("StreamStatus", [CHANGED, LAST])
    async with AsyncRunClient(target) as client:
        watch = client.watch("r1")
        events: list[StreamStatusResponse | BaseException] = []
        while LAST not in events:
            # Without a pause the wait is given up before, while or after its event arrives.
            waiting = asyncio.ensure_future(anext(watch))
            await asyncio.wait([waiting], timeout=0.001)
            waiting.cancel()
            events += await asyncio.gather(waiting, return_exceptions=True)
        assert [each for each in events if not isinstance(each, BaseException)] == [CHANGED, LAST]
    assert len(script.asked) == 1


async def test_failure_after_a_wait_was_given_up_is_raised_by_the_next(
    target: str, script: Script
) -> None:
    refusal = Refusal(grpc.StatusCode.NOT_FOUND, "no", "RUN_NOT_FOUND")
    script.will("StreamStatus", [refusal])
    async with AsyncRunClient(target) as client:
        watch = client.watch("r1")
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await until(lambda: script.asked)
        with pytest.raises(NotFound):
            await anext(watch)


async def test_only_one_task_waits_for_an_event(target: str, script: Script) -> None:
    script.will("StreamStatus", [HOLD])
    async with AsyncRunClient(target) as client:
        watch = client.watch("r1")
        waiting = asyncio.ensure_future(anext(watch, None))
        await until(lambda: script.held == 1)
        with pytest.raises(RuntimeError, match="Another task waits"):
            await anext(watch)
        await watch.aclose()
        assert await waiting is None


async def test_dropping_a_watch_after_a_wait_was_given_up_ends_the_stream(
    target: str, script: Script
) -> None:
    script.will("StreamStatus", [HOLD])
    async with AsyncRunClient(target) as client:

        async def give_up() -> None:
            waiting = asyncio.ensure_future(anext(client.watch("r1")))
            await until(lambda: script.held == 1)
            waiting.cancel()
            await asyncio.wait([waiting])

        await give_up()
        await until(lambda: script.held == 0)
        assert len(script.asked) == 1


@pytest.mark.parametrize("token", [None, "secret"])
def test_leaving_the_loop_ends_the_stream_in_threads(
    target: str, script: Script, token: str | None
) -> None:
    def wait_for_streams(count: int) -> None:
        asyncio.run(until(lambda: script.held == count))

    script.will("StreamStatus", *[[CHANGED, HOLD]] * 3)
    with RunClient(target, token=token) as client:
        for _ in client.watch(all_runs=True):
            wait_for_streams(1)
            break
        wait_for_streams(0)
        with pytest.raises(Left):
            leave_by_exception_in_a_thread(client, script)
        wait_for_streams(0)
        with client.watch(all_runs=True) as watch:
            assert next(watch) == CHANGED
            wait_for_streams(1)
        assert list(watch) == []
        wait_for_streams(0)


def test_another_thread_can_close_a_watch_at_any_time(target: str, script: Script) -> None:
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
            thread.join(PATIENCE)
            assert not thread.is_alive()
    asyncio.run(until(lambda: script.held == 0))


def test_wait_that_is_interrupted_keeps_the_stream_in_threads(target: str, script: Script) -> None:
    release = threading.Event()

    def after_the_interrupts() -> StreamStatusResponse:
        release.wait(PATIENCE)
        return CHANGED

    script.will("StreamStatus", [SNAPSHOT, after_the_interrupts, LAST])
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with RunClient(target) as client:
            watch = client.watch("r1")
            assert next(watch) == SNAPSHOT
            for _ in range(3):
                with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the alarm may come at once.
                    signal.setitimer(signal.ITIMER_REAL, 0.1)
                    next(watch)
            release.set()
            assert list(watch) == [CHANGED, LAST]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(script.asked) == 1


def test_client_can_be_closed_while_threads_open_watches() -> None:
    client, stop = RunClient("127.0.0.1:1", token=None), threading.Event()

    def keep_opening() -> None:
        # Watches are added and dropped all the time, and their number does not grow.
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
