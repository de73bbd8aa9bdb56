"""One transaction per batch, and the error that each caller gets when it fails."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.commit.command import Command
from runsvc.commit.group_commit import RETRY_PAUSES, Committed, GroupCommit, Outcome
from runsvc.core.errors import OutcomeUnknown, RunNotFound, StoreBusy, StoreUnavailable
from runsvc.core.model import Run, RunSpec
from runsvc.store.memory import MemoryStore
from runsvc.store.memory.writing import MemoryWriting
from runsvc.store.queries import ById
from runsvc.timekeeper import Timekeeper
from runsvc.wire.codec import RunCodec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runsvc.commit.transaction import Transaction
    from runsvc.store.memory.data import MemoryData
    from runsvc.store.values import Changes, Now


class FaultyWriting(MemoryWriting):
    """Raises the planned faults, one per call of a step; None means success."""

    def __init__(self, data: MemoryData) -> None:
        super().__init__(data, Timekeeper())
        self.faults: dict[str, list[BaseException | None]] = {}
        self.calls: list[str] = []
        #: Runs that cannot be saved.
        self.unsaveable: set[str] = set()

    def begin(self) -> Now:
        self._step("begin")
        return super().begin()

    def save(self, changes: Changes) -> None:
        self._step("save")
        if self.unsaveable & {saved.run.run_id for saved in changes.runs}:
            raise StoreUnavailable("it does not fit")
        super().save(changes)

    def commit(self) -> None:
        self._step("commit")
        super().commit()

    def rollback(self) -> None:
        self._step("rollback")
        super().rollback()

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if (faults := self.faults.get(name)) and (fault := faults.pop(0)) is not None:
            raise fault


class Faulty(MemoryStore):
    """A store with a writing part that raises."""

    writing: FaultyWriting

    def __init__(self) -> None:
        super().__init__()
        self.writing = FaultyWriting(self.data)


@pytest.fixture
async def store() -> AsyncIterator[Faulty]:
    store = Faulty()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def group(store: Faulty, pauses: list[float]) -> GroupCommit:
    return GroupCommit(store.writing, RunCodec(), pauses.append)


def creating(run_id: str) -> Command[Run]:
    spec = RunSpec(thread_id="t")
    return Command(lambda tx: tx.create(spec, run_id=run_id, owner="o", request=None))


def raising(error: Exception) -> Command[None]:
    def decide(tx: Transaction) -> None:
        tx.create(RunSpec(thread_id="t"), run_id="bad", owner="o", request=None)
        raise error

    return Command(decide)


def errors(outcomes: Any) -> list[Exception | None]:
    return [outcome.error for outcome in outcomes]


async def test_a_batch_is_one_transaction(store: Faulty, group: GroupCommit) -> None:
    committed = group.run([creating(name) for name in "abc"])
    assert [outcome.answer.run_id for outcome in committed.outcomes] == ["a", "b", "c"]
    assert [entry.run_id for entry in committed.entries] == ["a", "b", "c"]
    assert committed.progressed == []
    assert store.writing.calls == ["begin", "save", "commit"]
    assert (await store.reading.inflight("o", "t")).active == ["c", "b", "a"]


async def test_a_batch_that_changes_nothing_is_rolled_back(
    store: Faulty, group: GroupCommit
) -> None:
    query = ById("r", None)
    command = Command(lambda tx: tx.run(query), (query,))
    (outcome,) = group.run([command]).outcomes
    assert isinstance(outcome.error, RunNotFound)
    assert store.writing.calls == ["begin", "rollback"]
    assert group.run([Command(lambda tx: 7)]) == Committed([Outcome(answer=7)])


async def test_a_refusal_keeps_no_reference_to_its_batch(group: GroupCommit) -> None:
    batches: list[weakref.ref[Transaction]] = []

    def decide(tx: Transaction) -> None:
        batches.append(weakref.ref(tx))
        raise RunNotFound("r")

    gc.disable()
    try:
        committed = group.run([Command(decide)] * 3)
        assert [batch() for batch in batches] == [None] * 3
    finally:
        gc.enable()
    assert {type(error) for error in errors(committed.outcomes)} == {RunNotFound}


async def test_a_command_that_raises_has_no_effect_and_the_others_succeed(
    store: Faulty, group: GroupCommit
) -> None:
    fault = LookupError("mine")
    committed = group.run([creating("a"), raising(fault), creating("b")])
    assert errors(committed.outcomes) == [None, fault, None]
    assert [entry.revision for entry in committed.entries] == [1, 2]
    assert (await store.reading.inflight("o", "t")).active == ["b", "a"]
    assert store.writing.calls == ["begin", "save", "commit"]


@pytest.mark.parametrize("step", ["begin", "save", "commit"])
async def test_a_batch_that_fails_as_a_whole_is_retried_command_by_command(
    store: Faulty, group: GroupCommit, step: str
) -> None:
    store.writing.faults[step] = [StoreUnavailable("full")]
    committed = group.run([creating(name) for name in "abc"])
    assert errors(committed.outcomes) == [None, None, None]
    assert [entry.run_id for entry in committed.entries] == ["a", "b", "c"]
    assert store.writing.calls.count("begin") == 4
    assert await store.reading.count_active() == 3


async def test_only_the_command_at_fault_fails(store: Faulty, group: GroupCommit) -> None:
    store.writing.unsaveable = {"b"}
    committed = group.run([creating(name) for name in "abc"])
    assert [type(error) for error in errors(committed.outcomes)] == [
        type(None),
        StoreUnavailable,
        type(None),
    ]
    assert [(entry.run_id, entry.revision) for entry in committed.entries] == [("a", 1), ("c", 2)]
    assert (await store.reading.inflight("o", "t")).active == ["c", "a"]


async def test_an_unexpected_error_reaches_its_caller(store: Faulty, group: GroupCommit) -> None:
    store.writing.faults["save"] = [ValueError("?")]
    (outcome,) = group.run([creating("a")]).outcomes
    assert isinstance(outcome.error, ValueError)
    assert store.writing.calls == ["begin", "save", "rollback"]


def test_an_unexpected_error_keeps_its_traceback(store: Faulty, group: GroupCommit) -> None:
    store.writing.faults["save"] = [ValueError("?")]
    (outcome,) = group.run([creating("a")]).outcomes
    assert outcome.error is not None
    assert outcome.error.__traceback__ is not None or outcome.error.__cause__ is not None


class Particular(Exception):
    """An error that copy() cannot rebuild: its arguments differ from those of its constructor."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}")


