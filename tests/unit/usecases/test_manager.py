"""The use-cases of runs, from the call to the stored run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.errors import (
    CorruptRow,
    InvalidTransition,
    NotCancelled,
    NotHolder,
    RequestIdReused,
    RunEnded,
    RunNotFound,
    ThreadBusy,
    ThreadFull,
    UnsupportedStrategy,
)
from runsvc.core.model import (
    CancelAction,
    CancelOutcome,
    MultitaskStrategy,
    Progress,
    Report,
    Request,
    RequestKey,
    Run,
    RunSpec,
    RunStatus,
    StatusReason,
)
from runsvc.store.memory import MemoryStore
from runsvc.usecases.manager import PAGE_BYTES, Page, RunManager
from runsvc.wire.codec import RunCodec
from tests.conformance.driver import Driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.store.queries import PageKey

PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED, QUEUED = RunStatus
CODEC = RunCodec()


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def writer(store: MemoryStore) -> AsyncIterator[Writer]:
    writer = Writer(GroupCommit(store.writing, CODEC), lambda _: None)
    yield writer
    async with asyncio.timeout(30):
        await writer.close()


@pytest.fixture
def manager(writer: Writer, store: MemoryStore) -> RunManager:
    return RunManager(writer, store.reading, CODEC, max_active_per_thread=3)


def a_spec(**facts: Any) -> RunSpec:
    return RunSpec(**{"thread_id": "t"} | facts)


def a_request(method: str = "Create", request_id: str = "id", spec_hash: bytes = b"#") -> Request:
    return Request(RequestKey("o", method, request_id), spec_hash)


async def created(manager: RunManager, **facts: Any) -> Run:
    return (await manager.create("o", a_spec(**facts), None)).run


async def running(manager: RunManager, worker_id: str | None = None) -> Run:
    run = await created(manager)
    answer = await manager.report_status("o", run.run_id, RUNNING, Report(worker_id=worker_id))
    return answer.run


async def stored(manager: RunManager, run: Run) -> Run:
    return CODEC.decode(await manager.get("o", run.run_id))


async def listed(
    manager: RunManager,
    page_size: int = 9,
    after: PageKey | None = None,
    *statuses: RunStatus,
) -> Page:
    return await manager.list_by_thread(
        "o", "t", statuses=frozenset(statuses), after=after, page_size=page_size
    )


# Creating.


async def test_a_created_run_can_be_read_with_its_kwargs(manager: RunManager) -> None:
    answer = await manager.create("o", a_spec(kwargs=b"input"), None)
    assert (answer.run.status, answer.replayed, answer.superseded) == (PENDING, False, ())
    record = await manager.get("o", answer.run.run_id)
    assert record.kwargs == b"input"
    assert CODEC.decode(record) == answer.run


async def test_create_admits_runs_until_the_thread_is_full(manager: RunManager) -> None:
    runs = [await created(manager) for _ in range(3)]
    with pytest.raises(ThreadFull):
        await created(manager)
    assert (await manager.has_inflight("o", "t")).active == [run.run_id for run in reversed(runs)]
    await created(manager, thread_id="another")
    await manager.cancel("o", runs[0].run_id, CancelAction.INTERRUPT, None)
    await created(manager)


async def test_create_refuses_enqueue_before_anything_is_written(
    manager: RunManager, store: MemoryStore
) -> None:
    spec = a_spec(multitask_strategy=MultitaskStrategy.ENQUEUE)
    with pytest.raises(UnsupportedStrategy):
        await manager.create("o", spec, a_request())
    assert (await store.reading.clock()).revision == 0


async def test_a_create_with_the_same_request_is_replayed(manager: RunManager) -> None:
    run = (await manager.create("o", a_spec(), a_request())).run
    await manager.report_status("o", run.run_id, RUNNING, Report())
    again = await manager.create("o", a_spec(), a_request())
    assert again.replayed
    assert (again.run.run_id, again.run.status) == (run.run_id, RUNNING)
    with pytest.raises(RequestIdReused):
        await manager.create("o", a_spec(), a_request(spec_hash=b"other"))
    other = await manager.create("o", a_spec(), a_request(request_id="ID"))
    assert not other.replayed


async def test_concurrent_creates_with_the_same_request_create_one_run(
    manager: RunManager,
) -> None:
    answers = await asyncio.gather(
        *(manager.create_or_reject("o", a_spec(), a_request()) for _ in range(20))
    )
    assert len({answer.run.run_id for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 19


async def test_create_or_reject_admits_one_of_many_concurrent_calls(manager: RunManager) -> None:
    answers = await asyncio.gather(
        *(manager.create_or_reject("o", a_spec(), None) for _ in range(20)),
        return_exceptions=True,
    )
    busy = [answer for answer in answers if isinstance(answer, ThreadBusy)]
    assert len(busy) == 19
    assert {(error.run_id, error.status) for error in busy} == {
        ((await manager.has_inflight("o", "t")).active[0], PENDING)
    }


@pytest.mark.parametrize("strategy", [MultitaskStrategy.INTERRUPT, MultitaskStrategy.ROLLBACK])
async def test_a_displacing_run_supersedes_every_active_one(
    manager: RunManager, strategy: MultitaskStrategy
) -> None:
    old, new = await running(manager), await created(manager)
    ended = await created(manager)
    await manager.report_status("o", ended.run_id, SUCCESS, Report())
    spec = a_spec(multitask_strategy=strategy)
    answer = await manager.create_or_reject("o", spec, a_request())
    assert [run.run_id for run in answer.superseded] == [old.run_id, new.run_id]
    for run in answer.superseded:
        assert (run.status, run.status_reason) == (INTERRUPTED, StatusReason.SUPERSEDED)
        assert run.superseded_by == answer.run.run_id
        assert run.cancellation is not None
        assert run.cancellation.action.name == strategy.name
        assert await stored(manager, run) == run
    assert (await manager.has_inflight("o", "t")).active == [answer.run.run_id]
    # A retry must not interrupt its own first run.
    again = await manager.create_or_reject("o", spec, a_request())
    assert again.replayed
    assert again.run == answer.run
    assert again.superseded == answer.superseded


async def test_a_creation_is_not_replayed_from_a_run_that_is_removed_meanwhile(
    manager: RunManager, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await manager.create_or_reject("o", a_spec(), a_request())
    read = store.reading.with_displaced

    async def removed(run_id: str) -> Any:
        Driver(store).delete(first.run)
        monkeypatch.setattr(store.reading, "with_displaced", read)
        return await read(run_id)

    monkeypatch.setattr(store.reading, "with_displaced", removed)
    again = await manager.create_or_reject("o", a_spec(), a_request())
    assert not again.replayed
    assert again.run.run_id != first.run.run_id


# Reading.


async def test_get_of_another_owners_run_is_not_found(manager: RunManager) -> None:
    run = await created(manager)
    for owner, run_id in (("another", run.run_id), ("o", "unknown")):
        with pytest.raises(RunNotFound) as caught:
            await manager.get(owner, run_id)
        assert caught.value.run_id == run_id


async def test_has_inflight_is_empty_for_a_thread_without_active_runs(manager: RunManager) -> None:
    assert (await manager.has_inflight("o", "t")).active == []


async def test_pages_return_every_run_of_a_thread_once(manager: RunManager) -> None:
    runs = [await created(manager) for _ in range(3)]
    ids = [run.run_id for run in reversed(runs)]
    first = await listed(manager, 2)
    assert [record.run_id for record in first.records] == ids[:2]
    assert first.next == (runs[1].created_at, runs[1].run_id)
    last = await listed(manager, 2, first.next)
    assert [record.run_id for record in last.records] == ids[2:]
    assert last.next is None
    assert await listed(manager, 2, None, ERROR) == ([], None)
    whole = await listed(manager, 3)
    assert len(whole.records) == 3
    assert whole.next is None


async def test_a_page_is_limited_in_bytes_and_the_next_one_continues(
    manager: RunManager, writer: Writer, store: MemoryStore
) -> None:
    runs = [await created(manager) for _ in range(3)]
    size = len((await listed(manager)).records[0].body)
    page_bytes = 2 * size + size // 2
    manager = RunManager(
        writer, store.reading, CODEC, max_active_per_thread=3, page_bytes=page_bytes
    )
    first = await listed(manager)
    assert len(first.records) == 2
    assert first.next == (runs[1].created_at, runs[1].run_id)
    last = await listed(manager, 9, first.next)
    assert [record.run_id for record in last.records] == [runs[0].run_id]
    assert last.next is None


async def test_a_page_of_one_oversized_run_is_not_the_last(
    writer: Writer, store: MemoryStore
) -> None:
    manager = RunManager(writer, store.reading, CODEC, max_active_per_thread=3, page_bytes=1)
    await created(manager)
    newest = await created(manager)
    page = await listed(manager)
    assert [record.run_id for record in page.records] == [newest.run_id]
    assert page.next == (newest.created_at, newest.run_id)


def test_a_page_has_at_most_a_mebibyte() -> None:
    assert PAGE_BYTES == 1 << 20


# Reporting.


async def test_a_report_changes_the_run_once(manager: RunManager) -> None:
    run = await created(manager)
    for changed in (True, False):
        answer = await manager.report_status("o", run.run_id, RUNNING, Report(worker_id="w"))
        assert (answer.run.status, answer.changed) == (RUNNING, changed)
    with pytest.raises(NotHolder):
        await manager.report_status("o", run.run_id, SUCCESS, Report(worker_id="other"))
    ended = await manager.report_status("o", run.run_id, ERROR, Report(error="why", worker_id="w"))
    assert (ended.run.error, ended.changed) == ("why", True)
    with pytest.raises(InvalidTransition):
        await manager.report_status("o", run.run_id, SUCCESS, Report(worker_id="w"))
    assert await stored(manager, run) == ended.run


async def test_complete_applies_the_end_and_the_usage_together(manager: RunManager) -> None:
    run = await running(manager)
    usage = Progress(total_tokens=7)
    answer = await manager.report_status("o", run.run_id, SUCCESS, Report(progress=usage))
    assert answer.changed
    assert answer.run.progress == Progress(total_tokens=7, final=True)
    again = await manager.report_status("o", run.run_id, SUCCESS, Report(progress=usage))
    assert not again.changed
    assert await stored(manager, run) == answer.run


async def test_progress_is_stored_with_its_sequence(manager: RunManager) -> None:
    run = await running(manager)
    for sequence, applied in ((5, True), (5, False), (4, False), (6, True)):
        answer = await manager.update_progress(
            "o",
            run.run_id,
            Progress(total_tokens=sequence),
            sequence=sequence,
            final=False,
            worker_id=None,
        )
        assert answer.changed is applied
    found = await stored(manager, run)
    assert found.progress_sequence == 6
    assert found.progress == Progress(total_tokens=6)
    assert found.revision == run.revision


async def test_the_model_name_can_change_until_the_run_ends(manager: RunManager) -> None:
    run = await created(manager)
    named = await manager.update_model_name("o", run.run_id, "m")
    assert named.model_name == "m"
    assert await manager.update_model_name("o", run.run_id, "m") == named
    assert (await manager.update_model_name("o", run.run_id, None)).model_name is None
    await manager.cancel("o", run.run_id, CancelAction.INTERRUPT, None)
    with pytest.raises(RunEnded):
        await manager.update_model_name("o", run.run_id, "late")


async def test_a_report_on_another_owners_run_is_not_found(manager: RunManager) -> None:
    run = await created(manager)
    with pytest.raises(RunNotFound):
        await manager.update_model_name("another", run.run_id, "m")
    with pytest.raises(RunNotFound):
        await manager.cancel("another", run.run_id, CancelAction.INTERRUPT, None)
    assert await stored(manager, run) == run


# Cancelling.


async def test_a_cancel_returns_its_outcome(manager: RunManager) -> None:
    run = await running(manager)
    first = await manager.cancel("o", run.run_id, CancelAction.ROLLBACK, "why")
    assert (first.run.status, first.outcome) == (INTERRUPTED, CancelOutcome.CANCELLED)
    second = await manager.cancel("o", run.run_id, CancelAction.INTERRUPT, "again")
    assert second == (first.run, CancelOutcome.ALREADY_CANCELLED)
    ended = await created(manager)
    await manager.report_status("o", ended.run_id, SUCCESS, Report())
    late = await manager.cancel("o", ended.run_id, CancelAction.INTERRUPT, None)
    assert late.outcome is CancelOutcome.ALREADY_FINISHED


async def test_only_a_cancelled_run_is_acknowledged_and_only_once(
    manager: RunManager,
) -> None:
    run = await running(manager)
    with pytest.raises(NotCancelled):
        await manager.acknowledge_cancel("o", run.run_id, worker_id=None, progress=None)
    await manager.cancel("o", run.run_id, CancelAction.INTERRUPT, None)
    for changed in (True, False):
        answer = await manager.acknowledge_cancel(
            "o", run.run_id, worker_id=None, progress=Progress(total_tokens=1)
        )
        assert answer.changed is changed
    assert await stored(manager, run) == answer.run


async def test_an_unreadable_run_is_corrupt(manager: RunManager, store: MemoryStore) -> None:
    run = await created(manager)
    row = store.data.rows[run.run_id]
    store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    with pytest.raises(CorruptRow):
        await manager.cancel("o", run.run_id, CancelAction.INTERRUPT, None)
