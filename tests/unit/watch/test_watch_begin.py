"""How a watch begins: with a snapshot, or after a revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core.errors import (
    RevisionCompacted,
    RevisionUnknown,
    RunNotFound,
    ServerDraining,
    StoreUnavailable,
)
from runsvc.store.values import LogEntry, Topic, TopicKind
from runsvc.watch.hub import StatusHub
from tests.conformance.driver import ALL, RUNNING, SUCCESS, run_topic, thread_topic
from tests.unit.watch.environment import (
    CHANGED,
    DELETED,
    HEARTBEAT,
    SNAPSHOT,
    SNAPSHOT_END,
    positions,
    run_ids,
    subject,
    take,
)

if TYPE_CHECKING:
    from runsvc.store.values import Snapshot
    from tests.unit.watch.environment import Environment


# With a snapshot.


async def test_the_active_runs_come_first_and_then_the_end_of_the_snapshot(
    env: Environment,
) -> None:
    first, ended, second = (env.driver.create() for _ in range(3))
    env.driver.report(ended, SUCCESS)
    store_id = (await env.store.reading.clock()).store_id
    async with env.open(ALL) as stream:
        events = await take(stream, 3)
        assert positions(events) == [(SNAPSHOT, 0), (SNAPSHOT, 0), (SNAPSHOT_END, 4)]
        assert run_ids(events[:2]) == [first.run_id, second.run_id]
        assert [event.store_id for event in events] == ["", "", store_id]
        env.driver.create()
        assert positions(await take(stream, 1)) == [(CHANGED, 5)]


async def test_an_empty_snapshot_has_an_end(env: Environment) -> None:
    async with env.open(thread_topic("t")) as stream:
        assert positions(await take(stream, 1)) == [(SNAPSHOT_END, 0)]


async def test_no_change_is_lost_or_repeated_between_snapshot_and_changes(
    env: Environment,
) -> None:
    env.driver.create()
    snapshot = env.store.reading.snapshot

    async def slow_snapshot(topic: Topic) -> Any:
        env.driver.create()
        taken = await snapshot(topic)
        env.driver.create()
        return taken

    env.store.reading.snapshot = slow_snapshot  # type: ignore[method-assign]
    async with env.open(ALL) as stream:
        events = await take(stream, 4)
    assert positions(events) == [(SNAPSHOT, 0), (SNAPSHOT, 0), (SNAPSHOT_END, 2), (CHANGED, 3)]


async def test_a_slow_reader_of_a_large_snapshot_gets_the_runs_as_of_its_revision(
    env: Environment,
) -> None:
    runs = [env.driver.create() for _ in range(3 * env.tuning.snapshot_chunk)]
    async with env.open(ALL) as stream:
        events = await take(stream, 1)
        # The runs change before the rest is read.
        env.driver.report(runs[-1], RUNNING)
        env.driver.report(runs[-2], SUCCESS)
        env.driver.delete(runs[-2])
        events += await take(stream, len(runs) - 2)
        last = subject(events[-1])
        assert isinstance(last, LogEntry)
        assert (last.run_id, last.status, last.previous_status) == (runs[-1].run_id, 1, None)
        created = len(runs)
        assert positions(await take(stream, 4)) == [
            (SNAPSHOT_END, created),
            (CHANGED, created + 1),
            (CHANGED, created + 2),
            (DELETED, created + 3),
        ]


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_run_that_is_removed_before_its_snapshot_is_read_is_not_found(
    env: Environment, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    run = env.driver.report(env.driver.create(), SUCCESS)
    snapshot = env.store.reading.snapshot

    async def remove_after(topic: Topic) -> Snapshot:
        taken = await snapshot(topic)
        env.driver.delete(run)
        env.driver.forget(3 if compacted else 0)
        return taken

    monkeypatch.setattr(env.store.reading, "snapshot", remove_after)
    with pytest.raises(RunNotFound) as caught:
        await env.fail(run_topic(run))
    assert caught.value.run_id == run.run_id


async def test_a_run_that_is_removed_while_a_snapshot_is_read_is_left_out(
    env: Environment,
) -> None:
    chunk = env.tuning.snapshot_chunk
    runs = [env.driver.create() for _ in range(chunk + 2)]
    async with env.open(ALL) as stream:
        events = await take(stream, chunk)
        env.driver.report(runs[-1], SUCCESS)
        env.driver.delete(runs[-1])
        env.driver.forget(len(runs))
        events += await take(stream, 4)
    last = len(runs)
    assert run_ids(events[:-3]) == [run.run_id for run in runs[:-1]]
    assert positions(events[-3:]) == [
        (SNAPSHOT_END, last),
        (CHANGED, last + 1),
        (DELETED, last + 2),
    ]


async def test_a_snapshot_read_too_slowly_for_the_log_ends_with_revision_compacted(
    env: Environment,
) -> None:
    chunk = env.tuning.snapshot_chunk
    runs = [env.driver.create() for _ in range(2 * chunk)]
    async with env.open(ALL) as stream:
        await take(stream, chunk)
        env.driver.report(runs[-1], RUNNING)
        env.driver.forget(len(runs))
        with pytest.raises(RevisionCompacted):
            await take(stream, 1)


# After a revision.


async def test_after_a_revision_there_is_no_snapshot(env: Environment) -> None:
    for _ in range(3):
        env.driver.create()
    async with env.open(ALL, after_revision=1) as stream:
        assert positions(await take(stream, 2)) == [(CHANGED, 2), (CHANGED, 3)]
    async with env.open(ALL, after_revision=0) as stream:
        assert positions(await take(stream, 3)) == [(CHANGED, 1), (CHANGED, 2), (CHANGED, 3)]


async def test_a_revision_is_accepted_before_the_hub_knows_it(env: Environment) -> None:
    env.driver.listeners.clear()
    revision = env.driver.create().revision
    async with env.open(ALL, after_revision=revision, heartbeat_interval=0.001) as stream:
        assert positions(await take(stream, 1)) == [(HEARTBEAT, revision)]


async def test_after_a_restart_a_watch_resumes_from_the_log(env: Environment) -> None:
    run = env.driver.create()
    env.driver.report(run, RUNNING)
    restarted = StatusHub(env.store.reading)
    await restarted.start()
    env.use_hub(restarted)
    async with env.open(ALL, after_revision=1) as stream:
        assert positions(await take(stream, 1)) == [(CHANGED, 2)]
        env.driver.report(run, SUCCESS)
        assert positions(await take(stream, 1)) == [(CHANGED, 3)]


async def test_a_compacted_revision_is_refused(env: Environment) -> None:
    for _ in range(4):
        env.driver.create()
    env.driver.forget(2)
    with pytest.raises(RevisionCompacted) as caught:
        await env.fail(ALL, after_revision=1)
    assert (caught.value.oldest_revision, caught.value.current_revision) == (3, 4)
    async with env.open(ALL, after_revision=2) as stream:
        assert positions(await take(stream, 2)) == [(CHANGED, 3), (CHANGED, 4)]


async def test_a_future_revision_is_refused(env: Environment) -> None:
    env.driver.create()
    with pytest.raises(RevisionUnknown) as caught:
        await env.fail(ALL, after_revision=2)
    assert caught.value.current_revision == 1
    assert caught.value.store_id == (await env.store.reading.clock()).store_id


async def test_a_revision_of_another_store_is_refused(env: Environment) -> None:
    env.driver.create()
    with pytest.raises(RevisionUnknown):
        await env.fail(ALL, after_revision=1, store_id="another")
    store_id = (await env.store.reading.clock()).store_id
    async with env.open(ALL, after_revision=0, store_id=store_id) as stream:
        assert positions(await take(stream, 1)) == [(CHANGED, 1)]


# Errors of either.


@pytest.mark.parametrize("after", [None, 0, 1])
async def test_an_unknown_run_is_not_found(env: Environment, after: int | None) -> None:
    run = env.driver.create()
    for topic in (
        Topic(TopicKind.RUN, "o", "unknown"),
        Topic(TopicKind.RUN, "another", run.run_id),
    ):
        with pytest.raises(RunNotFound) as caught:
            await env.fail(topic, after_revision=after)
        assert caught.value.run_id == topic.key


async def test_a_closed_store_is_unavailable(env: Environment) -> None:
    await env.store.close()
    with pytest.raises(StoreUnavailable):
        await env.fail(ALL)


async def test_a_draining_hub_refuses_watches(env: Environment) -> None:
    env.hub.drain()
    with pytest.raises(ServerDraining):
        await env.fail(ALL)
