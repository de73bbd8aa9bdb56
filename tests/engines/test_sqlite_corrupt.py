"""Damaged rows in the SQLite store: each is a CorruptRow, and does not hide other rows."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.commit.command import Command, ExclusiveCommand
from runsvc.core.errors import (
    CorruptRow,
)
from runsvc.store.attachments import Abandoned, Attach
from runsvc.store.queries import DueLeases, DueTimeouts, PageQuery
from runsvc.watch.hub import StatusHub
from runsvc.wire.codec import RunCodec
from tests.conformance.driver import ALL, CODEC, SUCCESS, Driver
from tests.engines.files import execute

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.core.model import Run
    from runsvc.store.sqlite import SqliteStore
    from runsvc.store.values import Record

SECOND = timedelta(seconds=1)
EVER = timedelta.max


async def test_a_row_with_damaged_columns_is_corrupt_and_can_be_removed(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    run, other = driver.create(), driver.create()
    await store.close()
    await store.open()
    execute(path, f"UPDATE runs SET created_at = {2**63 - 1} WHERE run_id = '{run.run_id}'")
    with pytest.raises(CorruptRow):
        await store.reading.get(run.run_id, None)
    with pytest.raises(CorruptRow):
        driver.report(run, SUCCESS)
    driver.delete(run)
    assert [state.run_id for state in (await store.reading.snapshot(ALL)).states] == [other.run_id]


def _due(
    query: DueLeases | DueTimeouts | Abandoned, tx: ExclusiveTransaction
) -> list[Run | CorruptRow]:
    return list(tx.due(query))


def test_a_row_with_damaged_columns_does_not_hide_others_that_are_due(
    driver: Driver, path: Path
) -> None:
    terms: Any = {"worker_id": "w", "lease_ttl": SECOND, "start_timeout": SECOND}
    run, other = driver.create(**terms), driver.create(**terms)
    attached = [Attach(each.run_id, each.run_id, "", run.created_at) for each in (run, other)]
    driver.carry_out(Command(lambda tx: tx.attach(*attached)))
    execute(path, f"UPDATE runs SET created_at = {2**62} WHERE run_id = '{run.run_id}'")
    at = other.created_at + SECOND
    for query in (DueLeases(at, EVER, 9), DueTimeouts(at, 9), Abandoned(at, "s", 9)):
        found = driver.carry_out(ExclusiveCommand(partial(_due, query), (query,)))
        assert other in found
        (corrupt,) = [each for each in found if isinstance(each, CorruptRow)]
        assert corrupt.run_id == run.run_id


async def test_a_damaged_log_entry_is_corrupt_for_its_readers(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    driver.create()
    execute(path, "PRAGMA ignore_check_constraints = ON", "UPDATE log SET status = 99")
    with pytest.raises(CorruptRow):
        await store.reading.log_tail(9, 1 << 20)
    hub = StatusHub(store.reading)
    await hub.start()
    assert (hub.recent_log.floor, hub.recent_log.revision) == (1, 1)


async def test_a_damaged_body_is_a_corrupt_row(
    store: SqliteStore, driver: Driver, path: Path
) -> None:
    run = driver.create()
    await store.close()
    await store.open()
    execute(path, "UPDATE runs SET body = x'ffff'", "UPDATE log SET body = x'ffff'")
    record = await store.reading.get_without_kwargs(run.run_id, None)
    assert record is not None
    (entry,) = (await store.reading.log_since(ALL, 0, 9)).entries
    for subject in (record, entry):
        with pytest.raises(CorruptRow, match=run.run_id):
            CODEC.decode(subject)
    with pytest.raises(CorruptRow):
        driver.cancel(run)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET body = x'ffff'",
        "UPDATE activity SET body = x'ffff'",
        "UPDATE runs SET kwargs = x'ffff'",
        "UPDATE runs SET revision = 9",
    ],
)
async def test_a_corrupt_row_is_refused_each_time_it_is_read(
    store: SqliteStore, driver: Driver, path: Path, statement: str
) -> None:
    run = driver.create()
    await store.close()
    await store.open()
    execute(path, statement)
    for _ in range(2):
        with pytest.raises(CorruptRow, match=run.run_id):
            await store.reading.get(run.run_id, None)


@pytest.mark.parametrize("limit", [9, 99])
@pytest.mark.parametrize("part", ["runs", "activity"])
async def test_a_page_with_a_corrupt_row_is_refused_each_time_it_is_read(
    store: SqliteStore, driver: Driver, path: Path, limit: int, part: str
) -> None:
    run, _ = driver.create(), driver.create()
    await store.close()
    await store.open()
    execute(path, f"UPDATE {part} SET body = x'ffff' WHERE run_id = '{run.run_id}'")
    query = PageQuery(owner="o", thread_id="t", limit=limit, max_bytes=1 << 20)
    with pytest.raises(CorruptRow):
        driver.cancel(run)
    for _ in range(2):
        with pytest.raises(CorruptRow, match=run.run_id):
            await store.reading.page(query)


async def test_a_record_is_checked_once_and_then_cached(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [driver.create(kwargs=b"\x0a\x00") for _ in range(3)]
    await store.close()
    await store.open()
    checked: list[str] = []

    class CountingCodec(RunCodec):
        def check(self, record: Record) -> None:
            checked.append(record.run_id)
            super().check(record)

    monkeypatch.setattr(store.reading, "_codec", CountingCodec())
    query = PageQuery(owner="o", thread_id="t", limit=9, max_bytes=1 << 20)
    for _ in range(2):
        await store.reading.page(query)
    assert sorted(checked) == [run.run_id for run in runs]
    checked.clear()
    for _ in range(2):
        # The kwargs were not read before.
        assert await store.reading.get(runs[0].run_id, None) is not None
    assert checked == [runs[0].run_id]
