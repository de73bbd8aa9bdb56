"""Retention removes runs some time after their end, and no others."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.maintenance.lease_clock import LeaseClock
from runsvc.maintenance.retention import Pace, Retention, pace_after
from runsvc.store.memory import MemoryStore
from tests.conformance.driver import CODEC, SUCCESS, Driver, a_request
from tests.support.machine import Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.commit.command import ExclusiveCommand
    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.group_commit import Committed

DAY = timedelta(days=1)


class Keeping:
    """A store and a retention of one day."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.store = MemoryStore()
        self.driver = Driver(self.store)
        self.commits: list[Committed] = []
        self.writer = Writer(GroupCommit(self.store.writing, CODEC), self.commits.append)
        self.start()

    def start(self) -> None:
        """Start a server on the store."""
        timekeeper = self.store.writing._timekeeper = self.machine.timekeeper()
        self.lease_clock = LeaseClock(timekeeper, DAY)
        self.retention = self.make_retention()

    def make_retention(self, keep: timedelta = DAY, **tuning: Any) -> Retention:
        arguments: dict[str, Any] = {"pace_after": lambda _: Pace(20, 0)} | tuning
        return Retention(self.writer, self.store.reading, self.lease_clock, keep, **arguments)

    def batches(self) -> list[int]:
        """The numbers of runs that each commit removed."""
        return [len(commit.entries) for commit in self.commits if commit.entries]

    def wait(self, **time: float) -> None:
        self.machine.go_on(timedelta(**time).total_seconds())
        self.beat()

    def beat(self) -> None:
        self.lease_clock.record_beat(self.lease_clock.read(self.store.writing.begin().time))


@pytest.fixture
async def keeping() -> AsyncIterator[Keeping]:
    keeping = Keeping()
    await keeping.store.open()
    yield keeping
    await keeping.writer.close()
    await keeping.store.close()


async def test_a_run_is_removed_a_day_after_its_end_with_its_request_id(keeping: Keeping) -> None:
    run = keeping.driver.create(request=a_request("q"))
    keeping.driver.report(run, SUCCESS)
    keeping.wait(hours=23)
    assert await keeping.retention.remove() == 0
    keeping.wait(hours=2)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(run.run_id, None) is None
    assert keeping.driver.create(request=a_request("q")).run_id != run.run_id
    (entry,) = keeping.commits[-1].entries
    assert (entry.run_id, entry.deleted, entry.body) == (run.run_id, True, None)


async def test_retention_starts_at_the_end_of_a_run(keeping: Keeping) -> None:
    active, late = keeping.driver.create(), keeping.driver.create()
    keeping.wait(days=9)
    keeping.driver.report(late, SUCCESS)
    keeping.wait(hours=1)
    assert await keeping.retention.remove() == 0
    keeping.wait(days=1)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(active.run_id, None) is not None


async def test_many_runs_are_removed_in_batches(keeping: Keeping) -> None:
    retention = keeping.make_retention(pace_after=lambda _: Pace(2, 0), chunk=5)
    for _ in range(13):
        keeping.driver.report(keeping.driver.create(), SUCCESS)
    stays = keeping.driver.create()
    keeping.wait(days=2)
    assert await retention.remove() == 13
    assert keeping.batches() == [2, 2, 1, 2, 2, 1, 2, 1]
    assert await keeping.store.reading.get(stays.run_id, None) is not None
    assert await retention.remove() == 0


async def test_the_pace_rises_with_the_number_of_runs(keeping: Keeping) -> None:
    retention = keeping.make_retention(pace_after=lambda chunks: Pace(1 << chunks, 0), chunk=4)
    for _ in range(13):
        keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.wait(days=2)
    assert await retention.remove() == 13
    assert keeping.batches() == [1, 1, 1, 1, 2, 2, 4, 1]
    # The next pass starts slowly again.
    keeping.commits.clear()
    for _ in range(2):
        keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.wait(days=2)
    assert await retention.remove() == 2
    assert keeping.batches() == [1, 1]


