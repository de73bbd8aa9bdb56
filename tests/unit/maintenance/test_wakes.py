"""Runs move on at their time, and none is passed over when the pass shares a batch with other commands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runsvc.commit.command import Command
from runsvc.core import lifecycle
from runsvc.core.model import CancelAction, RunSpec
from runsvc.maintenance.wakes import wake
from runsvc.store.memory import MemoryStore
from runsvc.store.queries import ById
from tests.conformance.driver import INTERRUPTED, OWNER, PENDING, QUEUED, Driver
from tests.support.machine import NOON, Machine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Run
    from runsvc.maintenance.wakes import Pass
    from runsvc.store.queue import Wake

SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


class Waiting:
    """A store on a machine whose clock a test sets."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.store = MemoryStore()
        self.store.writing._timekeeper = self.machine.timekeeper()
        self.driver = Driver(self.store)

    def create(self, thread_id: str, not_before: datetime | None) -> Command[Run]:
        spec = RunSpec(thread_id=thread_id, not_before=not_before)

        def decide(tx: Transaction) -> Run:
            return tx.create(spec, run_id=thread_id, owner=OWNER, request=None)

        return Command(decide)

    def passing(self, after: Wake | None = None, limit: int = 10) -> Command[Pass]:
        return Command(lambda tx: wake(tx, after, limit))

    def status(self, run_id: str) -> object:
        query = ById(run_id, None)
        return self.driver.carry_out(Command(lambda tx: tx.run(query).status, (query,)))


@pytest.fixture
async def waiting() -> AsyncIterator[Waiting]:
    waiting = Waiting()
    await waiting.store.open()
    yield waiting
    await waiting.store.close()


async def test_a_run_moves_on_at_its_time(waiting: Waiting) -> None:
    waiting.driver.carry_out(waiting.create("r", NOON + SECOND))
    early = waiting.driver.carry_out(waiting.passing())
    assert (early.next, waiting.status("r")) == (NOON + SECOND, QUEUED)
    waiting.machine.go_on(1)
    late = waiting.driver.carry_out(waiting.passing())
    assert (late.next, waiting.status("r")) == (None, PENDING)


async def test_a_pass_goes_on_where_the_last_one_ended(waiting: Waiting) -> None:
    for number in range(5):
        waiting.driver.carry_out(waiting.create(f"r{number}", NOON + number * TICK + SECOND))
    waiting.machine.go_on(2)
    position = None
    for number in range(5):
        assert waiting.status(f"r{number}") is QUEUED
        passed = waiting.driver.carry_out(waiting.passing(position, limit=1))
        position = passed.position
        assert waiting.status(f"r{number}") is PENDING
    assert passed.next is None


async def test_a_pass_does_not_go_beyond_a_run_that_was_created_in_its_batch(
    waiting: Waiting,
) -> None:
    driver, create = waiting.driver, waiting.create
    driver.carry_out(create("known", NOON + SECOND + 3 * TICK))
    waiting.machine.go_on(1)
    # Each creation advances the time of the batch, here beyond the times of both runs.
    others = [create(f"other-{number}", None) for number in range(9)]
    new = create("new", NOON + SECOND + 2 * TICK)
    committed = driver.batch(new, *others, waiting.passing())
    passed = committed.outcomes[-1].answer
    assert waiting.status("new") is QUEUED
    waiting.machine.go_on(1)
    driver.carry_out(waiting.passing(passed.position))
    assert (waiting.status("new"), waiting.status("known")) == (PENDING, PENDING)


async def test_a_run_that_ends_in_the_same_batch_stays_ended(waiting: Waiting) -> None:
    waiting.driver.carry_out(waiting.create("r", NOON + SECOND))
    waiting.machine.go_on(1)
    query = ById("r", None)

    def cancel(tx: Transaction) -> Run:
        run = tx.run(query)
        return tx.save(run, lifecycle.cancel(run, CancelAction.INTERRUPT, tx.stamp())[0])

    waiting.driver.batch(Command(cancel, (query,)), waiting.passing())
    assert waiting.status("r") is INTERRUPTED
