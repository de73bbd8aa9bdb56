"""The writer: how batches form, and the commands of callers that give up."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from runsvc.commit.command import (
    MAX_COMMANDS,
    AnyCommand,
    Command,
    DeferrableCommand,
    ExclusiveCommand,
)
from runsvc.commit.group_commit import Committed, GroupCommit, Outcome
from runsvc.commit.writer import Batching, Writer
from runsvc.core.errors import Overloaded, ServerDraining

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence


QUIET_TURNS, MAX_BYTES = Batching().quiet_turns, Batching().max_bytes
#: Waits for company practically for ever.
ENDLESS = Batching(quiet_turns=1 << 60, max_wait=1_000)
#: Deferrable commands wait practically for ever.
LINGERING = Batching(linger=1_000)


class Group:
    """A group commit that answers each command with its decision, and can hold batches back."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Command[Any]]] = []
        self.waits: list[float] = []
        self.gate = threading.Semaphore(0)
        self.gated = False
        self.begun = threading.Semaphore(0)

    def run(
        self,
        commands: Sequence[Command[Any]],
        waited: float,
        draw: Callable[[], Sequence[Command[Any]]] | None = None,
    ) -> Committed:
        self.waits.append(waited)
        self.begun.release()
        if self.gated:
            assert self.gate.acquire(timeout=30)
        if draw is not None:
            commands = [*commands, *draw()]
        self.batches.append(commands)
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
async def make_writer(
    group: Group, published: list[Committed]
) -> AsyncIterator[Callable[..., Writer]]:
    """Make a writer that is closed at the end of the test."""
    writers: list[Writer] = []

    def make(**settings: Any) -> Writer:
        arguments: dict[str, Any] = {"publish": published.append} | settings
        writers.append(Writer(cast("GroupCommit", group), **arguments))
        return writers[-1]

    async with asyncio.timeout(30):
        yield make
        group.gated = False
        group.gate.release(1_000)
        for writer in writers:
            await writer.close()


@pytest.fixture
async def writer(make_writer: Callable[..., Writer]) -> Writer:
    return make_writer(max_waiting=200)


def answering(answer: object, size: int = 0) -> Command[object]:
    return Command(lambda _: answer, size=size)


def deferrable(answer: object) -> Command[object]:
    return DeferrableCommand(lambda _: answer)


def exclusive(answer: object) -> ExclusiveCommand[object]:
    return ExclusiveCommand(lambda _: answer)


def submitted(writer: Writer, *commands: AnyCommand[Any]) -> list[asyncio.Task[Any]]:
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


