"""Turns: a few watches send at a time, in order, and none is left waiting."""

from __future__ import annotations

import asyncio

from runsvc.watch.turns import Turns


async def steps(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_turns_are_given_in_order_as_others_end() -> None:
    turns, given = Turns(2, 60), list[int]()

    async def watch(number: int) -> None:
        turn = await turns.take()
        given.append(number)
        await ends[number].wait()
        turn.end()

    ends = [asyncio.Event() for _ in range(5)]
    watches = [asyncio.create_task(watch(number)) for number in range(5)]
    await steps()
    assert given == [0, 1]
    ends[1].set()
    await steps()
    assert given == [0, 1, 2]
    for end in ends:
        end.set()
    await asyncio.gather(*watches)
    assert given == [0, 1, 2, 3, 4]


async def test_a_turn_ends_by_itself_and_only_once() -> None:
    turns = Turns(1, 0.01)
    first = await turns.take()
    second = await asyncio.wait_for(turns.take(), 30)
    # Too late: the turn is another's.
    first.end()
    third = asyncio.create_task(turns.take())
    await steps()
    assert not third.done()
    second.end()
    (await third).end()


async def test_a_watch_that_leaves_takes_no_turn_with_it() -> None:
    turns = Turns(1, 60)
    held = await turns.take()
    waiting = [asyncio.create_task(turns.take()) for _ in range(3)]
    await steps()
    waiting[0].cancel()
    await steps()
    held.end()
    # It is given to the second one, which is cancelled before it runs.
    waiting[1].cancel()
    (await asyncio.wait_for(waiting[2], 30)).end()
    assert all(each.cancelled() for each in waiting[:2])
