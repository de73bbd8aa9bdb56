"""Fan-out: who is woken when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from runsvc.watch import fan_out
from runsvc.watch.fan_out import FEW, STEP, STRIDE, FanOut

if TYPE_CHECKING:
    import pytest

    from runsvc.watch.cursor import Cursor


class House:
    """A fan-out, and what became of the cursors that it was told to wake: each is a number."""

    def __init__(self) -> None:
        self.calls = 0
        self.woken: list[int] = []
        self._fan_out = FanOut(lambda: self.calls)
        self._cursors: dict[int, Cursor] = {}

    def wake(self, *numbers: int) -> None:
        self._fan_out.wake([self._cursor(number) for number in numbers])

    def _cursor(self, number: int) -> Cursor:
        return self._cursors.setdefault(number, cast("Cursor", _Sleeper(self, number)))


class _Sleeper:
    def __init__(self, house: House, number: int) -> None:
        self._house = house
        self._number = number

    def wake(self) -> None:
        self._house.woken.append(self._number)


async def turns(count: int = 1) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_few_are_woken_before_the_call_returns() -> None:
    house = House()
    house.wake(*range(STRIDE))
    assert house.woken == list(range(STRIDE))
    house.wake(*range(FEW + 1))
    await turns()
    assert house.woken[STRIDE:] == list(range(FEW + 1))


async def test_of_many_the_others_are_woken_in_turn() -> None:
    house = House()
    house.wake(*range(3 * STRIDE))
    for strides in (1, 2, 3):
        assert house.woken == list(range(strides * STRIDE))
        await turns()


async def test_whoever_waits_already_is_not_woken_twice() -> None:
    house = House()
    house.wake(*range(STRIDE + 2))
    others = range(1_000, 1_001 + FEW)
    for _ in range(3):
        house.wake(*others)
    await turns(3)
    assert house.woken[STRIDE:] == [STRIDE, STRIDE + 1, *others]


async def test_a_few_do_not_wait_for_many() -> None:
    house = House()
    house.wake(*range(3 * STRIDE))
    others = range(1_000, 1_000 + FEW)
    house.wake(*others)
    assert house.woken == [*range(STRIDE), *others]


async def test_while_calls_come_there_is_a_pause_after_each_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fan_out, "PAUSE", 1_000)
    house = House()
    # Who made the change is no reason to wait.
    house.calls += 1
    house.wake(*range(10 * STRIDE))
    house.calls += 1
    await turns(20)
    assert len(house.woken) == STRIDE + STEP


async def test_after_the_pauses_everyone_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "PAUSE", 0)
    monkeypatch.setattr(fan_out, "ALERT", 1_000)
    house = House()
    house.wake(*range(10 * STRIDE))
    house.calls += 1
    async with asyncio.timeout(30):
        while len(house.woken) < 10 * STRIDE:
            await turns()
    assert house.woken == list(range(10 * STRIDE))


async def test_once_calls_stop_it_goes_on_without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "ALERT", 0)
    monkeypatch.setattr(fan_out, "PAUSE", 0)
    house = House()
    house.wake(*range(4 * STRIDE))
    house.calls += 1
    async with asyncio.timeout(30):
        while len(house.woken) == STRIDE:
            await turns()
        assert len(house.woken) == STRIDE + STEP
        while len(house.woken) == STRIDE + STEP:
            await turns()
    assert len(house.woken) == 2 * STRIDE + STEP
