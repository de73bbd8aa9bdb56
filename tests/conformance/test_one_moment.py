"""Each answer is the state after one commit, also while a writer changes what it reads."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runsvc.core.model import ACTIVE
from runsvc.store.queries import PageQuery
from runsvc.store.values import RunState
from tests.conformance.driver import ALL, SUCCESS, Driver, thread_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runsvc.store.base import Store

#: Runs that one call displaces at once.
MANY = 300


def a_page(limit: int, max_bytes: int = 1 << 20) -> PageQuery:
    return PageQuery(owner="o", thread_id="t", limit=limit, max_bytes=max_bytes)


async def active_of(store: Store, query: PageQuery) -> int:
    return sum(record.status in ACTIVE for record in await store.reading.page(query))


@contextmanager
def on_a_thread(write: Callable[[], object], times: int) -> Iterator[threading.Event]:
    """Call a function repeatedly on a thread, as the writer does. The event is set at the end."""
    failures: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            for _ in range(times):
                write()
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            done.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        thread.join()
    assert not failures


@pytest.mark.parametrize("limit", [3, 20, 33, 200])
async def test_every_page_of_a_thread_with_one_active_run_shows_it(
    store: Store, driver: Driver, limit: int
) -> None:
    for _ in range(limit + 5):
        driver.displace()
    with on_a_thread(driver.displace, 150) as done:
        while not done.is_set():
            assert await active_of(store, a_page(limit)) == 1
            await asyncio.sleep(0)


async def test_every_page_shows_many_runs_before_or_after_one_call_that_displaces_them(
    store: Store, driver: Driver
) -> None:
    sizes: list[int] = []
    for _ in range(3):
        driver.create_many(["t"] * MANY)
        with on_a_thread(driver.displace, 1) as done:
            while not done.is_set():
                sizes.append(await active_of(store, a_page(MANY + 20)))
        sizes.append(await active_of(store, a_page(MANY + 20)))
    assert set(sizes) <= {MANY, MANY + 1, 1}
    assert sizes[-1] == 1


async def test_every_other_answer_is_one_moment_too(store: Store, driver: Driver) -> None:
    driver.displace()
    revisions = [0]
    with on_a_thread(driver.displace, 200) as done:
        while not done.is_set():
            assert len((await store.reading.inflight("o", "t")).active) == 1
            for topic in (ALL, thread_topic("t")):
                (state,), revision = await store.reading.snapshot(topic)
                # The last change of a call is the creation.
                assert state.revision == revision
                revisions.append(revision)
            (clock, active_runs, _) = await store.reading.census()
            assert active_runs == 1
            revisions.append(clock.revision)
            assert await store.reading.count_active() == 1
    assert revisions == sorted(revisions)


async def test_a_snapshot_is_recalled_as_of_its_revision(store: Store, driver: Driver) -> None:
    for _ in range(5):
        driver.create()
    with on_a_thread(driver.displace, 150) as done:
        while not done.is_set():
            states, _ = await store.reading.snapshot(thread_topic("t"))
            recalled = await store.reading.recall(states)
            assert [RunState(one.run_id, one.revision) for one in recalled] == states
            assert all(one.status in ACTIVE for one in recalled)


async def test_a_read_sees_every_commit_that_ended_before_it(store: Store, driver: Driver) -> None:
    """Cached or not, in a short page, a long one, and by id."""
    made = [driver.create()]

    def create() -> None:
        made.append(driver.create())
        driver.report(made[-2], SUCCESS)

    with on_a_thread(create, 200) as done:
        while not done.is_set():
            newest = made[-1]
            for limit in (2, 9, 60):
                pages = await store.reading.page(a_page(limit))
                assert pages[0].revision >= newest.revision
                assert (await store.reading.census()).clock.revision >= pages[0].revision
            record = await store.reading.get(newest.run_id, None)
            assert record is not None
