"""Results: stored with the end of a run, beside its kwargs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runsvc.commit.command import Command
from runsvc.core import lifecycle
from runsvc.core.model import Progress, RunSpec
from runsvc.store.queries import ById
from tests.conformance.driver import ERROR, INPUT, RUNNING, SUCCESS, Driver, thread_topic

if TYPE_CHECKING:
    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Run
    from runsvc.store.base import Store

RESULT = b"\x0a\x07\x0a\x01a\x12\x02\x08\x00"


def end(driver: Driver, run: Run, result: bytes | None) -> Run:
    """End a run as SUCCESS with a result."""
    query = ById(run.run_id, None)

    def decide(tx: Transaction) -> Run:
        before = tx.run(query)
        after = lifecycle.report(before, SUCCESS, tx.stamp(), worker_id=None)
        return tx.save(before, after, result)

    return driver.carry_out(Command(decide, (query,)))


@pytest.mark.parametrize("result", [RESULT, b"", None])
async def test_get_returns_the_result(store: Store, driver: Driver, result: bytes | None) -> None:
    run = driver.create(kwargs=INPUT)
    end(driver, run, result)
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert (record.kwargs, record.result) == (b"\x0a\x00", result)


async def test_every_other_read_leaves_the_result_out(store: Store, driver: Driver) -> None:
    run = end(driver, driver.create(), RESULT)
    record = await store.reading.get_without_kwargs(run.run_id, None)
    assert record is not None
    others = [record, *driver.load(ById(run.run_id, None))]
    others += await store.reading.with_displaced(run.run_id)
    snapshot = await store.reading.snapshot(thread_topic("t"))
    assert not snapshot.states
    assert {each.result for each in others} == {None}
    assert {each.size for each in others} == {len(record.body) + len(record.activity)}


async def test_a_result_stays_when_the_run_changes_after_its_end(
    store: Store, driver: Driver
) -> None:
    run = end(driver, driver.create(), RESULT)
    await store.reading.get(run.run_id, None)
    usage = Progress(total_tokens=1)
    driver.change(
        run, lambda run, at: lifecycle.report_progress(run, usage, at, worker_id=None, final=True)
    )
    driver.change(run, lambda run, at: lifecycle.replace_metadata(run, b"\x0a\x00", at))
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert record.result == RESULT


async def test_a_run_may_be_created_and_end_with_a_result_in_one_transaction(
    store: Store, driver: Driver
) -> None:
    def decide(tx: Transaction) -> Run:
        spec = RunSpec(thread_id="t", kwargs=INPUT)
        run = tx.create(spec, run_id=tx.new_run_id(), owner="o", request=None)
        ended = lifecycle.report(run, SUCCESS, tx.stamp(), worker_id=None)
        done = tx.save(run, ended, RESULT)
        return tx.save(done, lifecycle.replace_metadata(done, b"\x0a\x00", tx.stamp()))

    run = driver.carry_out(Command(decide))
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert (record.kwargs, record.result) == (b"\x0a\x00", RESULT)


async def test_runs_without_a_result_have_none(store: Store, driver: Driver) -> None:
    run = driver.create()
    for status in (RUNNING, ERROR):
        driver.report(run, status)
        record = await store.reading.get(run.run_id, None)
        assert record is not None
        assert record.result is None
