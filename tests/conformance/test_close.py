"""Both parts of a closed store raise StoreUnavailable."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runsvc.core.errors import StoreUnavailable
from runsvc.store.memory import MemoryStore
from runsvc.store.queries import (
    ActiveCount,
    ActiveOnThread,
    ById,
    ByRequest,
    NewestActive,
    Orphans,
    PageQuery,
    Query,
)
from runsvc.store.values import Changes, RunState
from tests.conformance.driver import ALL, Driver, a_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runsvc.store.base import Store

READS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "get": lambda store: store.reading.get("r", None),
    "get_without_kwargs": lambda store: store.reading.get_without_kwargs("r", None),
    "inflight": lambda store: store.reading.inflight("o", "t"),
    "page": lambda store: store.reading.page(
        PageQuery(owner="o", thread_id="t", limit=1, max_bytes=1)
    ),
    "with_displaced": lambda store: store.reading.with_displaced("r"),
    "snapshot": lambda store: store.reading.snapshot(ALL),
    "recall": lambda store: store.reading.recall([RunState("r", 1)]),
    "log_since": lambda store: store.reading.log_since(ALL, 0, 1),
    "log_tail": lambda store: store.reading.log_tail(1, 1 << 20),
    "clock": lambda store: store.reading.clock(),
    "count_active": lambda store: store.reading.count_active(),
    "census": lambda store: store.reading.census(),
}
QUERIES = {
    "by id": ById("r", None),
    "active on thread": ActiveOnThread("o", "t"),
    "newest active": NewestActive("o", "t", 1),
    "active count": ActiveCount("o", "t"),
    "orphans": Orphans(None, 1),
}
WRITES: dict[str, Callable[[Store], object]] = {
    "begin": lambda store: store.writing.begin(),
    "save": lambda store: store.writing.save(Changes(datetime.now(UTC), 1)),
    "commit": lambda store: store.writing.commit(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_a_closed_store_cannot_be_read(
    store: Store, driver: Driver, read: Callable[[Store], Awaitable[object]]
) -> None:
    driver.create()
    await store.close()
    with pytest.raises(StoreUnavailable, match="it is closed"):
        await read(store)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_closed_store_cannot_be_written(
    store: Store, driver: Driver, write: Callable[[Store], object]
) -> None:
    driver.create()
    await store.close()
    with pytest.raises(StoreUnavailable, match="it is closed"):
        write(store)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_a_closed_store_answers_no_query(store: Store, query: Query | ActiveCount) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable, match="it is closed"):
        store.writing.load([query])


async def test_rollback_never_raises_on_a_closed_store_either(store: Store) -> None:
    await store.close()
    store.writing.rollback()


async def test_closing_twice_does_nothing_more(store: Store) -> None:
    await store.close()
    await store.close()


async def test_a_transaction_open_at_close_is_dropped(store: Store) -> None:
    store.writing.begin()
    await store.close()
    with pytest.raises(StoreUnavailable):
        store.writing.commit()


async def test_a_closed_memory_store_answers_no_query_by_request() -> None:
    store = MemoryStore()
    with pytest.raises(StoreUnavailable, match="it is closed"):
        store.writing.load([ByRequest(a_request("id").key)])
