"""StreamStatus from the client: how a watch begins, the events it sends, how it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from runsvc.client import error_of
from tests.support.calls import (
    CHANGED,
    DELETED,
    HEARTBEAT,
    INTERRUPT,
    INTERRUPTED,
    PENDING,
    PROGRESS,
    RUNNING,
    SNAPSHOT,
    SNAPSHOT_END,
    SUCCESS,
    Refused,
    call,
    created,
    in_status,
    watched,
    watching,
)
from tests.support.engines import EVERY_ENGINE, opened
from tests.support.server import in_process
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from runsvc.client import RunError
    from tests.support.engines import StorePlace
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE


async def refusal(client: Client, **fields: object) -> RunError:
    """The error of a watch that is refused."""
    with pytest.raises(Refused) as caught:
        await watched(client, **fields)
    return caught.value.error


async def test_a_watch_of_a_run_goes_from_its_snapshot_to_its_end(client: Client) -> None:
    run = await created(client)
    async with watching(client, run_id=run.run_id) as stream:
        first, end = await stream.read(), await stream.read()
        assert (first.event, first.revision, first.run) == (SNAPSHOT, 0, run)
        assert (end.event, end.revision) == (SNAPSHOT_END, 1)
        assert end.store_id == (await call(client, "GetServerInfo")).store_id
        await call(client, "SetStatus", run_id=run.run_id, status=RUNNING)
        done = (await call(client, "SetStatus", run_id=run.run_id, status=SUCCESS)).run
        rest = await stream.rest()
    assert [(event.event, event.revision, event.previous_status) for event in rest] == [
        (CHANGED, 2, PENDING),
        (CHANGED, 3, RUNNING),
    ]
    assert rest[-1].run == done


async def test_a_watch_of_a_terminal_run_sends_the_rest_and_ends(client: Client) -> None:
    run = await in_status(client, SUCCESS)
    assert await watched(client, run_id=run.run_id) == [
        (SNAPSHOT, 0, SUCCESS),
        (SNAPSHOT_END, 2, 0),
    ]
    assert await watched(client, run_id=run.run_id, after_revision=1) == [(CHANGED, 2, SUCCESS)]
    assert await watched(client, run_id=run.run_id, after_revision=2) == []


async def test_the_changes_of_one_call_come_together(client: Client) -> None:
    await created(client)
    await created(client)
    async with watching(client, thread_id="t") as stream:
        opening = [(await stream.read()).event for _ in range(3)]
        assert opening == [SNAPSHOT, SNAPSHOT, SNAPSHOT_END]
        spec = {"thread_id": "t", "multitask_strategy": INTERRUPT}
        await call(client, "CreateOrReject", spec=spec)
        changes = [await stream.read() for _ in range(3)]
    assert [(change.run.status, change.more) for change in changes] == [
        (INTERRUPTED, True),
        (INTERRUPTED, True),
        (PENDING, False),
    ]
    assert not any(change.run.HasField("kwargs") for change in changes)


async def test_a_revision_that_was_just_returned_is_accepted(client: Client) -> None:
    for _ in range(50):
        run = await created(client)
        async with watching(client, all={}, after_revision=run.revision) as stream:
            event = asyncio.create_task(stream.read())
            await created(client)
            assert (await event).revision == run.revision + 1


async def test_a_watch_resumes_across_a_restart(db: StorePlace) -> None:
    async with in_process(db) as client:
        runs = [await created(client, f"t{n}", assistant_id=f"a{n % 2}") for n in range(4)]
        store_id = (await call(client, "GetServerInfo")).store_id
    async with in_process(db) as client:
        await call(client, "SetStatus", run_id=runs[2].run_id, status=SUCCESS)
        for target, revisions in (
            ({"all": {}}, [2, 3, 4, 5]),
            ({"all": {"assistant_id": "a0"}}, [3, 5]),
            ({"thread_id": "t1"}, [2]),
            ({"run_id": runs[2].run_id}, [3, 5]),
        ):
            async with watching(client, **target, after_revision=1, store_id=store_id) as stream:
                assert [(await stream.read()).revision for _ in revisions] == revisions


async def test_an_unknown_and_a_compacted_revision_are_refused(db: StorePlace, engine: str) -> None:
    async with in_process(db) as client:
        for _ in range(10):
            await created(client)
        store_id = (await call(client, "GetServerInfo")).store_id
        future = await refusal(client, all={}, after_revision=11)
        assert future.reason == "REVISION_UNKNOWN"
        assert future.metadata == {"current_revision": "10", "store_id": store_id}
        other = await refusal(client, all={}, after_revision=1, store_id="another")
        assert other.reason == "REVISION_UNKNOWN"
    with opened(db) as run:
        run("DELETE FROM log WHERE revision <= 5")
        if engine == "postgres":
            run("UPDATE commits SET forgotten = 5")
    async with in_process(db) as client:
        gone = await refusal(client, all={}, after_revision=4)
        assert gone.reason == "REVISION_COMPACTED"
        assert gone.metadata == {"oldest_revision": "6", "current_revision": "10"}
        async with watching(client, all={}, after_revision=5) as stream:
            assert (await stream.read()).revision == 6


async def test_a_watch_that_falls_behind_the_log_ends_with_the_oldest_revision(
    db: StorePlace,
) -> None:
    text = {"text": "x" * 60_000}
    async with in_process(db, log_keep=20, compaction_interval=0.05) as client:
        await created(client, "quiet")
        # The one does not read its events, the other has none to read.
        async with (
            watching(client, all={}, after_revision=0) as slow,
            watching(client, thread_id="quiet", heartbeat_interval={"seconds": 300}) as quiet,
        ):
            assert [(await quiet.read()).event for _ in range(2)] == [SNAPSHOT, SNAPSHOT_END]
            oldest = 0
            while oldest < 300:
                await asyncio.gather(*(created(client, f"t{n}", metadata=text) for n in range(20)))
                oldest = (await call(client, "GetServerInfo")).oldest_revision
            with pytest.raises(grpc.aio.AioRpcError) as end:
                await slow.rest()
            error = error_of(end.value)
            assert error.reason == "REVISION_COMPACTED"
            assert int(error.metadata["oldest_revision"]) > 20
            await created(client, "quiet")
            assert (await quiet.read()).event == CHANGED


@pytest.mark.parametrize("after", [{}, {"after_revision": 0}])
async def test_an_unknown_run_is_not_found(client: Client, after: dict[str, int]) -> None:
    assert (await refusal(client, run_id="unknown", **after)).reason == "RUN_NOT_FOUND"


async def test_a_watch_of_a_removed_run_sends_the_entries_of_the_log(client: Client) -> None:
    run = await in_status(client, SUCCESS)
    async with watching(client, all={}) as everything:
        assert (await everything.read()).event == SNAPSHOT_END
        await call(client, "Delete", run_id=run.run_id)
        event = await everything.read()
        assert (event.event, event.revision, event.run.thread_id) == (DELETED, 3, run.thread_id)
    assert await watched(client, run_id=run.run_id, after_revision=0) == [
        (CHANGED, 1, PENDING),
        (CHANGED, 2, SUCCESS),
        (DELETED, 3, SUCCESS),
    ]
    assert (await refusal(client, run_id=run.run_id)).reason == "RUN_NOT_FOUND"


async def test_until_acknowledged_a_watch_continues_after_the_cancel(client: Client) -> None:
    run = await in_status(client, RUNNING)
    async with watching(client, run_id=run.run_id, until_acknowledged=True) as stream:
        await stream.read()
        await stream.read()
        await call(client, "Cancel", run_id=run.run_id)
        assert (await stream.read()).run.status == INTERRUPTED
        await call(client, "AcknowledgeCancel", run_id=run.run_id)
        (last,) = await stream.rest()
        assert last.run.cancellation.HasField("acknowledged_at")
    never_ran = await created(client)
    await call(client, "Cancel", run_id=never_ran.run_id)
    events = await watched(client, run_id=never_ran.run_id, until_acknowledged=True)
    assert [event for event, _, _ in events] == [SNAPSHOT, SNAPSHOT_END]


async def test_without_until_acknowledged_a_watch_ends_with_the_cancel(client: Client) -> None:
    run = await in_status(client, RUNNING)
    await call(client, "Cancel", run_id=run.run_id)
    await call(client, "AcknowledgeCancel", run_id=run.run_id)
    # The acknowledgement is in the log, but it is not sent.
    changes = [(CHANGED, 2, RUNNING), (CHANGED, 3, INTERRUPTED)]
    assert await watched(client, run_id=run.run_id, after_revision=1) == changes
    acknowledged = [*changes, (CHANGED, 4, INTERRUPTED)]
    fields = {"run_id": run.run_id, "after_revision": 1}
    assert await watched(client, **fields, until_acknowledged=True) == acknowledged


async def test_progress_is_sent_on_request(client: Client) -> None:
    run = await in_status(client, RUNNING)
    async with watching(client, run_id=run.run_id, include_progress=True) as stream:
        await stream.read()
        await stream.read()
        await call(client, "UpdateProgress", run_id=run.run_id, progress={"total_tokens": 5})
        event = await stream.read()
        assert (event.event, event.revision) == (PROGRESS, 0)
        assert event.run.progress.total_tokens == 5
        for tokens in range(6, 40):
            fields = {"run_id": run.run_id, "progress": {"total_tokens": tokens}}
            await call(client, "UpdateProgress", **fields)
        later = await stream.read()
        while later.run.progress.total_tokens < 39:
            later = await stream.read()
        await call(client, "Complete", run_id=run.run_id, status=SUCCESS)
        assert [event.event for event in await stream.rest()] == [CHANGED]


async def test_heartbeats_carry_the_position_of_a_quiet_watch(client: Client) -> None:
    await created(client)
    interval = {"nanos": 1_000}
    async with watching(client, thread_id="u", heartbeat_interval=interval) as stream:
        assert (await stream.read()).event == SNAPSHOT_END
        await created(client)
        while (heartbeat := await stream.read()).revision < 2:
            # Sent while the creation was under way.
            assert heartbeat.event == HEARTBEAT
    assert (heartbeat.event, heartbeat.revision) == (HEARTBEAT, 2)
    assert heartbeat.store_id


async def test_a_client_that_leaves_a_watch_cancels_no_run_and_leaves_no_watcher(
    client: Client,
) -> None:
    run = await created(client)
    async with watching(client, run_id=run.run_id) as stream:
        await stream.read()
        assert (await call(client, "GetServerInfo")).watchers == 1
    async with asyncio.timeout(PATIENCE):
        while (await call(client, "GetServerInfo")).watchers:
            pass
    assert (await call(client, "Get", run_id=run.run_id)).run.status == PENDING
