"""Dispatch: waiting claims, fairness between owners, lost answers and a stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runsvc.commit.candidates import Wanted
from runsvc.commit.group_commit import Committed, GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core.errors import ServerDraining
from runsvc.core.model import RunSpec, RunStatus
from runsvc.store.memory import MemoryStore
from runsvc.usecases.dispatch import Claim, Dispatch
from runsvc.usecases.manager import RunManager
from runsvc.wire.codec import RunCodec
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from runsvc.core.model import Run

CODEC = RunCodec()


class World:
    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.writer = Writer(GroupCommit(store.writing, CODEC), self._publish)
        self.manager = RunManager(self.writer, store.reading, CODEC, max_active_per_thread=10_000)
        self.dispatch = Dispatch(self.writer)

    def _publish(self, committed: Committed) -> None:
        self.dispatch.publish(committed)

    async def create(self, owner: str = "o", **spec: Any) -> Run:
        wanted = RunSpec(thread_id="t", assistant_id="a", **spec)
        return (await self.manager.create(owner, wanted, None)).run

    async def claim(
        self, worker: str = "w", *, runs: int = 1, wait: float = 0, owner: str | None = None
    ) -> Sequence[Run]:
        wanted = Wanted(worker, ("a",), owner)
        claim = Claim(wanted, runs, timedelta(seconds=30), wait, None)
        return [claimed.run for claimed in (await self.dispatch.claim(claim)).runs]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    store = MemoryStore()
    await store.open()
    world = World(store)
    yield world
    await world.writer.close()


async def test_owners_take_turns_however_many_runs_each_has(world: World) -> None:
    for _ in range(40):
        await world.create("big")
    for _ in range(5):
        await world.create("small")
        await world.create("late")
    first = Counter(run.owner for run in await world.claim(runs=15))
    assert first == {"big": 5, "small": 5, "late": 5}
    # An owner who comes later does not wait behind all the runs of the others.
    await world.create("new")
    assert "new" in {run.owner for run in await world.claim(runs=2)}
    assert len(await world.claim(runs=32)) == 32


async def test_turns_are_the_same_after_a_restart(world: World) -> None:
    for owner in ("big", "big", "big", "small"):
        await world.create(owner)
    again = World(world.store)
    await again.create("small")
    taken = [run.owner for run in await again.claim(runs=5)]
    await again.writer.close()
    assert sorted(taken[:4]) == ["big", "big", "small", "small"]


async def test_a_claim_takes_only_runs_of_its_scope(world: World) -> None:
    await world.create("other")
    mine = await world.create("mine")
    assert [run.run_id for run in await world.claim(runs=9, owner="mine")] == [mine.run_id]


async def test_a_run_with_a_holder_goes_to_its_holder_only(world: World) -> None:
    await world.create(worker_id="w2")
    assert await world.claim("w") == []
    assert len(await world.claim("w2")) == 1


def count_answers(world: World) -> Counter[type]:
    """Count the commands that the writer has answered from now on, by type."""
    answered: Counter[type] = Counter()
    submit = world.writer.submit

    async def counting(command: Any) -> Any:
        answer = await submit(command)
        answered[type(command)] += 1
        return answer

    world.writer.submit = counting  # type: ignore[method-assign]
    return answered


async def test_one_run_wakes_one_claim_and_the_others_go_on_waiting(world: World) -> None:
    answered = count_answers(world)
    waiting = [asyncio.create_task(world.claim(f"w{n}", wait=20)) for n in range(50)]
    await until(lambda: answered.total() == 50)
    assert world.dispatch.waiting == 50
    await world.create()
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(pending)) == (1, 49)
    # The creation and the claim of the one that was woken.
    assert answered.total() == 52
    assert done == {waiting[0]}
    world.dispatch.drain()
    for each in pending:
        with pytest.raises(ServerDraining):
            await each
    with pytest.raises(ServerDraining):
        await world.claim()


async def test_a_run_whose_claimer_left_is_given_back(world: World) -> None:
    """Whether the claim was dropped, or had taken the run already: another worker gets it."""
    for _ in range(20):
        run = await world.create()
        gone = asyncio.create_task(world.claim("gone"))
        await asyncio.sleep(0)
        gone.cancel()
        (again,) = await world.claim("w", wait=20)
        assert (again.run_id, again.worker_id) == (run.run_id, "w")
        assert again.status is RunStatus.RUNNING


async def test_a_claim_that_leaves_after_its_wake_up_passes_it_on(world: World) -> None:
    answered = count_answers(world)
    waiting = [asyncio.create_task(world.claim(f"w{n}", wait=20)) for n in range(2)]
    await until(lambda: answered.total() == 2)
    await world.create()
    waiting[0].cancel()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    taken = [run for each in done if isinstance(each, list) for run in each]
    if not taken:
        taken = list(await world.claim(wait=20))
    assert len(taken) == 1
