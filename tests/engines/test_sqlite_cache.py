"""Cached runs of the SQLite store: never older than the file, at any moment of a commit."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runsvc.core.errors import OutcomeUnknown, StoreUnavailable
from runsvc.store.queries import ById
from tests.conformance.driver import CODEC, PENDING, RUNNING, SUCCESS, Driver
from tests.engines.files import clear_cache, fail_commits, run_after_next_select

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runsvc.core.model import Run
    from runsvc.store.sqlite import SqliteStore
    from runsvc.store.values import Record


def now(store: SqliteStore, run: Run) -> Record | None:
    """The record of Get. Callers that cannot await use this: the read never suspends."""
    reading = store.reading.get(run.run_id, None)
    try:
        reading.send(None)
    except StopIteration as found:
        record: Record | None = found.value
        return record
    raise AssertionError("The read suspended.")


def status(store: SqliteStore, run: Run) -> int:
    record = now(store, run)
    assert record is not None
    return CODEC.decode(record).status


async def test_a_cached_run_is_not_read_again(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.create(kwargs=b"\x0a\x00")
    fresh = await store.reading.get(run.run_id, None)
    assert fresh is not None
    monkeypatch.setattr(store.reading, "_fetch_on_loop", None)
    assert await store.reading.get(run.run_id, None) == fresh
    assert await store.reading.get_without_kwargs(run.run_id, None) == fresh._replace(kwargs=None)


async def test_a_cached_run_equals_the_run_in_the_file(store: SqliteStore, driver: Driver) -> None:
    run = driver.create(kwargs=b"\x0a\x00", assistant_id="a")
    changes: list[Callable[[], object]] = [
        lambda: driver.report(run, RUNNING),
        lambda: driver.progress(run, 5, sequence=7),
        lambda: driver.report(run, SUCCESS),
    ]
    for change in changes:
        change()
        kept = await store.reading.get(run.run_id, None), driver.load(ById(run.run_id, None))
        clear_cache(store)
        assert (
            await store.reading.get(run.run_id, None),
            driver.load(ById(run.run_id, None)),
        ) == kept


def test_a_read_that_a_commit_overtakes_does_not_fill_the_cache(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.create()
    clear_cache(store)
    run_after_next_select(store, monkeypatch, lambda: driver.report(run, RUNNING))
    assert status(store, run) == PENDING
    assert status(store, run) == RUNNING
    clear_cache(store)
    run_after_next_select(store, monkeypatch, lambda: driver.delete(driver.report(run, SUCCESS)))
    assert status(store, run) == RUNNING
    assert now(store, run) is None


@pytest.mark.parametrize("happens", [True, False])
def test_a_read_during_a_commit_reads_the_file(
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
    # The state of the file, at the moment of the commit and since.
    assert seen == [RUNNING if happens else PENDING]
    assert status(store, run) == seen[0]
    driver.report(run, SUCCESS)
    assert status(store, run) == SUCCESS


def test_a_read_that_began_during_a_commit_does_not_fill_the_cache(
    store: SqliteStore, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.create()

    def commit_between_select_and_fill(commit: Callable[[], None]) -> None:
        # The SELECT runs before the commit, the fill after it.
        run_after_next_select(store, monkeypatch, commit)
        assert status(store, run) == PENDING

    commit = store.writing._commit
    monkeypatch.setattr(store.writing, "_commit", lambda: commit_between_select_and_fill(commit))
    driver.report(run, RUNNING)
    assert status(store, run) == RUNNING


@pytest.mark.parametrize("happens", [True, False])
def test_after_a_commit_of_unknown_outcome_the_file_is_read(
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


def test_a_rolled_back_change_is_not_cached(store: SqliteStore, driver: Driver) -> None:
    run = driver.create()
    begun = store.writing.begin()
    assert store.writing.load([ById(run.run_id, None)]).records[ById(run.run_id, None)]
    store.writing.rollback()
    assert status(store, run) == PENDING
    assert store.writing.begin().revision == begun.revision
    store.writing.rollback()


def test_a_deleted_run_is_not_cached(store: SqliteStore, driver: Driver) -> None:
    run = driver.report(driver.create(), SUCCESS)
    assert status(store, run) == SUCCESS
    driver.delete(run)
    assert now(store, run) is None
    assert driver.load(ById(run.run_id, None)) == []


def test_a_write_of_another_program_is_noticed_by_the_next_transaction(
    store: SqliteStore, driver: Driver, tmp_path: Path
) -> None:
    run = driver.create()
    with closing(sqlite3.connect(tmp_path / "runs.db")) as other:
        other.execute("UPDATE runs SET thread_id = 'elsewhere'")
        other.execute("UPDATE clock SET revision = revision + 10, commits = commits + 1")
        other.commit()
    assert [record.thread_id for record in driver.load(ById(run.run_id, None))] == ["elsewhere"]
    found = now(store, run)
    assert found is not None
    assert found.thread_id == "elsewhere"
    assert driver.create().revision == run.revision + 11


async def test_readers_see_every_committed_change(store: SqliteStore, driver: Driver) -> None:
    """While a writer's thread counts up, a reader never sees less than was committed before its read."""
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
                # Makes some reads go to the file.
                clear_cache(store)
            least = committed[number]
            record = await store.reading.get(run.run_id, None)
            assert record is not None
            progress = CODEC.decode(record).progress
            assert ((progress and progress.total_tokens) or 0) >= least
        # Yields the interpreter: otherwise the writer would wait for it at every statement.
        await asyncio.sleep(0.001)
    thread.join()
