"""The writer: how batches form, and what becomes of callers that give up."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from runsvc.commit import writer as writer_module
from runsvc.commit.command import MAX_COMMANDS, Command
from runsvc.commit.group_commit import Committed, GroupCommit, Outcome
from runsvc.commit.writer import MAX_BYTES, QUIET_TURNS, Writer
from runsvc.core.errors import Overloaded, ServerDraining

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Group:
    """Answers each command with its decision; holds batches back on demand."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Command[Any]]] = []
        self.gate = threading.Semaphore(0)
        self.gated = False
        self.begun = threading.Semaphore(0)

    def run(self, commands: Sequence[Command[Any]]) -> Committed:
        self.batches.append(commands)
        self.begun.release()
        if self.gated:
            assert self.gate.acquire(timeout=30)
        return Committed([_attempt(command) for command in commands])

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=30)


def _attempt(command: Command[Any]) -> Outcome:
    try:
        return Outcome(answer=command.decide(cast("Any", None)))
    except LookupError as error:
        return Outcome(error=error)


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def published() -> list[Committed]:
    return []


@pytest.fixture
async def writer(group: Group, published: list[Committed]) -> AsyncIterator[Writer]:
    writer = Writer(cast("GroupCommit", group), published.append, max_waiting=200)
    async with asyncio.timeout(30):
        yield writer
        group.gated = False
        group.gate.release(1_000)
        await writer.close()


def answering(answer: object, size: int = 0, *, alone: bool = False) -> Command[object]:
    return Command(lambda _: answer, size=size, alone=alone)


def patient(answer: object) -> Command[object]:
    return Command(lambda _: answer, can_wait=True)


def submitted(writer: Writer, *commands: Command[Any]) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(writer.submit(command)) for command in commands]


async def held(writer: Writer, group: Group) -> asyncio.Task[Any]:
    """A batch of one that the thread is busy with until `release`."""
    group.gated = True
    (task,) = submitted(writer, answering("held"))
    await group.has_begun()
    return task


def release(group: Group) -> None:
    group.gated = False
    group.gate.release()


def sizes(group: Group) -> list[int]:
    return [len(batch) for batch in group.batches]


