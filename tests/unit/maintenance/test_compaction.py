"""Log compaction by number and by age."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.maintenance.compaction import CHUNK, Compaction
from runsvc.maintenance.expiry import INTERVAL
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.store.memory import MemoryStore
from tests.conformance.driver import CODEC, Driver
from tests.support.machine import LiveMachine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Log:
    """A store in memory and its change log."""

    def __init__(self) -> None:
        self.machine = LiveMachine()
        timekeeper = self.machine.timekeeper()
        self.store = MemoryStore(timekeeper)
        self.driver = Driver(self.store)
        self.writer = Writer(GroupCommit(self.store.writing, CODEC), lambda _: None)
        self.lease_clock = LeaseClock(timekeeper, INTERVAL)

    def beat(self) -> None:
        self.lease_clock.record_beat(self.lease_clock.read(self.store.writing.begin().time))

    def compaction(
        self, keep: int, keep_age: timedelta | None = None, chunk: int = CHUNK
    ) -> Compaction:
        return Compaction(
            self.writer,
            self.store.reading,
            self.lease_clock,
            keep=keep,
            keep_age=keep_age,
            chunk=chunk,
        )

    async def revisions(self) -> list[int]:
        return [entry.revision for entry in await self.store.reading.log_tail(999, 1 << 20)]


@pytest.fixture
async def log() -> AsyncIterator[Log]:
    log = Log()
    await log.store.open()
    yield log
    async with asyncio.timeout(30):
        await log.writer.close()
    await log.store.close()


@pytest.mark.parametrize("keep", range(9))
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
async def test_compaction_keeps_the_newest_entries_and_works_in_chunks(
    log: Log, keep: int, chunk: int
) -> None:
    for _ in range(7):
        log.driver.create()
    gone: list[int] = []
    before = len(await log.revisions())
    log.writer._publish = lambda _: gone.append(before - len(log.store.data.log))
    await log.compaction(keep, chunk=chunk).run()
    assert await log.revisions() == list(range(max(7 - keep, 0) + 1, 8))
    steps = [after - before for before, after in zip([0, *gone], gone, strict=False)]
    assert all(0 < step <= chunk for step in steps)
    # A second compaction has nothing to do.
    gone.clear()
    await log.compaction(keep, chunk=chunk).run()
    assert gone == []


async def test_compaction_also_removes_outdated_entries(log: Log) -> None:
    for _ in range(7):
        log.driver.create()
    for revision in (1, 2, 3):
        log.store.data.times[revision] -= timedelta(days=8)
    log.beat()
    await log.compaction(99, timedelta(days=9)).run()
    assert len(await log.revisions()) == 7
    await log.compaction(99, timedelta(days=7)).run()
    assert await log.revisions() == [4, 5, 6, 7]
    # The stricter rule applies.
    await log.compaction(2, timedelta(days=7)).run()
    assert await log.revisions() == [6, 7]


async def test_an_age_beyond_all_time_has_no_effect(log: Log) -> None:
    for _ in range(7):
        log.driver.create()
    log.beat()
    await log.compaction(4, timedelta.max).run()
    assert await log.revisions() == [4, 5, 6, 7]


async def test_a_forward_step_of_the_clock_outdates_no_entry(log: Log) -> None:
    log.driver.create()
    log.beat()
    log.machine.set_clock(timedelta(days=40).total_seconds())
    log.driver.create()
    for _ in range(2):
        await log.compaction(99, timedelta(days=7)).run()
        assert await log.revisions() == [1, 2]
        log.beat()


async def test_compaction_continues_from_the_previous_one(log: Log) -> None:
    compaction = log.compaction(3)
    for count in (5, 4, 1):
        for _ in range(count):
            log.driver.create()
        await compaction.run()
        assert len(await log.revisions()) == 3
    clock = await log.store.reading.clock()
    assert (clock.oldest_revision, clock.revision) == (8, 10)
