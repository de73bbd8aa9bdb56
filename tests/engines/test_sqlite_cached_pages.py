"""Pages that the SQLite store composes from cached runs and ids: never older than the file."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core.errors import StoreUnavailable
from runsvc.store.queries import ById, PageQuery
from runsvc.store.sqlite.cache import (
    ThreadKey,
)
from tests.conformance.driver import CODEC, PENDING, RUNNING, SUCCESS, Driver
from tests.engines.files import clear_cache, fail_commits, run_after_next_select

if TYPE_CHECKING:
    from pathlib import Path

    from runsvc.core.model import Run
    from runsvc.store.sqlite import SqliteStore


async def test_a_short_page_equals_the_page_in_the_file(store: SqliteStore, driver: Driver) -> None:
    runs = [driver.create() for _ in range(5)]
    query = PageQuery(owner="o", thread_id="t", limit=4, max_bytes=1 << 20)
    clear_cache(store)
    pages = [await store.reading.page(query)]
    # Some runs are cached now, with later changes; others were never cached.
    driver.report(runs[3], RUNNING)
    pages.append(await store.reading.page(query))
    driver.delete(driver.report(runs[2], SUCCESS))
    pages.append(await store.reading.page(query))
    clear_cache(store)
    assert [record.run_id for record in pages[0]] == [run.run_id for run in runs[:0:-1]]
    assert [CODEC.decode(record).status for record in pages[1]] == [
        PENDING,
        RUNNING,
        PENDING,
        PENDING,
    ]
    assert pages[2] == await store.reading.page(query)
    assert [record.run_id for record in pages[2]] == [runs[at].run_id for at in (4, 3, 1, 0)]


async def test_a_short_page_is_read_again_if_a_run_is_removed_meanwhile(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [driver.report(driver.create(), SUCCESS) for _ in range(4)]
    clear_cache(store)
    run_after_next_select(store, monkeypatch, lambda: driver.delete(runs[1]))
    page = await store.reading.page(PageQuery(owner="o", thread_id="t", limit=3, max_bytes=1 << 20))
    # Three, although one of the first three was removed: a shorter page would seem to be the last.
    assert [record.run_id for record in page] == [runs[at].run_id for at in (3, 2, 0)]


def a_page(**changes: Any) -> PageQuery:
    facts: dict[str, Any] = {"owner": "o", "thread_id": "t", "limit": 4, "max_bytes": 1 << 20}
    return PageQuery(**(facts | changes))


async def ids(store: SqliteStore, query: PageQuery) -> list[str]:
    return [record.run_id for record in await store.reading.page(query)]


async def test_a_cached_page_is_not_read_again(
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
    # The cache has no ids beyond the limits of earlier queries.
    monkeypatch.setattr(store.reading, "_fetch_on_loop", read)
    assert await ids(store, a_page(limit=9)) == newest
    assert await ids(store, a_page(thread_id="t-2")) == []


async def test_a_page_follows_creations_and_removals(store: SqliteStore, driver: Driver) -> None:
    runs = [driver.create(thread_id=thread) for thread in ("t", "t-2", "t")]
    assert await ids(store, a_page()) == [runs[2].run_id, runs[0].run_id]
    assert await ids(store, a_page(thread_id="t-2")) == [runs[1].run_id]
    runs.append(driver.create())
    assert await ids(store, a_page()) == [runs[at].run_id for at in (3, 2, 0)]
    driver.delete(driver.report(runs[2], SUCCESS))
    assert store._cache.newest(ThreadKey("o", "t"), 1) is None
    assert await ids(store, a_page()) == [runs[at].run_id for at in (3, 0)]
    assert await ids(store, a_page(thread_id="t-2")) == [runs[1].run_id]


async def test_a_page_that_a_commit_overtakes_does_not_fill_the_cache(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [driver.create()]
    clear_cache(store)
    run_after_next_select(store, monkeypatch, lambda: runs.append(driver.create()))
    # The ids are older than the commit, so the whole page is read again.
    assert await ids(store, a_page()) == [runs[1].run_id, runs[0].run_id]
    assert store._cache.newest(ThreadKey("o", "t"), 4) is None
    assert await ids(store, a_page()) == [runs[1].run_id, runs[0].run_id]


async def test_a_page_changed_by_another_program_is_noticed_by_the_next_transaction(
    store: SqliteStore, driver: Driver, tmp_path: Path
) -> None:
    runs = [driver.create(), driver.create()]
    elsewhere = driver.create(thread_id="t-2")
    assert len(await ids(store, a_page())) == 2
    with closing(sqlite3.connect(tmp_path / "runs.db")) as other:
        other.execute("UPDATE runs SET thread_id = 't' WHERE run_id = ?", [elsewhere.run_id])
        other.commit()
    driver.load(ById(runs[0].run_id, None))
    assert await ids(store, a_page()) == [each.run_id for each in (elsewhere, *runs[::-1])]


@pytest.mark.parametrize("happens", [True, False])
async def test_a_page_after_a_failed_commit_equals_the_page_in_the_file(
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


async def test_pages_show_every_committed_run(store: SqliteStore, driver: Driver) -> None:
    """While a writer's thread creates runs, a page has every run committed before its read."""
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
