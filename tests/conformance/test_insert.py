"""Inserted runs and log entries are stored exactly, including extreme values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from google.protobuf.struct_pb2 import Struct, Value

from runsvc.core.model import (
    CancelAction,
    Cancellation,
    DisconnectMode,
    Lease,
    MultitaskStrategy,
    Progress,
    Request,
    RequestKey,
    Run,
    RunStatus,
    StatusReason,
)
from runsvc.store.queries import ById, ByRequest
from runsvc.store.values import Changes, Creation, LogEntry, Record, Saved
from tests.conformance.driver import ALL, CODEC, INPUT, RUNNING, Driver, a_request

if TYPE_CHECKING:
    from runsvc.store.base import Store

LARGEST = 2**63 - 1
TIME = datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)
UNICODE = "Zoë 走る 🏃\u200d♀️ \x00 ' \" ; -- %"
#: No name that a request or a credential gives has control characters.
NAME = UNICODE.replace("\x00", "")

HARD = Run(
    run_id="01JX-é",
    owner=NAME,
    thread_id="thread/ß",
    status=RunStatus.INTERRUPTED,
    revision=3,
    created_at=TIME,
    updated_at=TIME + timedelta(microseconds=3),
    on_disconnect=DisconnectMode.CONTINUE,
    multitask_strategy=MultitaskStrategy.ROLLBACK,
    status_reason=StatusReason.SUPERSEDED,
    assistant_id="assistant:ñ",
    model_name=UNICODE,
    error=UNICODE,
    cancellation=Cancellation(
        CancelAction.ROLLBACK, UNICODE, TIME, TIME + timedelta(microseconds=2)
    ),
    progress=Progress(
        total_input_tokens=LARGEST,
        total_output_tokens=0,
        message_count=LARGEST,
        last_ai_message=UNICODE,
        final=True,
    ),
    progress_sequence=LARGEST,
    worker_id="w",
    lease=Lease(timedelta(microseconds=1), TIME),
    start_timeout=timedelta(microseconds=1),
    timeout=timedelta(days=30, microseconds=-1),
    superseded_by="01JX-É",
    started_at=TIME,
    ended_at=TIME + timedelta(microseconds=1),
)
KWARGS = Struct(
    fields={"".join(map(chr, range(256))): Value(string_value=UNICODE)}
).SerializeToString()
REQUEST = Request(RequestKey(NAME, "CreateOrReject", NAME), bytes(32))


def save(store: Store, *runs: Saved, log: tuple[LogEntry, ...] = ()) -> None:
    now = store.writing.begin()
    revision = max(saved.run.revision for saved in runs)
    store.writing.save(Changes(time=now.time, revision=revision, runs=runs, log=log))
    store.writing.commit()


def saved(run: Run, kwargs: bytes = b"", request: Request | None = None) -> Saved:
    return Saved(run, CODEC.encode(run), Creation(kwargs, request))


async def test_extreme_values_are_stored_exactly(store: Store) -> None:
    save(store, saved(HARD, KWARGS, REQUEST))
    record = await store.reading.get(HARD.run_id, None)
    assert record == Record(
        run_id=HARD.run_id,
        owner=HARD.owner,
        thread_id=HARD.thread_id,
        assistant_id=HARD.assistant_id,
        status=HARD.status,
        created_at=TIME,
        revision=3,
        progress_sequence=LARGEST,
        spec_hash=bytes(32),
        **CODEC.encode(HARD)._asdict(),
        kwargs=KWARGS,
    )
    assert type(record.status) is RunStatus
    assert CODEC.decode(record) == HARD


async def test_unset_fields_stay_unset(store: Store, driver: Driver) -> None:
    run = driver.create(owner="")
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert record.owner == ""
    assert (record.assistant_id, record.progress_sequence, record.spec_hash) == (None, None, None)
    assert record.kwargs == b""
    assert CODEC.decode(record) == run


@pytest.mark.parametrize(
    "time",
    [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)],
    ids=["first", "last"],
)
async def test_the_first_and_last_times_are_stored_exactly(store: Store, time: datetime) -> None:
    run = replace(HARD, created_at=time)
    save(store, saved(run))
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert record.created_at == time


async def test_ids_that_differ_only_by_case_are_two(store: Store, driver: Driver) -> None:
    for name in ("abc", "ABC"):
        driver.create(
            name, owner=name, run_id=name, assistant_id=name, request=a_request(name, owner=name)
        )
    for name in ("abc", "ABC"):
        record = await store.reading.get(name, None)
        assert record is not None
        assert (record.run_id, record.owner, record.thread_id) == (name, name, name)
        assert (await store.reading.inflight(name, name)).active == [name]
        assert [
            found.run_id for found in driver.load(ByRequest(a_request(name, owner=name).key))
        ] == [name]
    assert (await store.reading.inflight("abc", "ABC")).active == []


async def test_a_log_entry_is_stored_exactly(store: Store) -> None:
    entry = LogEntry(
        revision=3,
        call_end=5,
        run_id=HARD.run_id,
        owner=HARD.owner,
        thread_id=HARD.thread_id,
        assistant_id=HARD.assistant_id,
        status=RunStatus.INTERRUPTED,
        previous_status=RunStatus.PENDING,
        deleted=False,
        body=b"".join(CODEC.encode(HARD)),
    )
    last = entry._replace(revision=5, previous_status=None, assistant_id=None, body=None)
    save(store, saved(replace(HARD, revision=5)), log=(entry, last))
    assert await store.reading.log_tail(9, 1 << 20) == [entry, last]
    found = (await store.reading.log_tail(9, 1 << 20))[0]
    assert type(found.status) is RunStatus
    assert type(found.previous_status) is RunStatus
    assert found.deleted is False


async def test_many_runs_are_inserted_in_one_transaction(store: Store) -> None:
    runs = [replace(HARD, run_id=f"r{number}", revision=number) for number in range(1, 201)]
    save(store, *map(saved, runs))
    for run in runs:
        record = await store.reading.get(run.run_id, None)
        assert record is not None
        assert record.revision == run.revision


async def test_a_run_created_and_changed_in_one_transaction_is_saved_once(
    store: Store, driver: Driver
) -> None:
    driver.create(kwargs=INPUT)
    new, gone = driver.displace()
    assert {run.status for run in gone} == {RunStatus.INTERRUPTED}
    assert (await store.reading.inflight("o", "t")).active == [new.run_id]
    assert [entry.revision for entry in (await store.reading.log_since(ALL, 0, 9)).entries] == [
        1,
        2,
        3,
    ]


async def test_a_change_keeps_the_columns_set_at_creation(store: Store, driver: Driver) -> None:
    run = driver.create(kwargs=KWARGS, request=a_request("once", b"hash"), assistant_id="a")
    driver.report(run, RUNNING)
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert (record.kwargs, record.spec_hash, record.assistant_id) == (KWARGS, b"hash", "a")
    assert driver.load(ById(run.run_id, None)) == [record._replace(kwargs=None)]
