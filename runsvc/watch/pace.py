"""The pace of the tail: how long it waits between two reads of the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: The pauses between two reads, in seconds: the shortest while changes arrive and somebody waits for them, and the
#: longest of an idle server.
SHORTEST: Final = 0.005
LONGEST: Final = 0.1
#: Seconds after a change during which further ones are expected.
EXPECTING: Final = 1.0


class Pace:
    """Decides when to read next. Lives on the event loop."""

    def __init__(self, is_awaited: Callable[[], bool]) -> None:
        """is_awaited returns whether anything waits for changes."""
        self._is_awaited = is_awaited
        self._poked = asyncio.Event()
        self._pause = SHORTEST
        self._expecting_until = 0.0
        #: Hints arrive, so a short pause is not needed.
        self.has_hints = False

    def poke(self) -> None:
        """End the present wait, or else the next one."""
        self._poked.set()

    def note_rows(self) -> None:
        """Note that a read found something."""
        self._expecting_until = asyncio.get_running_loop().time() + EXPECTING
        self._pause = SHORTEST

    def next_pause(self) -> float:
        """The length of the next pause: the shortest while changes are expected, otherwise longer each time."""
        if self.has_hints or not self._is_awaited():
            self._pause = LONGEST
        elif asyncio.get_running_loop().time() >= self._expecting_until:
            self._pause = min(2 * self._pause, LONGEST)
        return self._pause

    async def wait(self) -> None:
        """Wait for the time of the next read."""
        if not self._poked.is_set():
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self.next_pause(), self.poke)
            try:
                await self._poked.wait()
            finally:
                timer.cancel()
        self._poked.clear()
