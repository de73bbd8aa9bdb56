"""Runs that the SQLite store keeps at hand: never older than the file, whoever reads at whatever moment."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core.errors import OutcomeUnknown, StoreUnavailable
from runsvc.store.queries import ById, PageQuery
from runsvc.store.sqlite.cache import (
    ENTRY_COST,
    THREADS,
    CachedRun,
    NewestRuns,
    RunCache,
    ThreadKey,
)
from tests.conformance.driver import CODEC, PENDING, RUNNING, SUCCESS, Driver
from tests.engines.test_sqlite import fail_commits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from runsvc.core.model import Run
    from runsvc.store.base import Record
    from runsvc.store.sqlite import SqliteStore


def now(store: SqliteStore, run: Run) -> Record | None:
    """What Get finds, also from within something that cannot wait: it reads without a pause."""
    reading = store.reading.get(run.run_id)
    try:
        reading.send(None)
    except StopIteration as found:
        record: Record | None = found.value
        return record
    raise AssertionError("It waited.")


def status(store: SqliteStore, run: Run) -> int:
    record = now(store, run)
    assert record is not None
    return CODEC.decode(record).status


def forgotten(store: SqliteStore) -> None:
    store._cache.clear()


def between(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, also: Callable[[], object]
) -> None:
    """Have something happen after a reader's next SELECT, before it takes in what it found."""
    read = store.reading._fetch_on_loop

    def reading(statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        rows = read(statement, parameters)
        monkeypatch.setattr(store.reading, "_fetch_on_loop", read)
        also()
        return rows

    monkeypatch.setattr(store.reading, "_fetch_on_loop", reading)


async def test_what_is_at_hand_is_not_read_again(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.create(kwargs=b"\x0a\x00")
    fresh = await store.reading.get(run.run_id)
    assert fresh is not None
    monkeypatch.setattr(store.reading, "_fetch_on_loop", None)
    assert await store.reading.get(run.run_id) == fresh
    assert await store.reading.get_without_kwargs(run.run_id) == fresh._replace(kwargs=None)


async def test_what_is_at_hand_is_what_the_file_holds(store: SqliteStore, driver: Driver) -> None:
    run = driver.create(kwargs=b"\x0a\x00", assistant_id="a")
    changes: list[Callable[[], object]] = [
        lambda: driver.report(run, RUNNING),
        lambda: driver.progress(run, 5, sequence=7),
        lambda: driver.report(run, SUCCESS),
    ]
    for change in changes:
        change()
        kept = await store.reading.get(run.run_id), driver.load(ById(run.run_id))
        forgotten(store)
        assert (await store.reading.get(run.run_id), driver.load(ById(run.run_id))) == kept


def test_a_reader_that_a_commit_overtakes_leaves_nothing_old_behind(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.create()
    forgotten(store)
    between(store, monkeypatch, lambda: driver.report(run, RUNNING))
    assert status(store, run) == PENDING
    assert status(store, run) == RUNNING
    forgotten(store)
    between(store, monkeypatch, lambda: driver.delete(driver.report(run, SUCCESS)))
    assert status(store, run) == RUNNING
    assert now(store, run) is None


@pytest.mark.parametrize("happens", [True, False])
def test_a_reader_in_the_midst_of_a_commit_reads_the_file(
    store: SqliteStore, driver: Driver, *, happens: bool
) -> None:
    run = driver.create()
    seen = []
    fail_commits(store, happens=happens, also=lambda: seen.append(status(store, run)))
    if happens:
        driver.report(run, RUNNING)
    else:
        with pytest.raises(StoreUnavailable):
            driver.report(run, RUNNING)
    # At the moment of the commit, and ever since, what the file says.
    assert seen == [RUNNING if happens else PENDING]
    assert status(store, run) == seen[0]
    driver.report(run, SUCCESS)
    assert status(store, run) == SUCCESS


def test_a_reader_that_looked_during_a_commit_leaves_nothing_old_behind(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.create()

    def look_before_it_happens(commit: Callable[[], None]) -> None:
        # Reads before the commit, takes in after it.
        between(store, monkeypatch, commit)
        assert status(store, run) == PENDING

    commit = store.writing._commit
    monkeypatch.setattr(store.writing, "_commit", lambda: look_before_it_happens(commit))
    driver.report(run, RUNNING)
    assert status(store, run) == RUNNING


@pytest.mark.parametrize("happens", [True, False])
def test_after_a_commit_of_unknown_fate_the_file_is_asked(
    store: SqliteStore, driver: Driver, tmp_path: Path, *, happens: bool
) -> None:
    path, away = tmp_path / "runs.db", tmp_path / "away.db"
    run = driver.create()
    fail_commits(store, happens=happens, also=lambda: path.rename(away))
    with pytest.raises(OutcomeUnknown):
        driver.report(run, RUNNING)
    away.rename(path)
    assert status(store, run) == (RUNNING if happens else PENDING)
    driver.report(run, SUCCESS)
    assert status(store, run) == SUCCESS


def test_what_was_rolled_back_is_not_at_hand(store: SqliteStore, driver: Driver) -> None:
    run = driver.create()
    begun = store.writing.begin()
    assert store.writing.load([ById(run.run_id)]).records[ById(run.run_id)]
    store.writing.rollback()
    assert status(store, run) == PENDING
    assert store.writing.begin().revision == begun.revision
    store.writing.rollback()


def test_what_was_deleted_is_gone(store: SqliteStore, driver: Driver) -> None:
    run = driver.report(driver.create(), SUCCESS)
    assert status(store, run) == SUCCESS
    driver.delete(run)
    assert now(store, run) is None
    assert driver.load(ById(run.run_id)) == []


def test_what_somebody_else_wrote_is_noticed_by_the_next_transaction(
    store: SqliteStore, driver: Driver, tmp_path: Path
) -> None:
    run = driver.create()
    with closing(sqlite3.connect(tmp_path / "runs.db")) as other:
        other.execute("UPDATE runs SET thread_id = 'elsewhere'")
        other.execute("UPDATE clock SET revision = revision + 10, commits = commits + 1")
        other.commit()
    assert [record.thread_id for record in driver.load(ById(run.run_id))] == ["elsewhere"]
    found = now(store, run)
    assert found is not None
    assert found.thread_id == "elsewhere"
    assert driver.create().revision == run.revision + 11


async def test_a_short_page_is_what_the_file_holds(store: SqliteStore, driver: Driver) -> None:
    runs = [driver.create() for _ in range(5)]
    query = PageQuery(owner="o", thread_id="t", limit=4, max_bytes=1 << 20)
    forgotten(store)
    pages = [await store.reading.page(query)]
    # Some of them are at hand now, with what a writer did since, and others never were.
    driver.report(runs[3], RUNNING)
    pages.append(await store.reading.page(query))
    driver.delete(driver.report(runs[2], SUCCESS))
    pages.append(await store.reading.page(query))
    forgotten(store)
    assert [record.run_id for record in pages[0]] == [run.run_id for run in runs[:0:-1]]
    assert [CODEC.decode(record).status for record in pages[1]] == [
        PENDING,
        RUNNING,
        PENDING,
        PENDING,
    ]
    assert pages[2] == await store.reading.page(query)
    assert [record.run_id for record in pages[2]] == [runs[at].run_id for at in (4, 3, 1, 0)]


async def test_a_short_page_from_which_a_run_goes_is_read_again(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [driver.report(driver.create(), SUCCESS) for _ in range(4)]
    forgotten(store)
    between(store, monkeypatch, lambda: driver.delete(runs[1]))
    page = await store.reading.page(PageQuery(owner="o", thread_id="t", limit=3, max_bytes=1 << 20))
    # Three, although one of those that were found first is gone: a shorter page would look like the last.
    assert [record.run_id for record in page] == [runs[at].run_id for at in (3, 2, 0)]


def a_page(**changes: Any) -> PageQuery:
    facts: dict[str, Any] = {"owner": "o", "thread_id": "t", "limit": 4, "max_bytes": 1 << 20}
    return PageQuery(**(facts | changes))


async def ids(store: SqliteStore, query: PageQuery) -> list[str]:
    return [record.run_id for record in await store.reading.page(query)]


async def test_a_page_that_is_at_hand_is_not_read_again(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [driver.create() for _ in range(6)]
    newest = [run.run_id for run in runs[::-1]]
    assert await ids(store, a_page()) == newest[:4]
    read = store.reading._fetch_on_loop
    monkeypatch.setattr(store.reading, "_fetch_on_loop", None)
    driver.report(runs[5], RUNNING)
    assert await ids(store, a_page()) == newest[:4]
    assert await ids(store, a_page(limit=2)) == newest[:2]
    assert CODEC.decode((await store.reading.page(a_page()))[0]).status == RUNNING
    # What was not asked for is not known.
    monkeypatch.setattr(store.reading, "_fetch_on_loop", read)
    assert await ids(store, a_page(limit=9)) == newest
    assert await ids(store, a_page(thread_id="t-2")) == []


async def test_a_page_has_what_came_and_not_what_went(store: SqliteStore, driver: Driver) -> None:
    runs = [driver.create(thread_id=thread) for thread in ("t", "t-2", "t")]
    assert await ids(store, a_page()) == [runs[2].run_id, runs[0].run_id]
    assert await ids(store, a_page(thread_id="t-2")) == [runs[1].run_id]
    runs.append(driver.create())
    assert await ids(store, a_page()) == [runs[at].run_id for at in (3, 2, 0)]
    driver.delete(driver.report(runs[2], SUCCESS))
    assert store._cache.newest(ThreadKey("o", "t"), 1) is None
    assert await ids(store, a_page()) == [runs[at].run_id for at in (3, 0)]
    assert await ids(store, a_page(thread_id="t-2")) == [runs[1].run_id]


async def test_a_page_that_a_commit_overtakes_leaves_nothing_old_behind(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [driver.create()]
    between(store, monkeypatch, lambda: runs.append(driver.create()))
    assert await ids(store, a_page()) == [runs[0].run_id]
    assert await ids(store, a_page()) == [runs[1].run_id, runs[0].run_id]


async def test_a_page_on_which_somebody_else_wrote_is_noticed_by_the_next_transaction(
    store: SqliteStore, driver: Driver, tmp_path: Path
) -> None:
    runs = [driver.create(), driver.create()]
    elsewhere = driver.create(thread_id="t-2")
    assert len(await ids(store, a_page())) == 2
    with closing(sqlite3.connect(tmp_path / "runs.db")) as other:
        other.execute("UPDATE runs SET thread_id = 't' WHERE run_id = ?", [elsewhere.run_id])
        other.commit()
    driver.load(ById(runs[0].run_id))
    assert await ids(store, a_page()) == [each.run_id for each in (elsewhere, *runs[::-1])]


@pytest.mark.parametrize("happens", [True, False])
async def test_a_page_after_a_commit_that_failed_is_what_the_file_holds(
    store: SqliteStore, driver: Driver, *, happens: bool
) -> None:
    runs = [driver.create()]
    assert await ids(store, a_page()) == [runs[0].run_id]
    fail_commits(store, happens=happens)
    if happens:
        runs.append(driver.create())
    else:
        with pytest.raises(StoreUnavailable):
            driver.create()
    assert await ids(store, a_page()) == [run.run_id for run in reversed(runs)]
    runs.append(driver.create())
    assert await ids(store, a_page()) == [run.run_id for run in reversed(runs)]


async def test_readers_see_what_was_answered(store: SqliteStore, driver: Driver) -> None:
    """A writer's thread counts runs up; a reader beside it never sees less than was committed before it looked."""
    runs = [driver.report(driver.create(), RUNNING) for _ in range(4)]
    committed = dict.fromkeys(range(len(runs)), 0)
    done = threading.Event()

    def write() -> None:
        try:
            for count in range(1, 150):
                for number, run in enumerate(runs):
                    driver.progress(run, count)
                    committed[number] = count
        finally:
            done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        for number, run in enumerate(runs):
            if not committed[number] % 3:
                # So that some reads go to the file.
                forgotten(store)
            least = committed[number]
            record = await store.reading.get(run.run_id)
            assert record is not None
            progress = CODEC.decode(record).progress
            assert ((progress and progress.total_tokens) or 0) >= least
        # Long enough to let go of the interpreter, without which the writer would wait for it at every statement.
        await asyncio.sleep(0.001)
    thread.join()


async def test_pages_show_what_was_answered(store: SqliteStore, driver: Driver) -> None:
    """A writer's thread creates runs; a reader beside it sees every one that was made before it looked."""
    made: list[Run] = []
    done = threading.Event()

    def write() -> None:
        try:
            for _ in range(300):
                made.append(driver.create())
        finally:
            done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        newest = [run.run_id for run in made[-1:]]
        assert set(newest) <= set(await ids(store, a_page(limit=9)))
        await asyncio.sleep(0.001)
    thread.join()
    assert await ids(store, a_page()) == [run.run_id for run in made[:-5:-1]]


# The bound.


def a_record(store: SqliteStore, driver: Driver) -> Record:
    (record,) = driver.load(ById(driver.create().run_id))
    return record


def test_it_holds_no_more_than_it_may(store: SqliteStore, driver: Driver) -> None:
    records = [a_record(store, driver) for _ in range(4)]
    cache = RunCache(capacity=3 * (ENTRY_COST + 2 * records[0].size) + 100)
    for record in (*records, records[1]):
        cache.fill(cache.generation(), CachedRun(record))
    assert [cache.find(record.run_id) is None for record in records] == [True, False, False, False]
    # One that is larger than all leaves nothing, not even itself.
    cache.fill(cache.generation(), CachedRun(records[0], kwargs=bytes(100_000)))
    assert all(cache.find(record.run_id) is None for record in records)


def test_what_was_looked_for_before_a_change_is_not_taken_in(
    store: SqliteStore, driver: Driver
) -> None:
    record, cache = a_record(store, driver), RunCache()

    def commit() -> None:
        cache.begin_commit([], [])
        cache.end_commit()

    for change in (commit, cache.clear):
        look = cache.generation()
        change()
        cache.fill(look, CachedRun(record))
        assert cache.find(record.run_id) is None
    cache.begin_commit([], [])
    look = cache.generation()
    cache.fill(look, CachedRun(record))
    cache.end_commit()
    cache.fill(look, CachedRun(record))
    assert cache.find(record.run_id) is None


def test_no_more_threads_are_known_than_may_be() -> None:
    cache = RunCache()
    threads = [ThreadKey("o", str(number)) for number in range(THREADS + 1)]
    for thread in threads:
        cache.fill_newest(cache.generation(), thread, NewestRuns(["r"], 1))
    assert [thread for thread in threads if cache.newest(thread, 1) is None] == [threads[0]]


def test_a_thread_that_was_looked_for_before_a_change_is_not_taken_in() -> None:
    cache, thread = RunCache(), ThreadKey("o", "t")

    def fill(look: int) -> None:
        cache.fill_newest(look, thread, NewestRuns(["r"], 1))
        assert cache.newest(thread, 1) is None

    before = cache.generation()
    cache.begin_commit([], [thread])
    meanwhile = cache.generation()
    fill(before)
    fill(meanwhile)
    cache.end_commit()
    fill(before)
    fill(meanwhile)
