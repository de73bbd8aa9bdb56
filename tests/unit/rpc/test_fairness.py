"""Fair turns: which calls start at once, in which order the others start, and which are refused."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from runsvc.core.errors import TooManyWaiting
from runsvc.rpc.fairness import Fairness, Shares
from runsvc.rpc.holds import Holds

CONTEXT: Any = SimpleNamespace(time_remaining=lambda: None)


class Scene:
    """A server whose clock and arrivals a test sets."""

    def __init__(self, **shares: Any) -> None:
        self.now, self.arrived = 100.0, 0
        self.holds = Holds(0.0)
        given: dict[str, Any] = {"free": 2, "pause": 0.0, "longest_gap": 1e9, "batch": 1}
        self.fairness = Fairness(
            lambda: self.arrived, self.holds, lambda: self.now, Shares(**given | shares)
        )
        #: The calls that began, in their order.
        self.begun: list[str] = []

    def call(self, name: str) -> asyncio.Task[None]:
        """A call of the party that the name begins with, which lasts until it is cancelled."""
        return asyncio.create_task(self._call(name))

    async def _call(self, name: str) -> None:
        party, fairness = name[0], self.fairness
        waited = not fairness.may_start(party)
        if waited:
            await fairness.turn(party, CONTEXT)
        self.begun.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            if waited:
                fairness.end(party)

    def contend(self) -> None:
        """Calls of two calm parties, in a window before the present one."""
        self.fairness.may_start("x")
        self.fairness.may_start("y")
        self.now += 1


async def loop_turns(number: int = 50) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def end(*calls: asyncio.Task[None]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


async def test_a_party_that_is_alone_never_waits() -> None:
    scene = Scene()
    for _ in range(1_000):
        scene.now += 0.001
        assert scene.fairness.may_start("a")


async def test_parties_that_all_make_many_calls_do_not_wait() -> None:
    scene = Scene(calm=4)
    for _ in range(1_000):
        scene.now += 0.001
        assert scene.fairness.may_start("a")
        assert scene.fairness.may_start("b")


async def test_a_party_has_some_free_calls_in_each_window() -> None:
    scene = Scene(free=2)
    scene.contend()
    assert [scene.fairness.may_start("a") for _ in range(4)] == [True, True, False, False]
    assert scene.fairness.may_start("b")
    scene.now += 0.06
    assert scene.fairness.may_start("a")


async def test_a_party_is_alone_again_after_a_while() -> None:
    scene = Scene(free=2, contended=5)
    scene.contend()
    assert [scene.fairness.may_start("a") for _ in range(3)] == [True, True, False]
    scene.now += 5.1
    assert all(scene.fairness.may_start("a") for _ in range(100))


async def test_calls_wait_for_a_pause_in_the_arrivals() -> None:
    scene = Scene(free=0)
    scene.contend()
    call = scene.call("a1")
    for _ in range(50):
        scene.arrived += 1
        await asyncio.sleep(0)
    assert scene.begun == []
    await loop_turns()
    assert scene.begun == ["a1"]
    await end(call)


async def test_arrivals_without_a_pause_do_not_hold_calls_up_for_ever() -> None:
    scene = Scene(free=0, longest_gap=1.0)
    scene.contend()
    call = scene.call("a1")
    for _ in range(50):
        scene.arrived += 1
        scene.now += 0.1
        await asyncio.sleep(0)
    assert scene.begun == ["a1"]
    await end(call)


async def test_parties_take_turns() -> None:
    scene = Scene(free=0)
    scene.contend()
    calls = [scene.call(name) for name in ("a1", "a2", "a3", "b1", "b2", "c1")]
    await loop_turns(200)
    assert scene.begun == ["a1", "b1", "c1", "a2", "b2", "a3"]
    await end(*calls)


async def test_a_call_of_another_party_passes_a_flood() -> None:
    scene = Scene(free=1, working=2)
    scene.contend()
    flood = [scene.call(f"a{number}") for number in range(10)]
    await loop_turns(200)
    assert scene.begun == ["a0", "a1", "a2"]
    calm = scene.call("b1")
    await loop_turns(2)
    assert scene.begun[3:] == ["b1"]
    # The next one of the flood begins when an earlier one has ended.
    await end(flood[1])
    await loop_turns()
    assert scene.begun[4:] == ["a3"]
    await end(calm, *flood)


async def test_calls_beyond_the_queue_of_a_party_are_refused() -> None:
    scene = Scene(free=0, working=1, waiting=2)
    scene.contend()
    flood = [scene.call(f"a{number}") for number in range(1)]
    await loop_turns()
    flood += [scene.call(f"a{number}") for number in range(1, 3)]
    await loop_turns()
    with pytest.raises(TooManyWaiting, match="2 of them wait already"):
        await scene.call("a3")
    other = scene.call("b1")
    await loop_turns()
    assert scene.begun == ["a0", "b1"]
    await end(other, *flood)


async def test_a_call_that_is_given_up_loses_its_turn() -> None:
    scene = Scene(free=0, working=1)
    scene.contend()
    calls = [scene.call(f"a{number}") for number in range(4)]
    await loop_turns()
    await end(calls[1], calls[2])
    assert scene.begun == ["a0"]
    await end(calls[0])
    await loop_turns()
    assert scene.begun == ["a0", "a3"]
    await end(calls[3])
    await loop_turns()
    assert scene.fairness.waiting == 0
    # Every call has ended, so another one finds room.
    call = scene.call("a4")
    await loop_turns()
    assert scene.begun[2:] == ["a4"]
    await end(call)


async def test_calls_that_were_given_up_leave_room_in_the_queue() -> None:
    scene = Scene(free=0, working=1, waiting=2)
    scene.contend()
    first = scene.call("a0")
    await loop_turns()
    for _ in range(5):
        given_up = [scene.call(f"a{number}") for number in (1, 2)]
        await loop_turns()
        assert scene.fairness.waiting == 2
        await end(*given_up)
        assert scene.fairness.waiting == 0
    await end(first)


async def test_a_call_that_ends_in_the_moment_of_its_turn_leaves_its_room() -> None:
    scene = Scene(free=0, working=1)
    scene.contend()
    first = scene.call("a0")
    await loop_turns(1)
    # The turn is given, and the task is cancelled before it runs on.
    assert scene.fairness._start() == 1
    first.cancel()
    await loop_turns()
    second = scene.call("a1")
    await loop_turns()
    assert scene.begun == ["a1"]
    await end(second)


async def test_only_a_number_of_refusals_is_held() -> None:
    holds = Holds(longest=60.0, most=1)
    held = asyncio.create_task(holds.hold(CONTEXT))
    await loop_turns(2)
    await holds.hold(CONTEXT)
    assert not held.done()
    assert holds.held == 1
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    assert holds.held == 0
