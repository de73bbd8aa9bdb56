"""How a watch ends: with its run, with its client, or with the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, RevisionUnknown, RunNotFound, ServerDraining
from runsvc.maintenance.attachments import GRACE, RECONNECT_GRACE
from runsvc.watch.stream import WatchRequest
from tests.conformance.driver import ALL, INTERRUPTED, RUNNING, SUCCESS, run_topic
from tests.unit.watch.environment import (
    CHANGED,
    DELETED,
    HEARTBEAT,
    SNAPSHOT,
    SNAPSHOT_END,
    entry_of,
    is_over,
    positions,
    subject,
    take,
)

if TYPE_CHECKING:
    from runsvc.commit.group_commit import Committed
    from tests.unit.watch.environment import Environment


# The end of the run.


async def test_a_watch_of_a_run_ends_after_its_terminal_change(env: Environment) -> None:
    run = env.driver.create()
    async with env.open(run_topic(run)) as stream:
        assert positions(await take(stream, 2)) == [(SNAPSHOT, 0), (SNAPSHOT_END, 1)]
        env.driver.report(run, RUNNING)
        env.driver.create()
        env.driver.report(run, SUCCESS)
        assert positions(await take(stream, 2)) == [(CHANGED, 2), (CHANGED, 4)]
        assert await is_over(stream)


async def test_a_watch_of_a_terminal_run_ends_with_its_snapshot(env: Environment) -> None:
    run = env.driver.report(env.driver.create(), SUCCESS)
    assert positions(await env.all_of(run_topic(run))) == [(SNAPSHOT, 0), (SNAPSHOT_END, 2)]


async def test_a_resumed_watch_of_a_terminal_run_sends_the_rest_and_ends(
    env: Environment,
) -> None:
    run = env.driver.report(env.driver.create(), SUCCESS)
    topic = run_topic(run)
    env.driver.create()
    assert positions(await env.all_of(topic, after_revision=0)) == [(CHANGED, 1), (CHANGED, 2)]
    assert positions(await env.all_of(topic, after_revision=1)) == [(CHANGED, 2)]
    assert await env.all_of(topic, after_revision=2) == []
    assert await env.all_of(topic, after_revision=3) == []


async def test_a_watch_of_many_runs_does_not_end_with_one_of_them(env: Environment) -> None:
    run = env.driver.create()
    async with env.open(ALL) as stream:
        await take(stream, 2)
        env.driver.report(run, SUCCESS)
        env.driver.delete(run)
        env.driver.create()
        events = await take(stream, 3)
        assert positions(events) == [(CHANGED, 2), (DELETED, 3), (CHANGED, 4)]


async def test_a_watch_ends_with_the_removal_of_its_run(env: Environment) -> None:
    run = env.driver.create()
    async with env.open(run_topic(run)) as stream:
        await take(stream, 2)
        env.driver.delete(run)
        (event,) = await take(stream, 1)
        assert (event.event, event.revision) == (DELETED, 2)
        assert subject(event).run_id == run.run_id
        assert await is_over(stream)


async def test_a_resumed_watch_of_a_removed_run_sends_the_entries_of_the_log(
    env: Environment,
) -> None:
    run = env.driver.report(env.driver.create(), SUCCESS)
    topic = run_topic(run)
    env.driver.delete(run)
    events = await env.all_of(topic, after_revision=0)
    assert positions(events) == [(CHANGED, 1), (CHANGED, 2), (DELETED, 3)]
    assert {getattr(subject(event), "body", b"") for event in events} == {None}
    assert positions(await env.all_of(topic, after_revision=2)) == [(DELETED, 3)]
    # Its DELETED was the last event that the client received.
    assert await env.all_of(topic, after_revision=3) == []
    env.driver.create()
    with pytest.raises(RunNotFound):
        await env.fail(topic, after_revision=4)
    with pytest.raises(RunNotFound):
        await env.fail(topic)


# The acknowledgement of a cancel.


async def test_without_until_acknowledged_a_watch_ends_with_the_cancel(env: Environment) -> None:
    run = env.driver.cancel(env.driver.report(env.driver.create(), RUNNING))
    assert positions(await env.all_of(run_topic(run), after_revision=2)) == [(CHANGED, 3)]


async def test_without_until_acknowledged_an_acknowledgement_in_the_log_is_not_sent(
    env: Environment,
) -> None:
    run = env.driver.report(env.driver.create(), RUNNING)
    async with env.open(run_topic(run), after_revision=2) as stream:
        env.driver.cancel(run)
        env.driver.acknowledge(run)
        assert positions(await take(stream, 1)) == [(CHANGED, 3)]
        assert await is_over(stream)
    assert positions(await env.all_of(run_topic(run), after_revision=1)) == [
        (CHANGED, 2),
        (CHANGED, 3),
    ]


async def test_until_acknowledged_continues_to_the_acknowledgement(env: Environment) -> None:
    run = env.driver.report(env.driver.create(), RUNNING)
    async with env.open(run_topic(run), until_acknowledged=True) as stream:
        await take(stream, 2)
        env.driver.cancel(run)
        assert positions(await take(stream, 1)) == [(CHANGED, 3)]
        env.driver.acknowledge(run)
        (event,) = await take(stream, 1)
        entry = entry_of(event)
        assert (entry.status, entry.previous_status) == (INTERRUPTED, INTERRUPTED)
        assert await is_over(stream)


async def test_until_acknowledged_ends_when_no_acknowledgement_can_come(env: Environment) -> None:
    never_ran = env.driver.cancel(env.driver.create())
    finished = env.driver.report(env.driver.report(env.driver.create(), RUNNING), SUCCESS)
    acknowledged = env.driver.cancel(env.driver.report(env.driver.create(), RUNNING))
    env.driver.acknowledge(acknowledged)
    for run in (never_ran, finished, acknowledged):
        topic = run_topic(run)
        events = await env.all_of(topic, until_acknowledged=True)
        assert [event.event for event in events] == [SNAPSHOT, SNAPSHOT_END]
        events = await env.all_of(topic, until_acknowledged=True, after_revision=0)
        assert {event.event for event in events} == {CHANGED}
        last = events[-1].revision
        assert await env.all_of(topic, until_acknowledged=True, after_revision=last) == []


@pytest.mark.parametrize("after", [None, 3])
async def test_until_acknowledged_waits_for_a_run_that_is_already_cancelled(
    env: Environment, after: int | None
) -> None:
    run = env.driver.cancel(env.driver.report(env.driver.create(), RUNNING))
    async with env.open(run_topic(run), until_acknowledged=True, after_revision=after) as stream:
        if after is None:
            await take(stream, 2)
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        env.driver.acknowledge(run)
        async with asyncio.timeout(30):
            assert (await waiting).revision == 4
        assert await is_over(stream)


@pytest.mark.parametrize("after", [None, 3])
async def test_until_acknowledged_ends_when_the_lease_expires(
    env: Environment, after: int | None
) -> None:
    env.beat()
    run = env.cancelled_run()
    async with env.open(
        run_topic(run), until_acknowledged=True, after_revision=after, heartbeat_interval=0.01
    ) as stream:
        while (await take(stream, 1))[0].event is not HEARTBEAT:
            pass
        env.beat(6)
        env.driver.change(run, lifecycle.renew)
        env.beat(6)
        # The executor has renewed its lease in the meantime.
        await take(stream, 2)
        env.beat(4.5)
        async with asyncio.timeout(30):
            assert {event.event async for event in stream} <= {HEARTBEAT}


async def test_until_acknowledged_continues_through_an_outage(env: Environment) -> None:
    env.beat()
    run = env.cancelled_run()
    async with env.open(
        run_topic(run), until_acknowledged=True, after_revision=3, heartbeat_interval=0.01
    ) as stream:
        env.machine.go_on(60)
        env.beat()
        await take(stream, 2)
        env.driver.acknowledge(run)
        async with asyncio.timeout(30):
            events = [event async for event in stream]
        assert events[-1].event is CHANGED


async def test_until_acknowledged_ends_at_once_if_the_lease_has_expired(env: Environment) -> None:
    env.beat()
    run = env.cancelled_run()
    env.beat(11)
    events = await env.all_of(run_topic(run), until_acknowledged=True)
    assert [event.event for event in events] == [SNAPSHOT, SNAPSHOT_END]
    assert await env.all_of(run_topic(run), until_acknowledged=True, after_revision=3) == []


async def test_a_committed_acknowledgement_is_awaited_after_the_lease_has_expired(
    env: Environment,
) -> None:
    env.beat()
    run = env.cancelled_run()
    async with env.open(run_topic(run), until_acknowledged=True, after_revision=3) as stream:
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        # Committed, but not published yet.
        env.driver.listeners.clear()
        committed: list[Committed] = []
        env.driver.listeners.append(committed.append)
        env.driver.acknowledge(run)
        env.beat(11)
        for audience in env.hub._audiences.values():
            for cursor in audience.cursors:
                cursor.wake()
        for _ in range(9):
            await asyncio.sleep(0)
        assert not waiting.done()
        env.hub.publish(committed[0])
        async with asyncio.timeout(30):
            assert (await waiting).event is CHANGED


async def test_a_corrupt_run_ends_the_watch_that_has_to_decode_it(env: Environment) -> None:
    run = env.driver.cancel(env.driver.report(env.driver.create(), RUNNING))
    row = env.store.data.rows[run.run_id]
    env.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    with pytest.raises(CorruptRow):
        await env.fail(run_topic(run), until_acknowledged=True)


# The end of the client or of the server.


async def test_draining_ends_open_watches_and_refuses_new_ones(env: Environment) -> None:
    async with env.open(ALL) as stream:
        await take(stream, 1)
        waiting = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        env.hub.drain()
        async with asyncio.timeout(30):
            with pytest.raises(ServerDraining):
                await waiting
    with pytest.raises(ServerDraining):
        await env.fail(ALL)


async def test_an_abandoned_watch_is_closed(env: Environment) -> None:
    async with env.open(ALL) as stream:
        await take(stream, 1)
        assert env.hub.watchers == 1
    assert env.hub.watchers == 0


async def test_a_watch_counts_as_a_client_if_it_attaches(env: Environment) -> None:
    run = env.driver.create()
    async with (
        env.open(run_topic(run)) as plain,
        env.open(run_topic(run), attach=True) as attached,
    ):
        await take(plain, 1)
        assert env.attachments.held == 0
        await take(attached, 1)
        assert env.attachments.held == 1
        env.hub.drain()
        with pytest.raises(ServerDraining):
            await take(attached, 2)
    # The server ended the stream; its client did not leave.
    assert list(env.attachments._left.values()) == [RECONNECT_GRACE]


@pytest.mark.parametrize("may_be_ended", [False, True])
async def test_a_client_on_an_aged_out_connection_has_the_reconnect_grace_period(
    env: Environment, *, may_be_ended: bool
) -> None:
    run = env.driver.create()
    request = WatchRequest(topic=run_topic(run), attach=True)
    with (
        suppress(asyncio.CancelledError),
        env.watches.open(request, lambda: may_be_ended) as watch,
    ):
        await watch.begin()
        raise asyncio.CancelledError
    assert list(env.attachments._left.values()) == [RECONNECT_GRACE if may_be_ended else GRACE]


async def test_a_refused_watch_does_not_attach(env: Environment) -> None:
    run = env.driver.create()
    with pytest.raises(RevisionUnknown):
        await env.fail(run_topic(run), attach=True, after_revision=9)
    assert not env.attachments._left
