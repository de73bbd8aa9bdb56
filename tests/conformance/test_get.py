"""Reads of single runs, and the queries of a transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from runsvc.core.model import Lease
from runsvc.store.queries import (
    ActiveCount,
    ActiveOnThread,
    ById,
    ByRequest,
    NewestActive,
    Orphans,
    Query,
)
from runsvc.store.values import Loaded
from tests.conformance.driver import INPUT, RUNNING, SUCCESS, Driver, a_request

if TYPE_CHECKING:
    from runsvc.store.base import Store


async def test_get_returns_the_run_with_its_kwargs(store: Store, driver: Driver) -> None:
    run = driver.create(kwargs=INPUT)
    record = await store.reading.get(run.run_id, None)
    assert record is not None
    assert record.kwargs == INPUT


async def test_get_of_an_unknown_run_returns_none(store: Store) -> None:
    assert await store.reading.get("unknown", None) is None


async def test_active_on_thread_returns_ids_newest_first(store: Store, driver: Driver) -> None:
    old, ended, new = (driver.create() for _ in range(3))
    driver.create("elsewhere")
    driver.create(owner="another")
    driver.report(old, RUNNING)
    driver.report(ended, SUCCESS)
    assert (await store.reading.inflight("o", "t")).active == [new.run_id, old.run_id]
    assert (await store.reading.inflight("o", "unknown")).active == []


async def test_count_active_counts_active_runs_of_every_owner(store: Store, driver: Driver) -> None:
    assert await store.reading.count_active() == 0
    first = driver.create()
    driver.create(owner="another")
    driver.report(driver.create(), SUCCESS)
    driver.report(first, RUNNING)
    assert await store.reading.count_active() == 2


def test_by_id_finds_one_record_without_kwargs_or_none(driver: Driver) -> None:
    run = driver.create(kwargs=INPUT)
    (record,) = driver.load(ById(run.run_id, None))
    assert (record.run_id, record.kwargs) == (run.run_id, None)
    assert driver.load(ById("unknown", None)) == []


def test_by_request_finds_the_run_that_the_request_created(driver: Driver) -> None:
    run = driver.create(request=a_request("id", b"hash"), kwargs=INPUT)
    (record,) = driver.load(ByRequest(a_request("id").key))
    assert (record.run_id, record.spec_hash, record.kwargs) == (run.run_id, b"hash", None)
    for other in (
        a_request("ID"),
        a_request("id", owner="another"),
        a_request("id", method="CreateOrReject"),
    ):
        assert driver.load(ByRequest(other.key)) == []


def test_a_request_id_is_unique_per_owner_and_method(driver: Driver) -> None:
    requests = [
        a_request("id"),
        a_request("id", owner="another"),
        a_request("id", method="CreateOrReject"),
    ]
    runs = [driver.create(owner=new.key.owner, request=new) for new in requests]
    for request, run in zip(requests, runs, strict=True):
        assert [found.run_id for found in driver.load(ByRequest(request.key))] == [run.run_id]


def test_active_on_thread_finds_active_runs_newest_first(driver: Driver) -> None:
    old, ended, new = (driver.create(kwargs=INPUT) for _ in range(3))
    driver.create(owner="another")
    driver.create("elsewhere")
    driver.report(ended, SUCCESS)
    found = driver.load(ActiveOnThread("o", "t"))
    assert [record.run_id for record in found] == [new.run_id, old.run_id]
    assert {record.kwargs for record in found} == {None}


def test_newest_active_finds_the_newest_without_bodies(driver: Driver) -> None:
    old, ended, middle, new = (driver.create() for _ in range(4))
    driver.report(ended, SUCCESS)
    found = driver.load(NewestActive("o", "t", 2))
    assert [record.run_id for record in found] == [new.run_id, middle.run_id]
    assert {record.body for record in found} == {b""}
    assert driver.load(NewestActive("o", "t", 9))[-1].run_id == old.run_id


def test_active_count_counts_the_active_runs_of_a_thread(store: Store, driver: Driver) -> None:
    count = ActiveCount("o", "t")
    store.writing.begin()
    assert store.writing.load([count]).counts == {count: 0}
    store.writing.rollback()
    runs = [driver.create() for _ in range(3)]
    driver.create("elsewhere")
    driver.create(owner="another")
    driver.report(runs[1], SUCCESS)
    store.writing.begin()
    assert store.writing.load([count]).counts == {count: 2}
    store.writing.rollback()


def test_orphans_finds_active_runs_without_a_lease_oldest_first(
    store: Store, driver: Driver
) -> None:
    first = driver.create("a", owner="one")
    second = driver.create("b", owner="two", kwargs=INPUT)
    driver.report(driver.create(), SUCCESS)
    last = driver.create()
    driver.change(
        driver.create(),
        lambda run, at: replace(run, lease=Lease(timedelta(0, 9), at.time), revision=at.revision),
    )
    ids = [run.run_id for run in (first, second, last)]
    found = driver.load(Orphans(None, 9))
    assert [record.run_id for record in found] == ids
    assert {record.kwargs for record in found} == {None}
    assert [record.run_id for record in driver.load(Orphans(None, 2))] == ids[:2]
    at = second.created_at
    assert [record.run_id for record in driver.load(Orphans(at, 9))] == ids[:2]
    before = at - timedelta(microseconds=1)
    assert [record.run_id for record in driver.load(Orphans(before, 9))] == ids[:1]


def test_load_answers_each_query(store: Store, driver: Driver) -> None:
    run = driver.create()
    queries: list[Query] = [
        ById(run.run_id, None),
        ById("unknown", None),
        ActiveOnThread("o", "t"),
        NewestActive("o", "t", 1),
        Orphans(None, 1),
    ]
    count = ActiveCount("o", "t")
    store.writing.begin()
    records, counts, _ = store.writing.load([*queries, count])
    store.writing.rollback()
    assert set(records) == set(queries)
    assert [len(records[query]) for query in queries] == [1, 0, 1, 1, 1]
    assert counts == {count: 1}


def test_load_without_queries_returns_nothing(store: Store) -> None:
    store.writing.begin()
    assert store.writing.load([]) == Loaded({}, {})
    store.writing.rollback()
