"""Runs that ended by a time, as retention finds them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.conformance.driver import RUNNING, SUCCESS

if TYPE_CHECKING:
    from datetime import datetime

    from runsvc.core.model import Run
    from runsvc.store.base import Store
    from tests.conformance.driver import Driver

MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)


def end(run: Run) -> datetime:
    assert run.ended_at is not None
    return run.ended_at


async def test_ended_runs_are_found_from_their_end_on(store: Store, driver: Driver) -> None:
    run = driver.report(driver.create(), SUCCESS)
    assert await store.reading.ended(end(run) - MOMENT, "", 9) == []
    assert await store.reading.ended(end(run), "", 9) == [run.run_id]


async def test_ended_runs_of_all_owners_are_in_order_of_creation(
    store: Store, driver: Driver
) -> None:
    first, second, third = (driver.create(owner=owner) for owner in "abc")
    ends = [end(driver.report(run, SUCCESS)) for run in (third, first, second)]
    ids = [run.run_id for run in (first, second, third)]
    assert await store.reading.ended(ends[-1], "", 9) == ids
    assert await store.reading.ended(ends[0], "", 9) == ids[2:]
    assert await store.reading.ended(ends[-1], "", 2) == ids[:2]
    assert await store.reading.ended(ends[-1], ids[0], 9) == ids[1:]
    assert await store.reading.ended(ends[-1], ids[2], 9) == []


async def test_active_runs_have_not_ended(store: Store, driver: Driver) -> None:
    run = driver.report(driver.create(), RUNNING)
    driver.create()
    assert await store.reading.ended(run.created_at + DAY, "", 9) == []


async def test_removed_runs_are_not_found(store: Store, driver: Driver) -> None:
    run = driver.report(driver.create(), SUCCESS)
    driver.delete(run)
    assert await store.reading.ended(end(run) + DAY, "", 9) == []
