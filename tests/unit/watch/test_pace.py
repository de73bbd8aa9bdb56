"""The pace of the tail: short pauses only while changes are expected by somebody."""

from __future__ import annotations

import asyncio

from runsvc.watch.pace import LONGEST, SHORTEST, Pace


def pauses(pace: Pace, count: int) -> list[float]:
    return [pace.next_pause() for _ in range(count)]


async def test_pauses_grow_while_nothing_arrives() -> None:
    pace = Pace(lambda: True)
    assert pauses(pace, 6) == [0.01, 0.02, 0.04, 0.08, LONGEST, LONGEST]


async def test_pauses_stay_short_for_a_while_after_a_change() -> None:
    pace = Pace(lambda: True)
    pauses(pace, 9)
    pace.note_rows()
    assert pauses(pace, 3) == [SHORTEST] * 3
    pace._expecting_until = 0.0
    assert pauses(pace, 2) == [2 * SHORTEST, 4 * SHORTEST]


async def test_an_unwatched_log_is_read_slowly() -> None:
    waiting: list[str] = []
    pace = Pace(lambda: bool(waiting))
    pace.note_rows()
    assert pauses(pace, 2) == [LONGEST] * 2
    waiting.append("a watcher")
    pace.note_rows()
    assert pace.next_pause() == SHORTEST


async def test_hints_take_the_place_of_short_pauses() -> None:
    pace = Pace(lambda: True)
    pace.note_rows()
    pace.has_hints = True
    assert pace.next_pause() == LONGEST


async def test_a_poke_ends_the_present_wait_or_the_next_one() -> None:
    pace = Pace(lambda: True)
    pace.next_pause = lambda: 3_600.0  # type: ignore[method-assign]
    async with asyncio.timeout(30):
        pace.poke()
        await pace.wait()
        waiting = asyncio.create_task(pace.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        pace.poke()
        await waiting


async def test_a_wait_ends_by_itself() -> None:
    async with asyncio.timeout(30):
        await Pace(lambda: False).wait()
