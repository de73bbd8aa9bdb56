"""What outlives a durable store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from runsvc.store.base import ByRequest, Changes, Store
from tests.conformance.conftest import DURABLE, StoreCase
from tests.conformance.driver import ALL, RUNNING, SUCCESS, Driver, a_request

Reopen = Callable[[], Awaitable[Store]]


@pytest.fixture(params=DURABLE, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> StoreCase:
    found: StoreCase = request.param
    return found


async def test_everything_committed_is_there_after_reopening(
    store: Store, driver: Driver, reopen: Reopen
) -> None:
    run = driver.create(kwargs=b"input", request=a_request("id"))
    driver.progress(driver.report(run, RUNNING), 5, sequence=1)
    gone = driver.create()
    driver.delete(driver.report(gone, SUCCESS))
    before = (
        await store.get(run.run_id),
        await store.clock(),
        await store.snapshot(ALL),
        await store.log_tail(99, 1 << 20),
    )
    again = await reopen()
    assert before == (
        await again.get(run.run_id),
        await again.clock(),
        await again.snapshot(ALL),
        await again.log_tail(99, 1 << 20),
    )
    (record,) = Driver(again).load(ByRequest(a_request("id").key))
    assert record.run_id == run.run_id
    now = again.begin()
    again.rollback()
    assert (now.revision, now.commits) == (5, 6)


async def test_nothing_uncommitted_is_there_after_reopening(
    store: Store, driver: Driver, reopen: Reopen
) -> None:
    driver.create()
    now = store.begin()
    store.save(Changes(time=now.time, revision=9))
    assert (await (await reopen()).clock()).revision == 1


async def test_time_does_not_go_back_over_reopening(store: Store, reopen: Reopen) -> None:
    future = datetime(2199, 1, 1, tzinfo=UTC)
    store.begin()
    store.save(Changes(time=future, revision=1))
    store.commit()
    assert (await reopen()).begin().time == future


async def test_a_closed_store_opens_again(store: Store, driver: Driver) -> None:
    run = driver.create()
    await store.close()
    await store.open()
    assert await store.get(run.run_id) is not None
    assert driver.report(run, SUCCESS).revision == 2
