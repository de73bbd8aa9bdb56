"""The bounds of the run cache, and the rule for filling it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.store.queries import ById
from runsvc.store.sqlite.cache import (
    ENTRY_COST,
    CachedRun,
    NewestRuns,
    RunCache,
    ThreadKey,
)

if TYPE_CHECKING:
    from runsvc.store.sqlite import SqliteStore
    from runsvc.store.values import Record
    from tests.conformance.driver import Driver


def a_record(store: SqliteStore, driver: Driver) -> Record:
    (record,) = driver.load(ById(driver.create().run_id, None))
    return record


def test_the_size_of_the_cache_is_bounded(store: SqliteStore, driver: Driver) -> None:
    records = [a_record(store, driver) for _ in range(4)]
    cache = RunCache(capacity=3 * (ENTRY_COST + 2 * records[0].size) + 100)
    for record in (*records, records[1]):
        cache.fill(cache.generation(), CachedRun(record))
    assert [cache.find(record.run_id) is None for record in records] == [True, False, False, False]
    # A run larger than the capacity evicts everything, including itself.
    cache.fill(cache.generation(), CachedRun(records[0], kwargs=bytes(100_000)))
    assert all(cache.find(record.run_id) is None for record in records)


def test_a_run_read_before_a_change_is_not_added(store: SqliteStore, driver: Driver) -> None:
    record, cache = a_record(store, driver), RunCache()

    def commit() -> None:
        cache.begin_commit([], [])
        cache.end_commit()

    for change in (commit, cache.clear):
        generation = cache.generation()
        change()
        cache.fill(generation, CachedRun(record))
        assert cache.find(record.run_id) is None
    cache.begin_commit([], [])
    generation = cache.generation()
    cache.fill(generation, CachedRun(record))
    cache.end_commit()
    cache.fill(generation, CachedRun(record))
    assert cache.find(record.run_id) is None


def test_the_number_of_cached_threads_is_bounded() -> None:
    cache = RunCache(threads=3)
    threads = [ThreadKey("o", str(number)) for number in range(4)]
    for thread in threads:
        cache.fill_newest(cache.generation(), thread, NewestRuns(["r"], 1))
    assert [thread for thread in threads if cache.newest(thread, 1) is None] == [threads[0]]


def test_a_thread_read_before_a_change_is_not_added() -> None:
    cache, thread = RunCache(), ThreadKey("o", "t")

    def fill(generation: int) -> None:
        cache.fill_newest(generation, thread, NewestRuns(["r"], 1))
        assert cache.newest(thread, 1) is None

    before = cache.generation()
    cache.begin_commit([], [thread])
    meanwhile = cache.generation()
    fill(before)
    fill(meanwhile)
    cache.end_commit()
    fill(before)
    fill(meanwhile)