async def test_a_lone_caller_is_served_at_once(
    writer: Writer, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Were it ever waited for company, it would be for ever.
    monkeypatch.setattr(writer_module, "QUIET_TURNS", 1 << 60)
    monkeypatch.setattr(writer_module, "PATIENCE", 1_000)
    for number in range(5):
        assert await writer.submit(answering(number)) == number
    assert sizes(group) == [1] * 5


async def test_commands_that_can_wait_share_a_batch(writer: Writer, group: Group) -> None:
    waiting = []
    for number in range(9):
        waiting += submitted(writer, patient(number))
        # One by one, and each of them alone.
        await asyncio.sleep(0)
    assert await asyncio.gather(*waiting) == list(range(9))
    assert sizes(group) == [9]
    assert await writer.submit(patient("again")) == "again"


async def test_who_cannot_wait_takes_along_those_who_can(
    writer: Writer, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "LINGER", 1_000)
    waiting = submitted(writer, patient(1), patient(2), answering(3))
    assert await asyncio.gather(*waiting) == [1, 2, 3]
    assert sizes(group) == [3]


async def test_a_full_batch_of_those_who_can_wait_goes(
    writer: Writer, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "LINGER", 1_000)
    waiting = submitted(writer, *map(patient, range(MAX_COMMANDS)))
    assert await asyncio.gather(*waiting) == list(range(MAX_COMMANDS))


async def test_closing_waits_for_nobody_else(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "LINGER", 1_000)
    writer = Writer(cast("GroupCommit", group), lambda _: None)
    (waiting,) = submitted(writer, patient(1))
    await asyncio.sleep(0)
    await writer.close()
    assert await waiting == 1


async def test_who_can_wait_and_gave_up_holds_nobody_up(writer: Writer, group: Group) -> None:
    first = await held(writer, group)
    given_up, other = submitted(writer, answering("gone"), patient("other"))
    await asyncio.sleep(0)
    given_up.cancel()
    release(group)
    assert (await first, await other) == ("held", "other")
    assert writer._pressing == 0


async def test_what_a_command_raises_is_raised_to_its_caller(writer: Writer) -> None:
    def decide(_: object) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await writer.submit(Command(decide))
    assert await writer.submit(answering(1)) == 1


async def test_a_batch_is_published_before_its_callers_are_answered(
    group: Group, published: list[Committed]
) -> None:
    order: list[str] = []
    writer = Writer(cast("GroupCommit", group), lambda _: order.append("published"))
    await writer.submit(answering(1))
    order.append("answered")
    await writer.close()
    assert order == ["published", "answered"]


async def test_what_comes_during_a_batch_makes_the_next(writer: Writer, group: Group) -> None:
    first = await held(writer, group)
    tasks = submitted(writer, *map(answering, range(10)))
    await asyncio.sleep(0)
    release(group)
    assert await first == "held"
    assert await asyncio.gather(*tasks) == list(range(10))
    assert sizes(group) == [1, 10]


async def test_a_batch_holds_64_commands_at_most(writer: Writer, group: Group) -> None:
    await held(writer, group)
    tasks = submitted(writer, *map(answering, range(150)))
    await asyncio.sleep(0)
    release(group)
    assert await asyncio.gather(*tasks) == list(range(150))
    assert sizes(group) == [1, MAX_COMMANDS, MAX_COMMANDS, 150 - 2 * MAX_COMMANDS]


async def test_a_batch_is_bounded_in_bytes(writer: Writer, group: Group) -> None:
    await held(writer, group)
    half = MAX_BYTES // 2
    tasks = submitted(
        writer,
        answering(1, half),
        answering(2, half),
        answering(3, 1),
        # Larger than any batch: it goes alone.
        answering(4, 2 * MAX_BYTES),
        answering(5),
    )
    await asyncio.sleep(0)
    release(group)
    await asyncio.gather(*tasks)
    assert sizes(group) == [1, 2, 1, 1, 1]


async def test_an_alone_command_shares_its_batch_with_none(writer: Writer, group: Group) -> None:
    await held(writer, group)
    tasks = submitted(
        writer,
        answering(1),
        answering(2),
        answering(3, alone=True),
        answering(4, alone=True),
        answering(5),
        answering(6),
    )
    await asyncio.sleep(0)
    release(group)
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4, 5, 6]
    assert sizes(group) == [1, 2, 1, 1, 2]


async def test_callers_that_come_back_share_a_batch_again(writer: Writer, group: Group) -> None:
    await held(writer, group)
    rounds = 3

    async def caller() -> None:
        for _ in range(rounds):
            await writer.submit(answering(None))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(caller())
        await asyncio.sleep(0)
        release(group)
    assert sizes(group) == [1, 8, 8, 8]


async def test_callers_that_do_not_come_back_are_not_waited_for_long(
    writer: Writer, group: Group
) -> None:
    await held(writer, group)
    tasks = submitted(writer, *map(answering, range(8)))
    await asyncio.sleep(0)
    release(group)
    await asyncio.gather(*tasks)
    one, two = submitted(writer, answering("one"), answering("two"))
    assert [await one, await two] == ["one", "two"]
    assert sizes(group) == [1, 8, 2]


async def test_who_comes_while_the_loop_is_busy_is_waited_for(writer: Writer, group: Group) -> None:
    await held(writer, group)
    tasks = submitted(writer, *map(answering, range(2)))
    await asyncio.sleep(0)
    release(group)
    await asyncio.gather(*tasks)
    # One every few turns of the loop.
    late = []
    for number in range(5):
        late += submitted(writer, answering(number))
        for _ in range(QUIET_TURNS - 3):
            await asyncio.sleep(0)
    assert await asyncio.gather(*late) == list(range(5))
    assert sizes(group) == [1, 2, 5]