def test_an_error_that_cannot_be_copied_reaches_its_caller(
    store: Faulty, group: GroupCommit
) -> None:
    store.writing.faults["save"] = [Particular("path", "detail")]
    (outcome,) = group.run([creating("a")]).outcomes
    assert isinstance(outcome.error, Particular)


def test_retry_pauses_double_and_stay_below_a_second() -> None:
    assert RETRY_PAUSES == (0.05, 0.1, 0.2, 0.4, 0.8)


async def test_a_busy_store_delays_the_whole_batch(
    store: Faulty, group: GroupCommit, pauses: list[float]
) -> None:
    store.writing.faults["begin"] = [StoreBusy("locked")] * 5
    committed = group.run([creating("a"), creating("b")])
    assert errors(committed.outcomes) == [None, None]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert store.writing.calls == ["begin"] * 6 + ["save", "commit"]


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (0.3, [0.05, 0.1, 0.2, 0.4, 0.5]),
        (1.25, [0.05, 0.1, 0.15]),
        (1.55, []),
        (60.0, []),
    ],
)
async def test_the_wait_for_an_earlier_batch_counts_towards_the_retries(
    store: Faulty, group: GroupCommit, pauses: list[float], waited: float, expected: list[float]
) -> None:
    store.writing.faults["begin"] = [StoreBusy("locked")] * 6
    committed = group.run([creating("a"), creating("b")], waited)
    assert {type(error) for error in errors(committed.outcomes)} == {StoreBusy}
    assert pauses == expected
    assert store.writing.calls == ["begin"] * (len(expected) + 1)


async def test_a_store_that_stays_busy_fails_all_commands_after_five_retries(
    store: Faulty, group: GroupCommit, pauses: list[float]
) -> None:
    store.writing.faults["begin"] = [StoreBusy("locked")] * 6
    committed = group.run([creating("a"), creating("b")])
    assert {type(error) for error in errors(committed.outcomes)} == {StoreBusy}
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert store.writing.calls == ["begin"] * 6
    assert (committed.entries, committed.progressed) == ((), ())


async def test_a_busy_commit_repeats_the_decisions(store: Faulty, group: GroupCommit) -> None:
    store.writing.faults["commit"] = [StoreBusy("locked")]
    decided = 0

    def decide(tx: Transaction) -> None:
        nonlocal decided
        decided += 1
        tx.create(RunSpec(thread_id="t"), run_id="a", owner="o", request=None)

    group.run([Command(decide)])
    assert decided == 2
    assert store.writing.calls == ["begin", "save", "commit", "rollback", "begin", "save", "commit"]
    assert (await store.reading.clock()).revision == 1


async def test_an_unknown_outcome_fails_all_commands_and_is_not_retried(
    store: Faulty, group: GroupCommit
) -> None:
    store.writing.faults["commit"] = [OutcomeUnknown()]
    committed = group.run([creating("a"), creating("b"), raising(LookupError())])
    assert {type(error) for error in errors(committed.outcomes)} == {OutcomeUnknown}
    assert committed.unsettled
    assert store.writing.calls == ["begin", "save", "commit", "rollback"]
    assert committed.entries == ()


@pytest.mark.parametrize(
    ("step", "fault"),
    [("begin", StoreBusy("locked")), ("commit", OutcomeUnknown())],
    ids=["busy", "unknown"],
)
async def test_each_caller_gets_its_own_exception(
    store: Faulty, group: GroupCommit, step: str, fault: Exception
) -> None:
    store.writing.faults[step] = [fault] * 6
    first, second = errors(group.run([creating("a"), creating("b")]).outcomes)
    assert first is not second
    assert str(first) == str(second) == str(fault)
    assert vars(first) == vars(fault)


async def test_an_exception_that_ends_the_thread_rolls_back_first(
    store: Faulty, group: GroupCommit
) -> None:
    store.writing.faults["save"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        group.run([creating("a")])
    assert store.writing.calls[-1] == "rollback"
    assert await store.reading.count_active() == 0


@pytest.mark.parametrize(
    "error", [StoreBusy("locked"), StoreUnavailable("full"), OutcomeUnknown(), ValueError("?")]
)
def test_failed_is_set_only_for_errors_of_the_store(
    store: Faulty, group: GroupCommit, error: Exception
) -> None:
    assert not group.run([creating("a")]).failed
    store.writing.faults["save"] = [error] * 99
    is_store_error = not isinstance(error, ValueError)
    for names in ("b", "cd"):
        assert group.run([creating(name) for name in names]).failed is is_store_error


def test_failed_is_set_when_the_store_failed_for_one_command(
    store: Faulty, group: GroupCommit
) -> None:
    store.writing.unsaveable = {"b"}
    assert group.run([creating(name) for name in "abc"]).failed


def test_a_refusal_does_not_set_failed(group: GroupCommit) -> None:
    def refuse(_: Transaction) -> None:
        raise RunNotFound("r")

    assert not group.run([Command(refuse)]).failed
