"""Removal of a run: only its log entries stay, without their bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.store.queries import ById, ByRequest
from tests.conformance.driver import ALL, RUNNING, SUCCESS, Driver, a_request

if TYPE_CHECKING:
    from runsvc.store.base import Store


async def test_a_deleted_run_is_gone(store: Store, driver: Driver) -> None:
    run = driver.create(request=a_request("id"))
    other = driver.create()
    driver.delete(driver.report(run, SUCCESS))
    assert await store.reading.get(run.run_id, None) is None
    assert driver.load(ById(run.run_id, None)) == []
    assert (await store.reading.inflight("o", "t")).active == [other.run_id]
    assert [state.run_id for state in (await store.reading.snapshot(ALL)).states] == [other.run_id]


async def test_the_log_entries_of_a_deleted_run_lose_the_body(store: Store, driver: Driver) -> None:
    run = driver.create()
    other = driver.create()
    driver.report(run, RUNNING)
    driver.report(run, SUCCESS)
    driver.delete(run)
    entries = (await store.reading.log_since(ALL, 0, 9)).entries
    assert [entry.revision for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.body is None for entry in entries] == [True, False, True, True, True]
    assert [entry.deleted for entry in entries] == [False, False, False, False, True]
    assert entries[1].run_id == other.run_id
    last = entries[-1]
    assert (last.run_id, last.owner, last.thread_id) == (run.run_id, "o", "t")
    assert (last.status, last.previous_status) == (SUCCESS, None)
    assert (await store.reading.clock()).revision == 5


async def test_deleting_a_run_frees_its_request_id(store: Store, driver: Driver) -> None:
    run = driver.create(request=a_request("id"))
    driver.delete(run)
    assert driver.load(ByRequest(a_request("id").key)) == []
    again = driver.create(request=a_request("id"))
    (record,) = driver.load(ByRequest(a_request("id").key))
    assert record.run_id == again.run_id