async def test_a_loop_that_is_never_quiet_does_not_keep_its_callers_waiting(
    writer: Writer, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "QUIET_TURNS", 1 << 60)
    await held(writer, group)
    tasks = submitted(writer, *map(answering, range(2)))
    await asyncio.sleep(0)
    release(group)
    assert await asyncio.gather(*tasks) == [0, 1]


async def test_a_caller_that_gave_up_while_waiting_is_dropped(writer: Writer, group: Group) -> None:
    await held(writer, group)
    gone, stays = submitted(writer, answering("gone"), answering("stays"))
    await asyncio.sleep(0)
    gone.cancel()
    release(group)
    assert await stays == "stays"
    assert sizes(group) == [1, 1]
    assert gone.cancelled()


async def test_a_command_that_outlives_its_caller_is_carried_out(
    writer: Writer, group: Group, published: list[Committed]
) -> None:
    first = await held(writer, group)
    (gone,) = submitted(writer, Command(lambda _: "gone", can_wait=True, outlives_caller=True))
    await asyncio.sleep(0)
    gone.cancel()
    release(group)
    await first
    assert await writer.submit(answering("next")) == "next"
    outcomes = [each for committed in published for each in committed.outcomes]
    assert outcomes == [Outcome("held"), Outcome("gone"), Outcome("next")]
    assert gone.cancelled()


async def test_when_every_caller_gave_up_no_batch_is_made(writer: Writer, group: Group) -> None:
    first = await held(writer, group)
    (gone,) = submitted(writer, answering("gone"))
    await asyncio.sleep(0)
    gone.cancel()
    release(group)
    await first
    assert await writer.submit(answering("next")) == "next"
    assert sizes(group) == [1, 1]


async def test_a_command_handed_over_takes_effect_although_its_caller_gave_up(
    writer: Writer, group: Group, published: list[Committed]
) -> None:
    first = await held(writer, group)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    release(group)
    assert await writer.submit(answering("next")) == "next"
    assert [committed.outcomes for committed in published] == [
        [Outcome("held")],
        [Outcome("next")],
    ]


async def test_too_many_waiting_is_overloaded(writer: Writer, group: Group) -> None:
    await held(writer, group)
    tasks = submitted(writer, *map(answering, range(200)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await writer.submit(answering("too many"))
    release(group)
    assert await asyncio.gather(*tasks) == list(range(200))
    assert await writer.submit(answering("again")) == "again"


async def test_close_carries_out_what_waits_and_refuses_what_comes(
    writer: Writer, group: Group
) -> None:
    first = await held(writer, group)
    tasks = submitted(writer, *map(answering, range(100)))
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    with pytest.raises(ServerDraining):
        await writer.submit(answering("late"))
    release(group)
    await closing
    assert await first == "held"
    assert [task.result() for task in tasks] == list(range(100))
    assert not writer._thread.is_alive()


async def test_close_does_not_wait_for_further_callers(
    group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "QUIET_TURNS", 1 << 60)
    monkeypatch.setattr(writer_module, "PATIENCE", 1_000)
    writer = Writer(cast("GroupCommit", group), lambda _: None)
    writer._alone = False
    (late,) = submitted(writer, answering("late"))
    await asyncio.sleep(0)
    assert group.batches == []
    await writer.close()
    assert await late == "late"
    assert sizes(group) == [1]


async def test_an_idle_writer_closes_at_once(group: Group) -> None:
    writer = Writer(cast("GroupCommit", group), lambda _: None)
    await writer.close()
    assert group.batches == []
    with pytest.raises(ServerDraining):
        await writer.submit(answering(1))


async def test_a_fault_in_publishing_keeps_no_caller_waiting(group: Group) -> None:
    def publish(_: Committed) -> None:
        raise LookupError

    writer = Writer(cast("GroupCommit", group), publish)
    try:
        async with asyncio.timeout(0.2):
            await writer.submit(answering(1))
    finally:
        writer._inbox.put(None)
        await asyncio.to_thread(writer._thread.join)
