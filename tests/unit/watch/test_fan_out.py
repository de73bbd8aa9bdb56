"""Fan-out: the order and the pace in which watchers are woken."""

from __future__ import annotations

import asyncio

from runsvc.watch.fan_out import FanOut, Pace

PACE = Pace()


class Harness:
    """A fan-out and numbered watchers; records the wake-ups."""

    def __init__(self, pace: Pace = PACE) -> None:
        self.calls = 0
        self.woken: list[int] = []
        self._fan_out = FanOut(lambda: self.calls, pace)
        self._watchers: dict[int, Watcher] = {}

    def wake(self, *numbers: int) -> None:
        self._fan_out.wake([self._watcher(number) for number in numbers])

    def _watcher(self, number: int) -> Watcher:
        return self._watchers.setdefault(number, Watcher(self, number))


class Watcher:
    def __init__(self, harness: Harness, number: int) -> None:
        self._harness = harness
        self._number = number

    def wake(self) -> None:
        self._harness.woken.append(self._number)


async def turns(count: int = 1) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_first_batch_is_woken_before_the_call_returns() -> None:
    harness = Harness()
    harness.wake(*range(PACE.idle_batch))
    assert harness.woken == list(range(PACE.idle_batch))
    harness.wake(*range(PACE.immediate + 1))
    await turns()
    assert harness.woken[PACE.idle_batch :] == list(range(PACE.immediate + 1))


async def test_each_further_batch_is_woken_in_its_own_loop_turn() -> None:
    harness = Harness()
    harness.wake(*range(3 * PACE.idle_batch))
    for batches in (1, 2, 3):
        assert harness.woken == list(range(batches * PACE.idle_batch))
        await turns()


async def test_a_watcher_that_waits_to_be_woken_is_woken_once() -> None:
    harness = Harness()
    harness.wake(*range(PACE.idle_batch + 2))
    others = range(1_000, 1_001 + PACE.immediate)
    for _ in range(3):
        harness.wake(*others)
    await turns(3)
    assert harness.woken[PACE.idle_batch :] == [PACE.idle_batch, PACE.idle_batch + 1, *others]


async def test_a_few_watchers_do_not_wait_for_many() -> None:
    harness = Harness()
    harness.wake(*range(3 * PACE.idle_batch))
    others = range(1_000, 1_000 + PACE.immediate)
    harness.wake(*others)
    assert harness.woken == [*range(PACE.idle_batch), *others]


async def test_while_calls_arrive_there_is_a_pause_after_each_batch() -> None:
    harness = Harness(Pace(busy_pause=1_000))
    # The call that made the change is no reason for a pause.
    harness.calls += 1
    harness.wake(*range(10 * PACE.idle_batch))
    harness.calls += 1
    await turns(20)
    assert len(harness.woken) == PACE.idle_batch + PACE.busy_batch


async def test_after_the_pauses_every_watcher_is_woken() -> None:
    harness = Harness(Pace(busy_pause=0, busy_period=1_000))
    harness.wake(*range(10 * PACE.idle_batch))
    harness.calls += 1
    async with asyncio.timeout(30):
        while len(harness.woken) < 10 * PACE.idle_batch:
            await turns()
    assert harness.woken == list(range(10 * PACE.idle_batch))


async def test_the_pauses_end_with_the_calls() -> None:
    harness = Harness(Pace(busy_pause=0, busy_period=0))
    idle, busy = PACE.idle_batch, PACE.busy_batch
    harness.wake(*range(4 * idle))
    harness.calls += 1
    async with asyncio.timeout(30):
        while len(harness.woken) == idle:
            await turns()
        assert len(harness.woken) == idle + busy
        while len(harness.woken) == idle + busy:
            await turns()
    assert len(harness.woken) == 2 * idle + busy
