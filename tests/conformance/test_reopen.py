"""The data of a durable store after it was closed and opened again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from runsvc.store.base import Store
from runsvc.store.queries import ByRequest
from runsvc.store.values import Changes
from tests.conformance.conftest import DURABLE, StoreCase
from tests.conformance.driver import ALL, INPUT, RUNNING, SUCCESS, Driver, a_request

Reopen = Callable[[], Awaitable[Store]]


@pytest.fixture(params=DURABLE, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> StoreCase:
    found: StoreCase = request.param
    return found


async def test_committed_data_survives_reopening(
    store: Store, driver: Driver, reopen: Reopen
) -> None:
    run = driver.create(kwargs=INPUT, request=a_request("id"))
    driver.progress(driver.report(run, RUNNING), 5, sequence=1)
    gone = driver.create()
    driver.delete(driver.report(gone, SUCCESS))
    before = (
        await store.reading.get(run.run_id, None),
        await store.reading.clock(),
        await store.reading.snapshot(ALL),
        await store.reading.log_tail(99, 1 << 20),
    )
    again = await reopen()
    assert before == (
        await again.reading.get(run.run_id, None),
        await again.reading.clock(),
        await again.reading.snapshot(ALL),
        await again.reading.log_tail(99, 1 << 20),
    )
    (record,) = Driver(again).load(ByRequest(a_request("id").key))
    assert record.run_id == run.run_id
    now = again.writing.begin()
    again.writing.rollback()
    assert (now.revision, now.commits) == (5, 6)


async def test_uncommitted_data_does_not_survive_reopening(
    store: Store, driver: Driver, reopen: Reopen
) -> None:
    driver.create()
    now = store.writing.begin()
    store.writing.save(Changes(time=now.time, revision=9))
    assert (await (await reopen()).reading.clock()).revision == 1


async def test_time_does_not_go_back_after_reopening(store: Store, reopen: Reopen) -> None:
    future = datetime(2199, 1, 1, tzinfo=UTC)
    store.writing.begin()
    store.writing.save(Changes(time=future, revision=1))
    store.writing.commit()
    assert (await reopen()).writing.begin().time == future


async def test_a_closed_store_opens_again(store: Store, driver: Driver) -> None:
    run = driver.create()
    await store.close()
    await store.open()
    assert await store.reading.get(run.run_id, None) is not None
    assert driver.report(run, SUCCESS).revision == 2
