"""Turns: what a line gives to the runs of an owner, and when it is read from the store again."""

from __future__ import annotations

import pytest

from runsvc.commit.command import Command
from runsvc.commit.lines import CAPACITY, Lines
from runsvc.core import lifecycle
from runsvc.core.model import CancelAction, Run, RunSpec, Stamp
from runsvc.store.memory import MemoryStore
from runsvc.store.queue import Line
from tests.conformance.driver import Driver
from tests.support.machine import NOON

ASSISTANT = "a"


def run_with(turn: int, owner: str = "o") -> Run:
    spec = RunSpec(thread_id="t", assistant_id=ASSISTANT)
    return lifecycle.create(spec, run_id=f"r{turn}", owner=owner, at=Stamp(1, NOON), turn=turn)


class Reads:
    """A store with a line that is counted."""

    def __init__(self, head: int = 0, **last: int) -> None:
        self.found = Line(head, last)
        self.count = 0

    def line(self, _assistant_id: str | None, _priority: int) -> Line:
        self.count += 1
        return self.found


class Queue:
    """One line, with a transaction around each change."""

    def __init__(self, head: int = 0, **last: int) -> None:
        self.reads = Reads(head, **last)
        self.lines = Lines()
        self.commits = 0

    def turn(self, owner: str = "o") -> int:
        self.lines.begin(self.commits)
        turn = self.lines.turn(ASSISTANT, RunSpec(thread_id="t").priority, owner, self.reads)  # type: ignore[arg-type]
        self.commit()
        return turn

    def leave(self, turn: int, *, started: bool = False, owner: str = "o") -> None:
        self.lines.begin(self.commits)
        self.lines.leave(run_with(turn, owner), started=started)
        self.commit()

    def commit(self) -> None:
        self.commits += 1
        self.lines.end(self.commits)


def test_owners_take_turns() -> None:
    queue = Queue()
    assert [queue.turn("much") for _ in range(4)] == [0, 1, 2, 3]
    assert [queue.turn("little"), queue.turn("much"), queue.turn("little")] == [0, 4, 1]
    queue.leave(3, started=True, owner="much")
    assert queue.turn("new") == 3
    assert queue.reads.count == 1


def test_the_turn_of_a_run_that_ended_as_the_last_one_is_given_again() -> None:
    queue = Queue(head=3, o=6)
    for _ in range(5):
        assert queue.turn() == 7
        queue.leave(7)
    assert queue.reads.count == 1


def test_after_an_end_in_the_middle_the_end_of_the_last_run_is_looked_up() -> None:
    queue = Queue(head=3, o=6)
    queue.leave(5)  # The line is not known, so nothing is noted.
    assert queue.turn() == 7
    queue.leave(6)
    assert queue.turn() == 8
    queue.leave(8)
    queue.reads.found = Line(3, {"o": 7})
    assert queue.turn() == 8
    assert queue.reads.count == 2


def test_many_owners_keep_their_turns_while_their_runs_wait() -> None:
    queue = Queue()
    owners = [f"o{number}" for number in range(3 * CAPACITY)]
    assert {queue.turn(owner) for owner in owners} == {0}
    assert {queue.turn(owner) for owner in owners} == {1}
    queue.leave(1, started=True)
    queue.leave(2, started=True)
    for owner in range(4 * CAPACITY):
        queue.turn(f"later-{owner}")
    # Those whose turns are over were removed meanwhile.
    line = queue.lines._lines[ASSISTANT, RunSpec(thread_id="t").priority]
    assert owners[0] not in line.last
    assert queue.turn(owners[0]) == 2


@pytest.mark.parametrize("changes", [True, False])
def test_a_transaction_without_effect_keeps_the_lines_that_it_left_alone(changes: bool) -> None:
    queue = Queue()
    queue.turn()
    queue.lines.begin(queue.commits)
    if changes:
        queue.lines.turn(ASSISTANT, RunSpec(thread_id="t").priority, "o", queue.reads)  # type: ignore[arg-type]
    queue.lines.end_unchanged(queue.commits)
    queue.turn()
    assert queue.reads.count == 1 + changes


def test_a_transaction_that_failed_makes_the_lines_unknown() -> None:
    queue = Queue()
    queue.turn()
    queue.lines.begin(queue.commits)
    queue.turn()
    assert queue.reads.count == 2


async def test_a_claim_without_a_run_leaves_the_lines_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    await store.open()
    reads: list[str | None] = []
    line = store.writing.queue.line

    def counted(assistant_id: str | None, priority: int) -> Line:
        reads.append(assistant_id)
        return line(assistant_id, priority)

    monkeypatch.setattr(store.writing.queue, "line", counted)
    driver = Driver(store)
    for number in range(3):
        driver.create(f"t{number}", assistant_id=ASSISTANT)
        assert driver.batch(Command(lambda _: None)).entries == ()
        cancelled = driver.create(f"other-{number}", assistant_id=ASSISTANT)
        driver.change(
            cancelled, lambda run, at: lifecycle.cancel(run, CancelAction.INTERRUPT, at)[0]
        )
    assert reads == [ASSISTANT]
    await store.close()
