"""Tests of the memory store alone: its lock takes the place of read transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.core.errors import RevisionCompacted
from runsvc.store.memory import MemoryStore
from tests.conformance.driver import ALL, Driver

if TYPE_CHECKING:
    from runsvc.store.values import Clock


async def test_log_since_reads_clock_and_log_at_once() -> None:
    store = MemoryStore()
    await store.open()
    driver = Driver(store)
    for _ in range(3):
        driver.create()
    clock = store.reading.clock

    async def then_forget() -> Clock:
        # The writer's thread can do this whenever the loop's thread does not hold the lock.
        found = await clock()
        driver.forget(2)
        return found

    store.reading.clock = then_forget  # type: ignore[method-assign]
    try:
        found = [entry.revision for entry in (await store.reading.log_since(ALL, 0, 9)).entries]
    except RevisionCompacted:
        return
    assert found == [1, 2, 3]
