"""Cost of leases and timeouts in SQLite, in steps of its virtual machine: one index entry each."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from runsvc.core import lifecycle
from runsvc.store.queries import DueLeases, DueTimeouts
from runsvc.store.sqlite import SqliteStore
from tests.conformance.driver import CODEC, SUCCESS, Driver
from tests.support.filling import fill_active
from tests.support.steps import steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

#: Far more than any number of steps below: a walk over all of them takes a step or more for each.
ACTIVE = 15_000
TERMS = {
    "worker_id": "w",
    "lease_ttl": timedelta(hours=1),
    "start_timeout": timedelta(days=1),
    "timeout": timedelta(days=1),
}
EVER = timedelta.max


@asynccontextmanager
async def _store(path: Path, **terms: Any) -> AsyncIterator[SqliteStore]:
    """A store with very many active runs with the same terms."""
    await asyncio.to_thread(fill_active, path, ACTIVE, **terms)
    store = SqliteStore(path, CODEC)
    await store.open()
    yield store
    await store.close()


def _life(driver: Driver, **terms: Any) -> None:
    run = driver.create(**terms)
    driver.change(run, lambda run, at: lifecycle.report(run, SUCCESS, at, worker_id=run.worker_id))


async def test_leases_and_timeouts_of_others_do_not_slow_creations_and_endings(
    tmp_path: Path,
) -> None:
    async with _store(tmp_path / "bare.db") as store:
        driver = Driver(store)
        without = steps(store, lambda: _life(driver))
    async with _store(tmp_path / "terms.db", **TERMS) as store:
        driver = Driver(store)
        beside = steps(store, lambda: _life(driver))
        within = steps(store, lambda: _life(driver, **TERMS))
    # Terms of other runs cost nothing. Its own terms cost two index entries, added and removed.
    assert beside == without
    assert within < without + 100


async def test_due_queries_cost_nothing_while_nothing_is_due(tmp_path: Path) -> None:
    async with _store(tmp_path / "runs.db", **TERMS) as store:
        driver = Driver(store)
        now = datetime.now(UTC)
        for query in (DueLeases(now, EVER, 50), DueTimeouts(now, 50)):
            assert steps(store, partial(driver.load, query)) < 200
        # The cost grows with the number of due runs that are returned.
        later = now + timedelta(days=30)
        for query in (DueLeases(later, EVER, 50), DueTimeouts(later, 50)):
            assert len(driver.load(query)) == 50
            assert steps(store, partial(driver.load, query)) < 5_000
