"""Fan-out: the order and the pace in which watchers are woken.

To wake one costs next to nothing; what it then sends takes the event loop some 30 µs, and ten thousand that are awake
at once hold everything else up. So a few are woken at a time, and while calls keep coming there is a pause after each
few: only a pace well below what the loop can do leaves room for calls, however often it looks for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from runsvc.watch.cursor import Cursor

#: So few are woken at once, whoever else waits: a run that one client follows is not held up by one that all follow.
FEW: Final = 4
#: Watchers that are woken in one turn of the loop while no calls come.
STRIDE: Final = 64
#: Watchers that are woken at once while calls come, and the seconds until the next are.
STEP: Final = 40
PAUSE: Final = 0.002
#: Seconds after a call for which others are expected.
ALERT: Final = 0.02


class FanOut:
    """Wakes watchers, first come, first served, each once however many changes there were in the meantime."""

    def __init__(self, calls: Callable[[], int]) -> None:
        #: How many calls have come so far, of those that somebody waits for.
        self._calls = calls
        self._seen = 0
        self._alert_until = 0.0
        #: Those of the present round, and those that were told of since it began.
        self._round: deque[Cursor] = deque()
        self._next: dict[Cursor, None] = {}
        self._going = False

    def wake(self, cursors: Collection[Cursor]) -> None:
        """Wake these, some at once and the others as time allows."""
        if len(cursors) <= FEW:
            for cursor in cursors:
                cursor.wake()
            return
        self._next.update(dict.fromkeys(cursors))
        if not self._going:
            # Whoever came before is who made the change.
            self._seen = self._calls()
            self._go()

    def _go(self) -> None:
        loop = asyncio.get_running_loop()
        pressed = self._is_pressed(loop.time())
        for _ in range(STEP if pressed else STRIDE):
            if not self._round:
                self._round.extend(self._next)
                self._next.clear()
            if not self._round:
                self._going = False
                return
            self._round.popleft().wake()
        self._going = True
        if pressed:
            loop.call_later(PAUSE, self._go)
        else:
            loop.call_soon(self._go)

    def _is_pressed(self, now: float) -> bool:
        calls, seen = self._calls(), self._seen
        self._seen = calls
        if calls != seen:
            self._alert_until = now + ALERT
            return True
        return now < self._alert_until