def test_the_pace_rises_up_to_the_fastest() -> None:
    paces = [pace_after(chunks) for chunks in range(200)]
    assert paces[0] == Pace(20, 9)
    for slower, faster in pairwise(paces):
        assert slower.batch <= faster.batch
        assert slower.rest >= faster.rest
    assert {pace_after(chunks) for chunks in (100, 100_000)} == {Pace(100, 4)}


async def test_the_pause_does_not_count_the_wait_for_other_commands(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.wait(days=2)
    submit = keeping.writer.submit

    async def busy(command: ExclusiveCommand[object]) -> object:
        def decide(tx: ExclusiveTransaction) -> object:
            keeping.machine.go_on(100)
            answer = command.decide(tx)
            keeping.machine.go_on(1)
            return answer

        return await submit(replace(command, decide=decide))

    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    monkeypatch.setattr(keeping.writer, "submit", busy)
    retention = keeping.make_retention(pace_after=lambda _: Pace(20, 9), sleep=sleep)
    assert await retention.remove() == 1
    assert rests == [9]


async def test_a_corrupt_run_is_removed_too(keeping: Keeping) -> None:
    run = keeping.driver.report(keeping.driver.create(), SUCCESS)
    row = keeping.store.data.rows[run.run_id]
    keeping.store.data.rows[run.run_id] = row._replace(record=row.record._replace(body=b"\xff"))
    keeping.wait(days=2)
    assert await keeping.retention.remove() == 1


async def test_a_pass_logs_the_number_of_removed_runs(
    keeping: Keeping, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.wait(days=2)
    for _ in range(2):
        await keeping.retention.run()
    first, record = caplog.records
    assert run.run_id in first.getMessage()
    assert record.message == "Removed 1 runs past retention"


async def test_a_run_that_another_call_removes_first_is_skipped(
    keeping: Keeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, other = (keeping.driver.report(keeping.driver.create(), SUCCESS) for _ in range(2))
    keeping.wait(days=2)
    ended = keeping.store.reading.ended

    async def found_and_removed(*query: object) -> object:
        run_ids = await ended(*query)  # type: ignore[arg-type]
        if gone.run_id in run_ids:
            keeping.driver.delete(gone)
        return run_ids

    monkeypatch.setattr(keeping.store.reading, "ended", found_and_removed)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(other.run_id, None) is None


async def test_a_forward_step_of_the_clock_removes_no_run(keeping: Keeping) -> None:
    run = keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.beat()
    keeping.machine.set_clock(365 * DAY.total_seconds())
    assert await keeping.retention.remove() == 0
    keeping.beat()
    assert await keeping.retention.remove() == 0
    keeping.wait(hours=23)
    assert await keeping.retention.remove() == 0
    keeping.wait(hours=2)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(run.run_id, None) is None


async def test_a_retention_beyond_all_time_removes_no_run(keeping: Keeping) -> None:
    keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.wait(days=2)
    assert await keeping.make_retention(timedelta.max).remove() == 0


async def test_a_step_forward_and_back_before_the_start_removes_no_run(
    keeping: Keeping,
) -> None:
    run = keeping.driver.report(keeping.driver.create(), SUCCESS)
    keeping.machine.set_clock(365 * DAY.total_seconds())
    keeping.driver.create()
    keeping.machine.set_clock(-365 * DAY.total_seconds())
    keeping.start()
    # Before the first beat, the step is not known.
    removing = asyncio.create_task(keeping.retention.remove())
    await asyncio.sleep(0)
    assert not removing.done()
    keeping.beat()
    assert await removing == 0
    keeping.wait(hours=23)
    assert await keeping.retention.remove() == 0
    keeping.wait(hours=2)
    assert await keeping.retention.remove() == 1
    assert await keeping.store.reading.get(run.run_id, None) is None
