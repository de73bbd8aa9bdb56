"""Promotions: which keys a pass reconsiders, and when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.commit.group_commit import Committed
from runsvc.core.errors import StoreBusy
from runsvc.maintenance import promotions
from runsvc.maintenance.promotions import Promotions

if TYPE_CHECKING:
    from collections.abc import Collection

    from runsvc.commit.command import Command

Keys = set[tuple[str, str]]
STORED: Keys = {("o", "stored")}


class FakeTransaction:
    """Records the keys that a command reconsiders."""

    def __init__(self) -> None:
        self.reads = self
        self.reconsidered: Keys = set()

    def keys_with_queued(self, prefix: str) -> Keys:
        assert prefix == ""
        return STORED

    def reconsider_keys(self, keys: Collection[tuple[str, str]]) -> None:
        self.reconsidered.update(keys)


class FakeWriter:
    """Carries out each command on a transaction of its own, unless it is to fail."""

    def __init__(self) -> None:
        self.passes: list[Keys] = []
        self.error: Exception | None = None

    async def submit(self, command: Command[Any]) -> None:
        if self.error is not None:
            raise self.error
        tx: Any = FakeTransaction()
        command.decide(tx)
        self.passes.append(tx.reconsidered)


@pytest.fixture
def writer() -> FakeWriter:
    return FakeWriter()


@pytest.fixture
async def promoting(writer: FakeWriter) -> Promotions:
    """After the first pass."""
    made = Promotions(writer)  # type: ignore[arg-type]
    await made.run()
    assert writer.passes == [STORED]
    writer.passes.clear()
    return made


def unfinished(*keys: str) -> Committed:
    return Committed([], unfinished={("o", key) for key in keys})


async def test_a_pass_reconsiders_the_keys_that_commits_have_left(
    promoting: Promotions, writer: FakeWriter
) -> None:
    for committed in (unfinished("a"), unfinished(), unfinished("a", "b")):
        promoting.note(committed)
    await promoting.run()
    assert writer.passes == [{("o", "a"), ("o", "b")}]
    assert promoting.is_done


async def test_without_keys_a_pass_waits_for_some(
    promoting: Promotions, writer: FakeWriter
) -> None:
    waiting = asyncio.create_task(promoting.run())
    await asyncio.sleep(0)
    promoting.note(Committed([]))
    await asyncio.sleep(0)
    assert not writer.passes
    promoting.note(unfinished("a"))
    await waiting
    assert writer.passes == [{("o", "a")}]


async def test_after_an_unknown_outcome_all_keys_are_searched(
    promoting: Promotions, writer: FakeWriter
) -> None:
    promoting.note(Committed([], unsettled=True))
    await promoting.run()
    assert writer.passes == [STORED]


async def test_a_pass_that_failed_is_repeated(
    promoting: Promotions, writer: FakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotions, "RETRY_PAUSE", 0)
    promoting.note(unfinished("a"))
    writer.error = StoreBusy("locked")
    with pytest.raises(StoreBusy):
        await promoting.run()
    assert not promoting.is_done
    writer.error = None
    await promoting.run()
    assert writer.passes == [{("o", "a")}]


async def test_all_keys_of_a_shared_store_are_searched_at_intervals(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotions, "SHARED_WAIT", 0.001)
    made = Promotions(writer, is_shared=True)  # type: ignore[arg-type]
    for _ in range(3):
        await made.run()
    assert writer.passes == [STORED] * 3
