"""Runs that are over go some time after their end, and others stay."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.maintenance import retention as retention_module
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.maintenance.retention import Pace, Retention, pace_of
from runsvc.store.memory import MemoryStore
from tests.conformance.driver import CODEC, SUCCESS, Driver, a_request
from tests.support.machine import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.commit.command import Command
    from runsvc.commit.group_commit import Committed
    from runsvc.commit.transaction import Transaction

DAY = timedelta(days=1)


class Keeping:
    """A store whose runs are kept for a day."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.store = MemoryStore()
        self.driver = Driver(self.store)
        self.commits: list[Committed] = []
        self.writer = Writer(GroupCommit(self.store.writing, CODEC), self.commits.append)
        self.start()

    def start(self) -> None:
        """Start, with what the store holds and nothing else."""
        timekeeper = self.store.writing._timekeeper = self.machine.timekeeper()
        self.serving = LeaseClock(timekeeper, DAY)
        self.retention = Retention(self.writer, self.store.reading, self.serving, DAY)

    def pass_(self, **time: float) -> None:
        self.machine.go_on(timedelta(**time).total_seconds())
        self.beat()

    def beat(self) -> None:
        self.serving.beat(self.serving.moment(self.store.writing.begin().time))


@pytest.fixture
async def keeping(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Keeping]:
    monkeypatch.setattr(retention_module, "pace_of", lambda _: Pace(20, 0))
    keeping = Keeping()
    await keeping.store.open()
    yield keeping
    await keeping.writer.close()
    await keeping.store.close()


async def test_a_run_goes_a_day_after_its_end_with_its_request_id(keeping: Keeping) -> None:
    run = keeping.driver.create(request=a_request("q"))
    keeping.driver.report(run, SUCCESS)
    keeping.pass_(hours=23)
    assert await keeping.retention.remove() == 0
    keeping.pass_(hours=2)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(run.run_id) is None
    assert keeping.driver.create(request=a_request("q")).run_id != run.run_id
    (entry,) = keeping.commits[-1].entries
    assert (entry.run_id, entry.deleted, entry.body) == (run.run_id, True, None)


async def test_its_end_counts_and_not_its_beginning(keeping: Keeping) -> None:
    active, late = keeping.driver.create(), keeping.driver.create()
    keeping.pass_(days=9)
    keeping.driver.report(late, SUCCESS)
    keeping.pass_(hours=1)
    assert await keeping.retention.remove() == 0
    keeping.pass_(days=1)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(active.run_id) is not None


async def test_many_go_a_few_at_a_time(keeping: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "pace_of", lambda _: Pace(2, 0))
    monkeypatch.setattr(retention_module, "STRETCH", 5)
    for _ in range(13):
        keeping.driver.report(keeping.driver.create(), SUCCESS)
    stays = keeping.driver.create()
    keeping.pass_(days=2)
    assert await keeping.retention.remove() == 13
    sizes = [len(commit.entries) for commit in keeping.commits if commit.entries]
    assert sizes == [2, 2, 1, 2, 2, 1, 2, 1]
    assert await keeping.store.reading.get(stays.run_id) is not None
    assert await keeping.retention.remove() == 0


async def test_the_more_there_are_the_more_go_at_once(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "STRETCH", 4)
    monkeypatch.setattr(retention_module, "pace_of", lambda stretches: Pace(1 << stretches, 0))
    for _ in range(13):
        keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.pass_(days=2)
    assert await keeping.retention.remove() == 13
    sizes = [len(commit.entries) for commit in keeping.commits if commit.entries]
    assert sizes == [1, 1, 1, 1, 2, 2, 4, 1]
    # The next look begins gently again.
    keeping.commits.clear()
    for _ in range(2):
        keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.pass_(days=2)
    assert await keeping.retention.remove() == 2
    assert [len(commit.entries) for commit in keeping.commits if commit.entries] == [1, 1]


def test_the_pace_rises_up_to_the_fastest() -> None:
    paces = [pace_of(stretches) for stretches in range(200)]
    assert paces[0] == Pace(20, 9)
    for slower, faster in pairwise(paces):
        assert slower.chunk <= faster.chunk
        assert slower.rest >= faster.rest
    assert {pace_of(stretches) for stretches in (100, 100_000)} == {Pace(100, 4)}


async def test_waiting_for_the_traffic_is_not_rested_for(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.pass_(days=2)
    now = 0.0
    submit = keeping.writer.submit

    async def busy(command: Command[object]) -> object:
        def decide(tx: Transaction) -> object:
            nonlocal now
            now += 100
            answer = command.decide(tx)
            now += 1
            return answer

        return await submit(replace(command, decide=decide))

    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(retention_module, "pace_of", lambda _: Pace(20, 9))
    monkeypatch.setattr(keeping.writer, "submit", busy)
    monkeypatch.setattr(retention_module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(retention_module, "asyncio", SimpleNamespace(sleep=sleep))
    assert await keeping.retention.remove() == 1
    assert rests == [9]


async def test_a_run_that_cannot_be_read_goes_too(keeping: Keeping) -> None:
    run = keeping.driver.report(keeping.driver.create(), SUCCESS)
    row = keeping.store.data.rows[run.run_id]
    keeping.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    keeping.pass_(days=2)
    assert await keeping.retention.remove() == 1


async def test_a_run_that_somebody_else_removes_first_is_no_trouble(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, other = (keeping.driver.report(keeping.driver.create(), SUCCESS) for _ in range(2))
    keeping.pass_(days=2)
    ended = keeping.store.reading.ended

    async def found_and_removed(*query: object) -> object:
        run_ids = await ended(*query)  # type: ignore[arg-type]
        if gone.run_id in run_ids:
            keeping.driver.delete(gone)
        return run_ids

    monkeypatch.setattr(keeping.store.reading, "ended", found_and_removed)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(other.run_id) is None


async def test_a_clock_that_is_set_forward_removes_nothing(keeping: Keeping) -> None:
    run = keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.beat()
    keeping.machine.set_clock(365 * DAY.total_seconds())
    assert await keeping.retention.remove() == 0
    keeping.beat()
    assert await keeping.retention.remove() == 0
    keeping.pass_(hours=23)
    assert await keeping.retention.remove() == 0
    keeping.pass_(hours=2)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(run.run_id) is None


async def test_runs_that_are_kept_for_longer_than_there_is_time_stay(keeping: Keeping) -> None:
    keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.pass_(days=2)
    retention = Retention(keeping.writer, keeping.store.reading, keeping.serving, timedelta.max)
    assert await retention.remove() == 0


async def test_a_clock_that_was_set_forward_and_back_before_the_start_removes_nothing(
    keeping: Keeping,
) -> None:
    run = keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.machine.set_clock(365 * DAY.total_seconds())
    keeping.driver.create()
    keeping.machine.set_clock(-365 * DAY.total_seconds())
    keeping.start()
    # Before the first beat nobody can tell.
    removing = asyncio.create_task(keeping.retention.remove())
    await asyncio.sleep(0)
    assert not removing.done()
    keeping.beat()
    assert await removing == 0
    keeping.pass_(hours=23)
    assert await keeping.retention.remove() == 0
    keeping.pass_(hours=2)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(run.run_id) is None
