"""The events between the beginning and the end of a watch: changes, progress, heartbeats."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core import lifecycle
from runsvc.watch.hub import StatusHub
from runsvc.watch.stream import Watch, WatchRequest, WatchTuning
from tests.conformance.driver import ALL, RUNNING, SUCCESS, run_topic, thread_topic
from tests.unit.watch.environment import (
    CHANGED,
    DELETED,
    HEARTBEAT,
    PROGRESS,
    positions,
    run_ids,
    subject,
    take,
    tokens_of,
)

if TYPE_CHECKING:
    from runsvc.core.model import Run
    from runsvc.watch.event import Event
    from tests.unit.watch.environment import Environment


# Changes.


async def test_the_changes_of_one_call_are_marked_and_come_together(env: Environment) -> None:
    env.driver.create()
    env.driver.create()
    async with env.open(ALL, after_revision=0) as stream:
        await take(stream, 2)
        env.driver.displace()
        env.driver.create()
        events = await take(stream, 4)
    assert [(event.revision, event.more) for event in events] == [
        (3, True),
        (4, True),
        (5, False),
        (6, False),
    ]


async def test_more_counts_only_changes_of_the_topic(env: Environment) -> None:
    env.driver.create()
    new, _ = env.driver.displace()
    async with env.open(run_topic(new), after_revision=0) as stream:
        (event,) = await take(stream, 1)
    assert (event.revision, event.more) == (3, False)


# Heartbeats.


async def test_a_heartbeat_carries_the_position(env: Environment) -> None:
    store_id = (await env.store.reading.clock()).store_id
    async with env.open(thread_topic("quiet"), heartbeat_interval=0.001) as stream:
        await take(stream, 1)
        env.driver.create("busy")
        events = await take(stream, 2)
    assert positions(events) == [(HEARTBEAT, 1), (HEARTBEAT, 1)]
    assert {event.store_id for event in events} == {store_id}


async def test_a_watch_is_not_silent_for_longer_than_the_heartbeat_interval(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    next_deadline = Watch._next_deadline
    time = asyncio.get_running_loop().time

    def soon(watch: Any) -> float:
        pauses.append(next_deadline(watch) - time())
        return time() + 0.001

    monkeypatch.setattr(Watch, "_next_deadline", soon)
    async with env.open(ALL, heartbeat_interval=0.05) as stream:
        await take(stream, 2)
    assert pauses[-1] <= 0.05


# Progress.


@pytest.fixture
def running(env: Environment) -> Run:
    return env.driver.report(env.driver.create(), RUNNING)


async def test_progress_is_sent_only_to_watches_that_asked_for_it(
    env: Environment, running: Run
) -> None:
    async with (
        env.open(ALL, include_progress=True) as interested,
        env.open(ALL, heartbeat_interval=0.001) as plain,
    ):
        await take(interested, 2)
        await take(plain, 2)
        env.driver.progress(running, 7)
        (event,) = await take(interested, 1)
        assert (event.event, event.revision) == (PROGRESS, 0)
        assert tokens_of(event) == 7
        assert positions(await take(plain, 1)) == [(HEARTBEAT, 2)]


async def test_only_the_latest_progress_of_a_round_is_sent(env: Environment, running: Run) -> None:
    env.tuning = WatchTuning(progress_interval=0.01)
    async with env.open(ALL, include_progress=True) as stream:
        await take(stream, 2)
        tokens = []
        for burst in range(2):
            for count in range(5):
                env.driver.progress(running, 10 * burst + count)
            (event,) = await take(stream, 1)
            tokens.append(tokens_of(event))
    assert tokens == [4, 14]


async def test_rounds_of_progress_keep_their_interval(env: Environment, running: Run) -> None:
    env.tuning = WatchTuning(progress_interval=1_000)
    async with env.open(ALL, include_progress=True, heartbeat_interval=0.001) as stream:
        await take(stream, 2)
        env.driver.progress(running, 1)
        assert positions(await take(stream, 1)) == [(PROGRESS, 0)]
        env.driver.progress(running, 2)
        assert positions(await take(stream, 2)) == [(HEARTBEAT, 2), (HEARTBEAT, 2)]


async def test_progress_does_not_postpone_the_heartbeat(env: Environment, running: Run) -> None:
    env.tuning = WatchTuning(progress_interval=0.005)
    async with env.open(ALL, include_progress=True, heartbeat_interval=0.02) as stream:
        await take(stream, 2)
        events: list[Event] = []
        while HEARTBEAT not in {event.event for event in events}:
            # There is always new progress before the heartbeat is due.
            env.driver.progress(running, len(events))
            events += await take(stream, 1)


async def test_a_new_model_name_is_not_progress(env: Environment, running: Run) -> None:
    async with env.open(ALL, include_progress=True, heartbeat_interval=0.02) as stream:
        await take(stream, 2)
        env.driver.change(running, lambda run, at: lifecycle.rename_model(run, "m", at))
        assert positions(await take(stream, 1)) == [(HEARTBEAT, 2)]


async def test_the_progress_of_a_run_comes_after_its_newest_change(env: Environment) -> None:
    env.tuning = WatchTuning(progress_interval=0.001)
    run = env.driver.report(env.driver.create(), RUNNING)
    async with env.open(ALL, include_progress=True, heartbeat_interval=0.02) as stream:
        await take(stream, 2)
        # The store is ahead of the published changes.
        env.driver.listeners.clear()
        committed = env.driver.group.run([])
        ended = env.driver.report(run, SUCCESS)
        env.hub.publish(committed._replace(progressed=[ended]))
        assert positions(await take(stream, 1)) == [(HEARTBEAT, 2)]
        (entry,) = (await env.store.reading.log_since(ALL, 2, 9)).entries
        env.hub.publish(committed._replace(entries=[entry]))
        events: list[Event] = []
        while not events or events[-1].event is not PROGRESS:
            events += await take(stream, 1)
    assert [each for each in positions(events) if each[0] is not HEARTBEAT] == [
        (CHANGED, 3),
        (PROGRESS, 0),
    ]


async def test_the_progress_of_a_removed_run_is_left_out(env: Environment, running: Run) -> None:
    async with env.open(ALL, include_progress=True, heartbeat_interval=0.02) as stream:
        await take(stream, 2)
        env.driver.progress(running, 1)
        env.driver.delete(running)
        assert positions(await take(stream, 2)) == [(DELETED, 3), (HEARTBEAT, 3)]


async def test_changes_are_sent_between_the_chunks_of_a_large_progress_round(
    env: Environment,
) -> None:
    chunk = env.tuning.progress_chunk
    runs = [env.driver.report(env.driver.create(), RUNNING) for _ in range(3 * chunk)]
    request = WatchRequest(topic=ALL, after_revision=2 * len(runs), include_progress=True)
    with env.watches.open(request) as watch:
        await watch.begin()
        for run in runs:
            env.driver.progress(run, 1)
        first = await watch.proceed()
        env.driver.create()
        chunks = [first, *[await watch.proceed() for _ in range(3)]]
    assert [len(events) for events in chunks] == [chunk, 1, *[chunk] * 2]
    assert [events[0].event for events in chunks] == [PROGRESS, CHANGED, PROGRESS, PROGRESS]
    sent = {run_id for events in chunks for run_id in run_ids(list(events))}
    assert sent >= {run.run_id for run in runs}


async def test_a_slow_watcher_has_a_bounded_backlog_and_gets_the_progress_of_all_active_runs(
    env: Environment,
) -> None:
    env.use_hub(StatusHub(env.store.reading, backlog_capacity=10))
    env.tuning = WatchTuning(progress_interval=0.001)
    runs = [env.driver.report(env.driver.create(), RUNNING) for _ in range(35)]
    revision = 2 * len(runs)
    async with env.open(
        ALL, after_revision=revision, include_progress=True, heartbeat_interval=0.05
    ) as stream:
        assert positions(await take(stream, 1)) == [(HEARTBEAT, revision)]
        (cursor,) = next(iter(env.hub._audiences.values())).cursors
        for tokens in (1, 2):
            for run in runs:
                env.driver.progress(run, tokens)
        assert cursor.progress_backlog is not None
        assert len(cursor.progress_backlog) == 10
        latest: dict[str, int] = {}
        while len(latest) < len(runs) or min(latest.values()) < 2:
            (event,) = await take(stream, 1)
            if event.event is PROGRESS:
                latest[subject(event).run_id] = tokens_of(event) or 0
        # Nothing is left to send.
        while (await take(stream, 1))[0].event is not HEARTBEAT:
            pass
        assert not cursor.progress_backlog
