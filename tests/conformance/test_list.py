"""Pages of a thread's runs, and the runs that another displaced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.core.model import RunStatus
from runsvc.store.queries import PageKey, PageQuery
from runsvc.store.values import Changes, Creation, Saved
from tests.conformance.driver import CODEC, INPUT, INTERRUPTED, PENDING, RUNNING, SUCCESS, Driver

if TYPE_CHECKING:
    from runsvc.store.base import Store


async def page(store: Store, **wanted: Any) -> list[str]:
    query: dict[str, Any] = {"owner": "o", "thread_id": "t", "limit": 99, "max_bytes": 1 << 20}
    return [record.run_id for record in await store.reading.page(PageQuery(**query | wanted))]


def created(driver: Driver, count: int, **facts: Any) -> list[str]:
    """Ids of new runs, newest first."""
    return [driver.create(**facts).run_id for _ in range(count)][::-1]


async def test_page_returns_the_runs_of_a_thread_newest_first(store: Store, driver: Driver) -> None:
    runs = created(driver, 3)
    created(driver, 1, owner="another")
    created(driver, 1, thread_id="elsewhere")
    assert await page(store) == runs
    assert await page(store, thread_id="unknown") == []


async def test_page_leaves_kwargs_out(store: Store, driver: Driver) -> None:
    driver.create(kwargs=INPUT)
    (record,) = await store.reading.page(PageQuery(owner="o", thread_id="t", limit=1, max_bytes=1))
    assert record.kwargs is None


async def test_page_breaks_a_tie_of_time_by_run_id(store: Store, driver: Driver) -> None:
    first = driver.create(run_id="a")
    for number, run_id in enumerate("cBb", start=2):
        now = store.writing.begin()
        twin = replace(first, run_id=run_id, revision=number)
        new = Saved(twin, CODEC.encode(twin), Creation(b"", None))
        store.writing.save(Changes(time=now.time, revision=number, runs=[new]))
        store.writing.commit()
    assert await page(store) == ["c", "b", "a", "B"]
    after = PageKey(first.created_at, "b")
    assert await page(store, after=after) == ["a", "B"]


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 4])
async def test_page_has_at_most_limit_runs(store: Store, driver: Driver, limit: int) -> None:
    runs = created(driver, 3)
    assert await page(store, limit=limit) == runs[:limit]


async def test_page_starts_after_a_run(store: Store, driver: Driver) -> None:
    walked: list[str] = []
    runs = created(driver, 6)
    query = PageQuery(owner="o", thread_id="t", limit=2, max_bytes=1 << 20)
    while found := await store.reading.page(query):
        walked += [record.run_id for record in found]
        query = PageQuery(
            owner="o",
            thread_id="t",
            limit=2,
            max_bytes=1 << 20,
            after=PageKey(found[-1].created_at, found[-1].run_id),
        )
        # A run created meanwhile does not shift the pages.
        driver.create()
    assert walked == runs


async def test_page_may_start_after_a_removed_run(store: Store, driver: Driver) -> None:
    old, gone, _ = (driver.create() for _ in range(3))
    driver.delete(gone)
    assert await page(store, after=PageKey(gone.created_at, gone.run_id)) == [old.run_id]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((), ["new", "ended", "old"]),
        ((PENDING,), ["new"]),
        ((PENDING, RUNNING), ["new", "old"]),
        ((SUCCESS, RUNNING), ["ended", "old"]),
        ((INTERRUPTED,), []),
        (tuple(RunStatus), ["new", "ended", "old"]),
    ],
)
async def test_page_returns_only_the_requested_statuses(
    store: Store, driver: Driver, statuses: tuple[RunStatus, ...], expected: list[str]
) -> None:
    old, ended, _ = (driver.create(run_id=name) for name in ("old", "ended", "new"))
    driver.report(old, RUNNING)
    driver.report(ended, SUCCESS)
    assert await page(store, statuses=frozenset(statuses)) == expected
    assert await page(store, statuses=frozenset(statuses), limit=1) == expected[:1]


async def test_page_ends_with_the_record_that_exceeds_max_bytes(
    store: Store, driver: Driver
) -> None:
    runs = created(driver, 4)
    sizes = [
        record.size
        for record in await store.reading.page(
            PageQuery(owner="o", thread_id="t", limit=9, max_bytes=1 << 20)
        )
    ]
    assert await page(store, max_bytes=0) == runs[:1]
    assert await page(store, max_bytes=sizes[0] - 1) == runs[:1]
    assert await page(store, max_bytes=sizes[0]) == runs[:2]
    assert await page(store, max_bytes=sum(sizes[:3]) - 1) == runs[:3]
    assert await page(store, max_bytes=sum(sizes[:3])) == runs
    assert await page(store, max_bytes=sum(sizes[:3]), limit=3) == runs[:3]


async def test_page_counts_bytes_from_its_own_start(store: Store, driver: Driver) -> None:
    runs = created(driver, 3)
    newest, second, _ = await store.reading.page(
        PageQuery(owner="o", thread_id="t", limit=3, max_bytes=1 << 20)
    )
    after = PageKey(newest.created_at, newest.run_id)
    assert await page(store, after=after, max_bytes=second.size) == runs[1:]


async def test_a_run_is_read_together_with_the_runs_that_it_displaced(
    store: Store, driver: Driver
) -> None:
    displaced = [driver.create(kwargs=INPUT, run_id=name).run_id for name in ("z", "m", "a")]
    new, _ = driver.displace()
    newest, _ = driver.displace()
    first, *records = await store.reading.with_displaced(new.run_id)
    assert (first.run_id, first.status) == (new.run_id, INTERRUPTED)
    assert [record.run_id for record in records] == displaced
    assert [record.revision for record in records] == [4, 5, 6]
    assert {record.kwargs for record in (first, *records)} == {None}
    assert {record.status for record in records} == {INTERRUPTED}
    assert [record.run_id for record in await store.reading.with_displaced(newest.run_id)] == [
        newest.run_id,
        new.run_id,
    ]
    assert await store.reading.with_displaced("unknown") == []


async def test_displaced_runs_are_ordered_by_displacement_not_by_creation(
    store: Store, driver: Driver
) -> None:
    old, new = driver.create(), driver.create()
    for run in (new, old):
        driver.change(run, lambda run, at: replace(run, superseded_by="x", revision=at.revision))
    # The run "x" does not exist.
    assert [found.run_id for found in await store.reading.with_displaced("x")] == [
        new.run_id,
        old.run_id,
    ]
