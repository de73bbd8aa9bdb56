"""Batches that are drawn once the store's lock is granted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from runsvc.commit.command import MAX_COMMANDS, Command
from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import LATE_BATCHING, Writer
from runsvc.core.errors import StoreBusy
from runsvc.store.memory import MemoryStore
from runsvc.wire.codec import RunCodec
from tests.unit.commit.test_writer import (
    Group,
    answering,
    deferrable,
    exclusive,
    group,
    make_writer,
    published,
    submitted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.store.values import Now

__all__ = ["group", "make_writer", "published"]

CAP = LATE_BATCHING.max_commands


@pytest.fixture
async def writer(make_writer: Callable[..., Writer], group: Group) -> Writer:
    group.gated = True
    return make_writer(batching=LATE_BATCHING, max_waiting=2_000)


async def arrived(writer: Writer, group: Group, *commands: Any) -> list[asyncio.Task[Any]]:
    """Submit commands while the first of them waits for the lock of the store."""
    tasks = submitted(writer, commands[0])
    await group.has_begun()
    tasks += submitted(writer, *commands[1:])
    await asyncio.sleep(0)
    group.gate.release(1_000)
    return tasks


async def test_commands_that_arrive_during_the_wait_for_the_lock_join_the_batch(
    writer: Writer, group: Group
) -> None:
    tasks = await arrived(writer, group, *map(answering, range(9)), deferrable(9))
    assert await asyncio.gather(*tasks) == list(range(10))
    assert [len(batch) for batch in group.batches] == [10]
    assert (writer._waiting_bytes, writer._urgent) == (0, 0)


async def test_a_late_batch_has_a_cap(writer: Writer, group: Group) -> None:
    assert CAP > MAX_COMMANDS
    tasks = await arrived(writer, group, *map(answering, range(2 * CAP + 5)))
    assert await asyncio.gather(*tasks) == list(range(2 * CAP + 5))
    assert [len(batch) for batch in group.batches] == [CAP, CAP, 5]


async def test_an_exclusive_command_stays_alone(writer: Writer, group: Group) -> None:
    tasks = await arrived(writer, group, answering(0), answering(1), exclusive(2), answering(3))
    assert await asyncio.gather(*tasks) == [0, 1, 2, 3]
    assert [len(batch) for batch in group.batches] == [2, 1, 1]


async def test_a_late_batch_is_limited_in_bytes(writer: Writer, group: Group) -> None:
    half = LATE_BATCHING.max_bytes // 2
    tasks = await arrived(writer, group, *(answering(each, half) for each in range(3)))
    assert await asyncio.gather(*tasks) == [0, 1, 2]
    assert [len(batch) for batch in group.batches] == [2, 1]
    assert writer._waiting_bytes == 0


async def test_a_caller_that_gave_up_before_the_lock_was_granted_is_dropped(
    writer: Writer, group: Group
) -> None:
    tasks = submitted(writer, answering(0))
    await group.has_begun()
    tasks += submitted(writer, answering(1), answering(2))
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    group.gate.release(1_000)
    assert await tasks[2] == 2
    assert [len(batch) for batch in group.batches] == [2]
    assert (writer._waiting_bytes, writer._urgent) == (0, 0)


class LockedOnce(MemoryStore):
    """A store that is busy at the first attempt."""

    def __init__(self) -> None:
        super().__init__()
        begin, self.attempts = self.writing.begin, 0

        def busy_once() -> Now:
            self.attempts += 1
            if self.attempts == 1:
                raise StoreBusy("locked")
            return begin()

        self.writing.begin = busy_once  # type: ignore[method-assign]


async def test_the_outcomes_of_drawn_commands_follow() -> None:
    store = LockedOnce()
    await store.open()
    drawn: list[Command[Any]] = [answering(name) for name in "bc"]
    draws: list[int] = []

    def draw() -> list[Command[Any]]:
        draws.append(store.attempts)
        return drawn

    group = GroupCommit(store.writing, RunCodec(), pause=lambda _: None)
    committed = group.run([answering("a")], draw=cast("Any", draw))
    assert [outcome.answer for outcome in committed.outcomes] == ["a", "b", "c"]
    assert draws == [2]
