"""RunService and AdminService through a client: every call, and every pair of statuses."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from runsvc.v1 import run_pb2
from tests.support.calls import (
    DELETED,
    ENQUEUE,
    ERROR,
    INTERRUPT,
    INTERRUPTED,
    PENDING,
    REJECT,
    ROLLBACK,
    RUNNING,
    SUCCESS,
    TIMEOUT,
    call,
    created,
    created_on,
    in_status,
    refused,
    watching,
)
from tests.support.engines import EVERY_ENGINE
from tests.support.server import in_process

if TYPE_CHECKING:
    from tests.support.engines import StorePlace
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE

EVERY = (PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED)
ENDS = (SUCCESS, ERROR, TIMEOUT, INTERRUPTED)
ALLOWED = {*product((PENDING, RUNNING), ENDS), (PENDING, RUNNING)}


@pytest.mark.parametrize(("before", "after"), list(product(EVERY, EVERY)))
async def test_a_report_of_every_status_on_a_run_of_every_status(
    client: Client, before: int, after: int
) -> None:
    run = await in_status(client, before)
    if before == after:
        answer = await call(client, "SetStatus", run_id=run.run_id, status=after)
        assert not answer.changed
        assert answer.run.revision == run.revision
    elif (before, after) in ALLOWED:
        answer = await call(client, "SetStatus", run_id=run.run_id, status=after)
        assert answer.changed
        assert answer.run.status == after
        assert answer.run.revision > run.revision
        assert answer.run.HasField("ended_at") == (after in ENDS)
    else:
        error = await refused(client, "SetStatus", run_id=run.run_id, status=after)
        assert error.reason == "INVALID_TRANSITION"
        assert error.metadata == {
            "run_id": run.run_id,
            "from": run_pb2.RunStatus.Name(before).removeprefix("RUN_STATUS_"),
            "to": run_pb2.RunStatus.Name(after).removeprefix("RUN_STATUS_"),
        }
        assert (await call(client, "Get", run_id=run.run_id)).run.status == before


async def test_every_field_of_a_creation_reads_back_after_a_restart(db: StorePlace) -> None:
    asked = {
        "thread_id": "Thread/1:a@b._-",
        "assistant_id": "assistant",
        "on_disconnect": "DISCONNECT_MODE_CONTINUE",
        "multitask_strategy": "MULTITASK_STRATEGY_ROLLBACK",
        "metadata": {"grüße": "日本語 🚀", "list": [1.0, [None, True, {"x": "\u0000"}]], "": -1.5},
        "kwargs": {"input": {"messages": [{"role": "user", "content": "hé"}]}, "n": 2.0**53},
        "model_name": "model",
        "worker_id": "worker-1",
    }
    async with in_process(db) as client:
        spec = ParseDict(asked | {"model_name": "  model "}, run_pb2.RunSpec())
        run = (await call(client, "CreateOrReject", spec=spec)).run
    async with in_process(db) as client:
        again = (await call(client, "Get", run_id=run.run_id)).run
        assert again == run
        read = MessageToDict(again, preserving_proto_field_name=True)
        assert {name: read[name] for name in asked} == asked


async def test_defaults_of_a_spec(client: Client) -> None:
    run = (await call(client, "Create", spec={"thread_id": "t"})).run
    assert run.status == PENDING
    assert run.on_disconnect == run_pb2.DISCONNECT_MODE_CANCEL
    assert run.multitask_strategy == REJECT
    assert run.created_at == run.updated_at
    for name in ("assistant_id", "model_name", "error", "worker_id", "superseded_by"):
        assert not run.HasField(name)
    for name in ("started_at", "ended_at", "progress", "cancellation", "lease", "metadata"):
        assert not run.HasField(name)


async def test_create_admits_runs_up_to_the_limit_of_a_thread(db: StorePlace) -> None:
    async with in_process(db, max_active_per_thread=3) as client:
        runs = [await created(client) for _ in range(3)]
        error = await refused(client, "Create", spec={"thread_id": "t"})
        assert (error.reason, error.metadata) == ("THREAD_FULL", {"thread_id": "t"})
        await call(client, "Cancel", run_id=runs[0].run_id)
        runs.append(await created(client))
        active = await call(client, "HasInflight", thread_id="t")
        assert list(active.run_ids) == [run.run_id for run in (runs[3], runs[2], runs[1])]


@pytest.mark.parametrize("strategy", [INTERRUPT, ROLLBACK])
async def test_a_displacing_strategy_interrupts_every_active_run(
    client: Client, strategy: int
) -> None:
    old = [await created(client, metadata={"n": n}, kwargs={"k": n}) for n in range(2)]
    over = await in_status(client, SUCCESS)
    spec = {"thread_id": "t", "multitask_strategy": strategy}
    answer = await call(client, "CreateOrReject", request_id="r", spec=spec)
    assert [run.run_id for run in answer.superseded] == [run.run_id for run in old]
    for run in answer.superseded:
        assert run.status == INTERRUPTED
        assert run.status_reason == run_pb2.STATUS_REASON_SUPERSEDED
        assert run.cancellation.action == (1 if strategy == INTERRUPT else 2)
        assert run.superseded_by == answer.run.run_id
        assert not run.HasField("kwargs")
    revisions = [run.revision for run in (*answer.superseded, answer.run)]
    assert revisions == list(range(revisions[0], revisions[0] + 3))
    assert (await call(client, "Get", run_id=over.run_id)).run == over
    replay = await call(client, "CreateOrReject", request_id="r", spec=spec)
    assert replay.replayed
    assert replay.run == answer.run
    assert list(replay.superseded) == list(answer.superseded)


async def test_create_refuses_enqueue_before_anything_is_written(client: Client) -> None:
    spec = {"thread_id": "t", "multitask_strategy": ENQUEUE}
    error = await refused(client, "Create", spec=spec)
    assert error.reason == "UNSUPPORTED_STRATEGY"
    assert error.metadata == {"strategy": "ENQUEUE", "supported": "REJECT, INTERRUPT, ROLLBACK"}
    assert (await call(client, "GetServerInfo")).current_revision == 0


async def test_a_request_id_belongs_to_its_method_and_spec(client: Client) -> None:
    one = await call(client, "Create", request_id="r", spec={"thread_id": "t", "model_name": "m"})
    again = await call(
        client, "Create", request_id="r", spec={"thread_id": "t", "model_name": " m "}
    )
    assert again.replayed
    assert again.run == one.run
    error = await refused(client, "Create", request_id="r", spec={"thread_id": "u"})
    assert error.reason == "REQUEST_ID_REUSED"
    assert error.metadata == {"run_id": one.run.run_id}
    other = await call(client, "CreateOrReject", request_id="r", spec={"thread_id": "u"})
    assert not other.replayed


async def test_pages_neither_repeat_nor_skip_while_runs_are_created(client: Client) -> None:
    runs = [await created(client) for _ in range(25)]
    seen, token = [], ""
    while True:
        page = await call(client, "ListByThread", thread_id="t", page_size=10, page_token=token)
        seen += [run.run_id for run in page.runs]
        await created(client)
        token = page.next_page_token
        if not token:
            break
    assert seen == [run.run_id for run in reversed(runs)]


@pytest.mark.parametrize(("page_size", "length"), [(0, 100), (1, 1), (500, 500), (501, 500)])
async def test_a_page_has_the_requested_number_of_runs_up_to_the_limit(
    client: Client, page_size: int, length: int
) -> None:
    await created_on(client, ["t"] * 505)
    page = await call(client, "ListByThread", thread_id="t", page_size=page_size)
    assert len(page.runs) == length


async def test_pages_end_at_a_mebibyte_and_leave_kwargs_out(client: Client) -> None:
    metadata = {"text": "x" * 60_000}
    for _ in range(20):
        await created(client, metadata=metadata, kwargs={"a": 1})
    page = await call(client, "ListByThread", thread_id="t")
    assert 15 <= len(page.runs) < 20
    assert page.ByteSize() < (1 << 20) + 4_096
    assert not any(run.HasField("kwargs") for run in page.runs)
    rest = await call(client, "ListByThread", thread_id="t", page_token=page.next_page_token)
    assert len(page.runs) + len(rest.runs) == 20
    assert not rest.next_page_token


async def test_a_list_can_be_filtered_by_status(client: Client) -> None:
    runs = [await created(client) for _ in range(4)]
    await call(client, "SetStatus", run_id=runs[1].run_id, status=RUNNING)
    await call(client, "SetStatus", run_id=runs[2].run_id, status=SUCCESS)
    for statuses, expected in (
        ([RUNNING], [1]),
        ([SUCCESS, RUNNING], [2, 1]),
        ([PENDING], [3, 0]),
        ([TIMEOUT], []),
        ([], [3, 2, 1, 0]),
    ):
        page = await call(client, "ListByThread", thread_id="t", statuses=statuses)
        assert [run.run_id for run in page.runs] == [runs[n].run_id for n in expected]
    assert not (await call(client, "ListByThread", thread_id="nobody")).runs
    assert not (await call(client, "HasInflight", thread_id="nobody")).has_inflight


async def test_the_worker_that_starts_a_run_holds_it(client: Client) -> None:
    run = await created(client)
    held = {"run_id": run.run_id}
    await call(client, "SetStatus", **held, status=RUNNING, worker_id="w1")
    for method, fields in (
        ("SetStatus", {"status": RUNNING}),
        ("Complete", {"status": SUCCESS}),
        ("UpdateProgress", {"progress": {"total_tokens": 1}}),
        ("AcknowledgeCancel", {}),
    ):
        for other in ({}, {"worker_id": "w2"}):
            error = await refused(client, method, **held, **fields, **other)
            assert (error.reason, error.metadata) == ("NOT_HOLDER", {"run_id": run.run_id})
    assert (await call(client, "Complete", **held, status=SUCCESS, worker_id="w1")).changed


async def test_complete_writes_status_error_and_usage_together(client: Client) -> None:
    run = await in_status(client, RUNNING)
    fields = {"run_id": run.run_id, "status": ERROR, "error": "boom\nat line 1"}
    assert (await call(client, "Complete", **fields)).changed
    answer = await call(client, "Complete", **fields, progress={"total_tokens": 7})
    assert answer.changed
    assert answer.run.progress == run_pb2.Progress(total_tokens=7, final=True)
    assert answer.run.error == "boom\nat line 1"
    again = await call(client, "Complete", **fields, progress={"total_tokens": 8})
    assert not again.changed
    assert again.run == answer.run


async def test_progress_merges_in_order_and_only_while_running(client: Client) -> None:
    run = await created(client)

    async def report(sequence: int, **progress: object) -> tuple[bool, run_pb2.Run]:
        answer = await call(
            client, "UpdateProgress", run_id=run.run_id, progress=progress, sequence=sequence
        )
        return answer.applied, answer.run

    assert not (await report(0, total_tokens=1))[0]
    running = (await call(client, "SetStatus", run_id=run.run_id, status=RUNNING)).run
    assert (await report(0, total_tokens=1, last_ai_message="x" * 3_000))[0]
    applied, after = await report(2, llm_call_count=0, message_count=2**62)
    assert applied
    assert not (await report(2, total_tokens=9))[0]
    assert not (await report(1, total_tokens=9))[0]
    assert after.progress == run_pb2.Progress(
        total_tokens=1,
        llm_call_count=0,
        message_count=2**62,
        last_ai_message="x" * 2_000,
    )
    assert (after.status, after.revision) == (running.status, running.revision)
    cancelled = (await call(client, "Cancel", run_id=run.run_id)).run
    late = await call(
        client, "UpdateProgress", run_id=run.run_id, progress={"total_tokens": 3}, final=True
    )
    assert late.applied
    assert late.run.progress.final
    # Usage that arrives after the end is a change.
    assert (late.run.status, late.run.revision) == (INTERRUPTED, cancelled.revision + 1)
    twice = await call(
        client, "UpdateProgress", run_id=run.run_id, progress={"total_tokens": 4}, final=True
    )
    assert not twice.applied
    assert twice.run.progress.total_tokens == 3


async def test_a_model_name_changes_until_the_run_has_ended(client: Client) -> None:
    run = await created(client, model_name="a")
    named = await call(client, "UpdateModelName", run_id=run.run_id, model_name="  b  ")
    assert named.run.model_name == "b"
    cleared = await call(client, "UpdateModelName", run_id=run.run_id)
    assert not cleared.run.HasField("model_name")
    await call(client, "Cancel", run_id=run.run_id)
    error = await refused(client, "UpdateModelName", run_id=run.run_id, model_name="c")
    assert error.reason == "INVALID_TRANSITION"


async def test_cancel_returns_its_outcome(client: Client) -> None:
    for status in (PENDING, RUNNING):
        run = await in_status(client, status)
        first = await call(client, "Cancel", run_id=run.run_id, action=2, note="stop")
        assert first.outcome == run_pb2.CANCEL_OUTCOME_CANCELLED
        assert first.run.status_reason == run_pb2.STATUS_REASON_CANCEL_REQUESTED
        assert (first.run.cancellation.action, first.run.cancellation.note) == (2, "stop")
        second = await call(client, "Cancel", run_id=run.run_id, action=1)
        assert second.outcome == run_pb2.CANCEL_OUTCOME_ALREADY_CANCELLED
        assert second.run == first.run
    run = await in_status(client, SUCCESS)
    late = await call(client, "Cancel", run_id=run.run_id)
    assert late.outcome == run_pb2.CANCEL_OUTCOME_ALREADY_FINISHED
    assert late.run.status == SUCCESS


async def test_a_cancel_is_acknowledged_once(client: Client) -> None:
    run = await in_status(client, RUNNING)
    assert (
        await refused(client, "AcknowledgeCancel", run_id=run.run_id)
    ).reason == "INVALID_TRANSITION"
    await call(client, "Cancel", run_id=run.run_id)
    first = await call(client, "AcknowledgeCancel", run_id=run.run_id, progress={"total_tokens": 1})
    assert first.changed
    assert first.run.cancellation.HasField("acknowledged_at")
    assert first.run.progress.final
    second = await call(client, "AcknowledgeCancel", run_id=run.run_id)
    assert not second.changed
    assert second.run == first.run


async def test_orphans_are_reconciled_oldest_first_until_there_are_none(client: Client) -> None:
    runs = [await created(client, f"t{n}") for n in range(5)]
    await call(client, "SetStatus", run_id=runs[0].run_id, status=RUNNING)
    first = await call(client, "ReconcileOrphans", error="lost", before=runs[3].created_at, limit=3)
    assert [run.run_id for run in first.runs] == [run.run_id for run in runs[:3]]
    assert first.more
    assert {(run.status, run.error) for run in first.runs} == {(ERROR, "lost")}
    assert {run.status_reason for run in first.runs} == {run_pb2.STATUS_REASON_ORPHANED}
    rest = await call(client, "ReconcileOrphans")
    assert len(rest.runs) == 2
    assert not rest.more
    assert not (await call(client, "ReconcileOrphans")).runs


async def test_orphans_are_selected_and_shown_before_they_end(client: Client) -> None:
    runs = [await created(client, f"t{n}", assistant_id=f"a{n % 2}") for n in range(4)]
    await call(client, "SetStatus", run_id=runs[3].run_id, status=RUNNING)
    mine = {"assistant_id": "a1", "statuses": [PENDING]}
    before = await call(client, "GetServerInfo")
    dry = await call(client, "ReconcileOrphans", dry_run=True, **mine)
    assert [run.run_id for run in dry.runs] == [runs[1].run_id]
    assert dry.runs[0].status == PENDING
    assert await call(client, "GetServerInfo") == before
    ended = await call(client, "ReconcileOrphans", **mine)
    assert [(run.run_id, run.status) for run in ended.runs] == [(runs[1].run_id, ERROR)]
    rest = await call(client, "ReconcileOrphans", dry_run=True, limit=2)
    assert [run.run_id for run in rest.runs] == [runs[0].run_id, runs[2].run_id]
    assert rest.more


@pytest.mark.parametrize(("orphans", "status"), [("keep", PENDING), ("fail", ERROR)])
async def test_active_runs_are_kept_or_failed_at_start(
    db: StorePlace, orphans: str, status: int
) -> None:
    async with in_process(db) as client:
        run = await created(client)
    async with in_process(db, orphans=orphans, orphan_error="gone") as client:
        after = (await call(client, "Get", run_id=run.run_id)).run
        assert after.status == status
        assert after.error == ("gone" if status == ERROR else "")


async def test_delete_frees_the_request_id_and_a_late_report_does_not_restore_the_run(
    client: Client,
) -> None:
    spec = {"thread_id": "t"}
    run = (await call(client, "Create", request_id="r", spec=spec)).run
    error = await refused(client, "Delete", run_id=run.run_id)
    assert error.reason == "INVALID_TRANSITION"
    await call(client, "SetStatus", run_id=run.run_id, status=SUCCESS)
    await call(client, "Delete", run_id=run.run_id)
    for method, fields in (
        ("Get", {}),
        ("Delete", {}),
        ("Complete", {"status": SUCCESS}),
        ("UpdateProgress", {"final": True}),
    ):
        gone = await refused(client, method, run_id=run.run_id, **fields)
        assert (gone.reason, gone.metadata) == ("RUN_NOT_FOUND", {"run_id": run.run_id})
    assert not (await call(client, "Create", request_id="r", spec=spec)).replayed


async def test_server_info_counts_runs_watchers_and_attachments(
    client: Client, engine: str
) -> None:
    await created(client)
    info = await call(client, "GetServerInfo")
    assert info.store_kind == {"sqlite": "sqlite", "postgres": "postgresql"}[engine]
    assert info.store_id
    assert (info.current_revision, info.oldest_revision, info.active_runs) == (1, 1, 1)


async def test_ended_runs_are_removed_after_the_retention_time(db: StorePlace) -> None:
    async with in_process(db) as client:
        spec = {"thread_id": "t"}
        first = (await call(client, "Create", request_id="r", spec=spec)).run
        for run in (first, await created(client)):
            await call(client, "SetStatus", run_id=run.run_id, status=SUCCESS)
        active = await created(client)
        revision = (await call(client, "GetServerInfo")).current_revision
    async with (
        in_process(db, retain_runs=timedelta(microseconds=1)) as client,
        watching(client, thread_id="t", after_revision=revision) as stream,
    ):
        told = [await stream.read() for _ in range(2)]
        assert [event.event for event in told] == [DELETED, DELETED]
        assert told[0].run.run_id == first.run_id
        left = (await call(client, "ListByThread", thread_id="t")).runs
        assert [run.run_id for run in left] == [active.run_id]
        again = await call(client, "Create", request_id="r", spec=spec)
        assert not again.replayed
