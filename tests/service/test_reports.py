"""Reports of the end, and what comes after it: results, stop reasons, late usage, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.struct_pb2 import Struct

from runsvc.v1.run_pb2 import Progress, Run
from tests.support.calls import (
    CHANGED,
    INTERRUPTED,
    PROGRESS,
    RUNNING,
    SNAPSHOT,
    SNAPSHOT_END,
    SUCCESS,
    call,
    created,
    refused,
    watched,
    watching,
)
from tests.support.engines import EVERY_ENGINE
from tests.support.server import in_process

if TYPE_CHECKING:
    from tests.support.engines import StorePlace
    from tests.support.server import Client

#: See conftest.
ENGINES = EVERY_ENGINE


def struct(**fields: Any) -> Struct:
    made = Struct()
    made.update(fields)
    return made


def nested(depth: int) -> Struct:
    outer = inner = Struct()
    for _ in range(depth - 1):
        inner = inner.get_or_create_struct("a")
    inner["leaf"] = True
    return outer


async def running(client: Client, **spec: Any) -> Run:
    run = await created(client, **spec)
    return (await call(client, "SetStatus", run_id=run.run_id, status=RUNNING)).run  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", ["SetStatus", "Complete"])
async def test_a_result_is_returned_by_get_also_after_a_restart(
    db: StorePlace, method: str
) -> None:
    result = struct(answer="hé", items=[1, None, {"deep": True}], large="x" * 100_000)
    async with in_process(db) as client:
        run = await running(client, kwargs=struct(input=1))
        answer = await call(client, method, run_id=run.run_id, status=SUCCESS, result=result)
        assert answer.changed
        assert not answer.run.HasField("result")
        other = struct(answer="other")
        again = await call(client, method, run_id=run.run_id, status=SUCCESS, result=other)
        assert not again.changed
    async with in_process(db) as client:
        found = (await call(client, "Get", run_id=run.run_id)).run
        assert (found.result, found.kwargs) == (result, struct(input=1))
        page = await call(client, "ListByThread", thread_id="t")
        assert not page.runs[0].HasField("result")


async def test_an_empty_result_is_a_result(client: Client) -> None:
    run, bare = await created(client), await created(client)
    await call(client, "Complete", run_id=run.run_id, status=SUCCESS, result=Struct())
    await call(client, "Complete", run_id=bare.run_id, status=SUCCESS)
    assert (await call(client, "Get", run_id=run.run_id)).run.HasField("result")
    assert not (await call(client, "Get", run_id=bare.run_id)).run.HasField("result")


@pytest.mark.parametrize("method", ["Create", "CreateOrReject"])
async def test_a_replayed_creation_returns_the_result(client: Client, method: str) -> None:
    ask: dict[str, Any] = {"spec": {"thread_id": "t", "kwargs": struct(a=1)}, "request_id": "once"}
    run = (await call(client, method, **ask)).run
    assert not (await call(client, method, **ask)).run.HasField("result")
    await call(client, "Complete", run_id=run.run_id, status=SUCCESS, result=struct(b=2))
    again = await call(client, method, **ask)
    assert again.replayed
    assert (again.run.result, again.run.kwargs) == (struct(b=2), struct(a=1))
    await call(client, "Delete", run_id=run.run_id)
    assert not (await call(client, method, **ask)).replayed


@pytest.mark.parametrize(
    ("fields", "violations"),
    [
        ({"status": INTERRUPTED, "result": Struct()}, ["result"]),
        ({"status": SUCCESS, "result": nested(17)}, ["result"]),
        ({"status": SUCCESS, "result": struct(large="x" * (1 << 20))}, ["result"]),
        ({"status": SUCCESS, "result": struct(n=float("nan"))}, ["result"]),
        ({"status": SUCCESS, "stop_reason": "x" * 129}, ["stop_reason"]),
        ({"status": SUCCESS, "stop_reason": "a\nb"}, ["stop_reason"]),
    ],
)
@pytest.mark.parametrize("method", ["SetStatus", "Complete"])
async def test_invalid_contents_are_refused_and_the_run_stays_active(
    client: Client, method: str, fields: dict[str, Any], violations: list[str]
) -> None:
    run = await running(client)
    error = await refused(client, method, run_id=run.run_id, **fields)
    assert [each.field for each in error.violations] == violations
    assert (await call(client, "Get", run_id=run.run_id)).run.status == RUNNING


async def test_a_stop_reason_needs_an_end_and_is_trimmed(client: Client) -> None:
    run = await created(client)
    early = {"status": RUNNING, "stop_reason": "x"}
    error = await refused(client, "SetStatus", run_id=run.run_id, **early)
    assert [each.field for each in error.violations] == ["stop_reason"]
    ended = await call(
        client, "SetStatus", run_id=run.run_id, status=SUCCESS, stop_reason=" token_capped "
    )
    assert ended.run.stop_reason == "token_capped"
    blank = await created(client)
    ended = await call(client, "Complete", run_id=blank.run_id, status=SUCCESS, stop_reason=" ")
    assert not ended.run.HasField("stop_reason")


@pytest.mark.parametrize("method", ["SetStatus", "Complete"])
async def test_a_long_error_is_cut_and_never_refused(client: Client, method: str) -> None:
    run = await running(client)
    answer = await call(client, method, run_id=run.run_id, status=4, error="€" * 1_000_000)
    assert answer.run.error.endswith("€ … (cut)")
    assert 16_380 < len(answer.run.error.encode()) <= 16_384


@pytest.mark.parametrize("method", ["SetStatus", "Complete"])
async def test_an_interrupted_report_acknowledges_and_ends_the_watch(
    client: Client, method: str
) -> None:
    run = await running(client)
    await call(client, "Cancel", run_id=run.run_id)
    async with watching(client, run_id=run.run_id, until_acknowledged=True) as stream:
        assert [(await stream.read()).event for _ in range(2)] == [SNAPSHOT, SNAPSHOT_END]
        ask = {"run_id": run.run_id, "status": INTERRUPTED, "stop_reason": "asked"}
        answer = await call(client, method, **ask)
        assert answer.changed
        assert answer.run.cancellation.HasField("acknowledged_at")
        (last,) = await stream.rest()
    assert (last.event, last.revision) == (CHANGED, answer.run.revision)
    assert (last.run.status, last.previous_status) == (INTERRUPTED, INTERRUPTED)
    assert last.run.stop_reason == "asked"
    again = await call(client, method, **ask)
    assert (again.changed, again.run) == (False, answer.run)
    repeated = await call(client, "AcknowledgeCancel", run_id=run.run_id)
    assert not repeated.changed


async def test_usage_after_the_end_is_a_change_that_resumed_watches_see(client: Client) -> None:
    run = await running(client)
    async with watching(client, thread_id="t", include_progress=True) as stream:
        assert [(await stream.read()).event for _ in range(2)] == [SNAPSHOT, SNAPSHOT_END]
        ended = (await call(client, "Complete", run_id=run.run_id, status=SUCCESS)).run
        usage = Progress(total_tokens=7)
        ask = {"run_id": run.run_id, "progress": usage, "final": True}
        late = await call(client, "UpdateProgress", **ask)
        assert late.applied
        assert late.run.revision == ended.revision + 1
        events = [await stream.read() for _ in range(2)]
    assert [(each.event, each.revision) for each in events] == [
        (CHANGED, ended.revision),
        (CHANGED, late.run.revision),
    ]
    assert (events[1].previous_status, events[1].run.status) == (SUCCESS, SUCCESS)
    assert events[1].run.progress.total_tokens == 7
    assert not (await call(client, "UpdateProgress", **ask)).applied
    # A watch of one run ends at its terminal change; resumed after it, it sends what came later.
    first = await watched(client, run_id=run.run_id, after_revision=ended.revision - 1)
    assert first == [(CHANGED, ended.revision, SUCCESS)]
    rest = await watched(client, run_id=run.run_id, after_revision=ended.revision)
    assert rest == [(CHANGED, late.run.revision, SUCCESS)]
    assert await watched(client, run_id=run.run_id, after_revision=late.run.revision) == []


async def test_usage_is_merged_by_model(client: Client) -> None:
    run = await running(client)
    first = {"by_model": {"a": {"calls": 1, "input_tokens": 5}}}
    await call(client, "UpdateProgress", run_id=run.run_id, progress=first)
    more = {"by_model": {"a": {"calls": 2}, "b": {"reasoning_tokens": 0}}}
    done = await call(client, "Complete", run_id=run.run_id, status=SUCCESS, progress=more)
    by_model = done.run.progress.by_model
    assert (by_model["a"].calls, by_model["a"].input_tokens) == (2, 5)
    assert by_model["b"].HasField("reasoning_tokens")
    assert (await call(client, "Get", run_id=run.run_id)).run.progress == done.run.progress


@pytest.mark.parametrize(
    "by_model",
    [
        {"": {}},
        {" a": {}},
        {"x" * 129: {}},
        {"a": {"calls": -1}},
        {f"m{number}": {} for number in range(33)},
    ],
)
async def test_invalid_usage_by_model_is_refused(client: Client, by_model: dict[str, Any]) -> None:
    run = await running(client)
    progress = {"by_model": by_model}
    error = await refused(client, "UpdateProgress", run_id=run.run_id, progress=progress)
    assert {each.field for each in error.violations} == {"progress.by_model"}


async def test_models_beyond_the_limit_are_refused_after_merging(client: Client) -> None:
    run = await running(client)
    for begin in (0, 16):
        by_model = {f"m{number}": {"calls": 1} for number in range(begin, begin + 16)}
        progress: dict[str, Any] = {"by_model": by_model}
        await call(client, "UpdateProgress", run_id=run.run_id, progress=progress)
    more: dict[str, Any] = {"by_model": {"one more": {}}}
    ask = {"run_id": run.run_id, "status": SUCCESS, "progress": more}
    error = await refused(client, "Complete", **ask)
    assert [each.field for each in error.violations] == ["progress.by_model"]


async def test_metadata_is_changed_by_key_before_and_after_the_end(client: Client) -> None:
    run = await running(client, metadata=struct(a=1, b={"x": 1, "y": 2}, c=3))
    async with watching(client, thread_id="t", include_progress=True) as stream:
        assert [(await stream.read()).event for _ in range(2)] == [SNAPSHOT, SNAPSHOT_END]
        ask = {"run_id": run.run_id, "set": struct(b={"x": 9}, d=[1]), "remove": ["c", "none"]}
        answer = await call(client, "UpdateMetadata", **ask)
        event = await stream.read()
        assert (event.event, event.revision, event.run) == (PROGRESS, 0, answer.run)
        again = await call(client, "UpdateMetadata", **ask)
        ended = (await call(client, "SetStatus", run_id=run.run_id, status=SUCCESS)).run
        assert (await stream.read()).run == ended
        late = await call(client, "UpdateMetadata", run_id=run.run_id, remove=["a"])
        assert (await stream.read()).run == late.run
    assert answer.changed
    assert answer.run.metadata == struct(a=1, b={"x": 9}, d=[1])
    assert answer.run.revision == run.revision
    assert (again.changed, again.run) == (False, answer.run)
    assert (late.run.metadata, late.run.revision) == (struct(b={"x": 9}, d=[1]), ended.revision)
    assert (await call(client, "Get", run_id=run.run_id)).run == late.run


@pytest.mark.parametrize(
    ("fields", "violations"),
    [
        ({}, ["set"]),
        ({"set": struct(a=1), "remove": ["a"]}, ["remove"]),
        ({"set": nested(17)}, ["set"]),
        ({"set": struct(large="x" * 65_536)}, ["set"]),
        ({"set": struct(more="x" * 40_000)}, ["set"]),
    ],
)
async def test_an_invalid_change_of_metadata_is_refused(
    client: Client, fields: dict[str, Any], violations: list[str]
) -> None:
    run = await created(client, metadata=struct(text="x" * 30_000))
    error = await refused(client, "UpdateMetadata", run_id=run.run_id, **fields)
    assert [each.field for each in error.violations] == violations
    assert (await call(client, "Get", run_id=run.run_id)).run == run


async def test_metadata_of_an_unknown_run(client: Client) -> None:
    error = await refused(client, "UpdateMetadata", run_id="unknown", remove=["a"])
    assert error.reason == "RUN_NOT_FOUND"