async def test_a_single_caller_never_waits_for_others(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    writer = make_writer(batching=ENDLESS)
    for number in range(5):
        assert await writer.submit(answering(number)) == number
    assert sizes(group) == [1] * 5


async def test_deferrable_commands_share_a_batch(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    # Longer than a busy machine takes for a few turns of the loop.
    writer = make_writer(batching=Batching(linger=0.5))
    waiting = []
    for number in range(9):
        waiting += submitted(writer, deferrable(number))
        # Let each arrive alone.
        await asyncio.sleep(0)
    assert await asyncio.gather(*waiting) == list(range(9))
    assert sizes(group) == [9]
    assert await writer.submit(deferrable("again")) == "again"


async def test_deferrable_commands_join_the_batch_of_an_urgent_one(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    writer = make_writer(batching=LINGERING)
    waiting = submitted(writer, deferrable(1), deferrable(2), answering(3))
    assert await asyncio.gather(*waiting) == [1, 2, 3]
    assert sizes(group) == [3]


async def test_a_full_batch_of_deferrable_commands_does_not_wait(
    make_writer: Callable[..., Writer],
) -> None:
    writer = make_writer(batching=LINGERING)
    waiting = submitted(writer, *map(deferrable, range(MAX_COMMANDS)))
    assert await asyncio.gather(*waiting) == list(range(MAX_COMMANDS))


async def test_close_does_not_wait_for_further_deferrable_commands(
    make_writer: Callable[..., Writer],
) -> None:
    writer = make_writer(batching=LINGERING)
    (waiting,) = submitted(writer, deferrable(1))
    await asyncio.sleep(0)
    await writer.close()
    assert await waiting == 1


async def test_a_caller_that_gave_up_delays_no_deferrable_command(
    writer: Writer, group: Group
) -> None:
    first = await held(writer, group)
    given_up, other = submitted(writer, answering("gone"), deferrable("other"))
    await asyncio.sleep(0)
    given_up.cancel()
    release(group)
    assert (await first, await other) == ("held", "other")
    assert writer._urgent == 0


async def test_the_error_of_a_command_is_raised_to_its_caller(writer: Writer) -> None:
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


async def test_commands_that_arrive_during_a_batch_form_the_next(
    writer: Writer, group: Group
) -> None:
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
        # Larger than any batch: it is committed alone.
        answering(4, 2 * MAX_BYTES),
        answering(5),
    )
    await asyncio.sleep(0)
    release(group)
    await asyncio.gather(*tasks)
    assert sizes(group) == [1, 2, 1, 1, 1]


async def test_an_exclusive_command_has_its_own_batch(writer: Writer, group: Group) -> None:
    await held(writer, group)
    tasks = submitted(
        writer,
        answering(1),
        answering(2),
        exclusive(3),
        exclusive(4),
        answering(5),
        answering(6),
    )
    await asyncio.sleep(0)
    release(group)
    assert await asyncio.gather(*tasks) == [1, 2, 3, 4, 5, 6]
    assert sizes(group) == [1, 2, 1, 1, 2]


async def test_callers_that_return_share_a_batch_again(writer: Writer, group: Group) -> None:
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


async def test_the_wait_for_callers_that_do_not_return_is_short(
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


async def test_a_batch_waits_for_commands_that_arrive_while_the_loop_is_busy(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    writer = make_writer(batching=Batching(max_wait=1_000))
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


async def test_the_wait_is_bounded_even_if_the_loop_is_never_quiet(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    writer = make_writer(batching=Batching(quiet_turns=1 << 60))
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


async def test_a_deferrable_command_is_carried_out_although_its_caller_gave_up(
    writer: Writer, group: Group, published: list[Committed]
) -> None:
    first = await held(writer, group)
    (gone,) = submitted(writer, deferrable("gone"))
    await asyncio.sleep(0)
    gone.cancel()
    release(group)
    await first
    assert await writer.submit(answering("next")) == "next"
    outcomes = [each for committed in published for each in committed.outcomes]
    assert outcomes == [Outcome("held"), Outcome("gone"), Outcome("next")]
    assert gone.cancelled()


async def test_no_batch_is_made_when_every_caller_gave_up(writer: Writer, group: Group) -> None:
    first = await held(writer, group)
    (gone,) = submitted(writer, answering("gone"))
    await asyncio.sleep(0)
    gone.cancel()
    release(group)
    await first
    assert await writer.submit(answering("next")) == "next"
    assert sizes(group) == [1, 1]


async def test_a_command_whose_batch_began_takes_effect_although_its_caller_gave_up(
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


async def test_too_many_waiting_commands_are_refused_as_overload(
    writer: Writer, group: Group
) -> None:
    await held(writer, group)
    tasks = submitted(writer, *map(answering, range(200)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await writer.submit(answering("too many"))
    release(group)
    assert await asyncio.gather(*tasks) == list(range(200))
    assert await writer.submit(answering("again")) == "again"


async def test_a_long_wait_of_several_batches_is_refused_as_overload(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    writer = make_writer(max_delay=-1.0)
    await held(writer, group)
    tasks = submitted(writer, *map(answering, range(MAX_COMMANDS)))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await writer.submit(answering("too late"))
    # Heartbeats and background jobs keep runs alive and end them in time.
    tasks += submitted(writer, deferrable("heartbeat"), exclusive("expiry"))
    await asyncio.sleep(0)
    release(group)
    assert await asyncio.gather(*tasks) == [*range(MAX_COMMANDS), "heartbeat", "expiry"]
    assert await writer.submit(answering("again")) == "again"


async def test_one_waiting_batch_is_not_an_overload_however_long_it_waits(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    writer = make_writer(max_delay=-1.0)
    await held(writer, group)
    tasks = submitted(writer, *map(answering, range(MAX_COMMANDS)))
    release(group)
    assert await asyncio.gather(*tasks) == list(range(MAX_COMMANDS))


async def test_close_carries_out_waiting_commands_and_refuses_new_ones(
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


async def test_close_does_not_wait_for_further_commands(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    writer = make_writer(batching=ENDLESS)
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


async def test_an_error_in_publish_leaves_no_caller_without_an_answer(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: errors.append(context["exception"])
    )

    def publish(_: Committed) -> None:
        raise LookupError

    writer = make_writer(publish=publish)
    assert [await writer.submit(answering(number)) for number in range(3)] == [0, 1, 2]
    # The answers came although every publish failed, and the next batch was not held up either.
    assert [type(error) for error in errors] == [LookupError] * 3
    assert sizes(group) == [1, 1, 1]


async def test_a_batch_knows_how_long_its_first_command_has_waited(
    make_writer: Callable[..., Writer], group: Group
) -> None:
    now = 10.0
    writer = make_writer(monotonic=lambda: now)
    group.gated = True
    first, behind = submitted(writer, exclusive("a"), answering("b"))
    await group.has_begun()
    now = 11.5
    (later,) = submitted(writer, answering("c"))
    await asyncio.sleep(0)
    now = 12.0
    group.gate.release(3)
    assert [await each for each in (first, behind, later)] == ["a", "b", "c"]
    # The second batch has the command that was submitted with the first.
    assert group.waits == [0.0, 2.0]
