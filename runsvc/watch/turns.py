"""Turns: watches that have much to send do so a few at a time, so that calls keep their share of the event loop.

Each turn is for one chunk of events. Every event that a watch sends is a step of the event loop: if a thousand watches
sent their snapshots at once, a call would wait for a thousand of these steps before each of its own. A watch that has
few events, such as one that follows a broadcast, needs no turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

#: Events that a watch sends without a turn.
FEW: Final = 4
#: Watches that send at the same time. Fewer would leave the event loop idle while the transport sends.
AT_ONCE: Final = 8
#: Seconds after which a turn ends by itself: its client takes nothing, and must not delay others.
PATIENCE: Final = 0.1


class Turns:
    """Gives turns in the order in which they were asked for. Lives on the event loop."""

    def __init__(self, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self._free = at_once
        self._patience = patience
        self._waiting: deque[asyncio.Future[Turn]] = deque()

    async def take(self) -> Turn:
        """Wait for a turn. The caller ends it."""
        if self._free and not self._waiting:
            return self._given()
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                # It was given in the same step of the event loop.
                future.result().end()
            raise

    def give_next(self) -> None:
        """Give a turn that has ended to the next watch that waits."""
        self._free += 1
        while self._waiting:
            if not (future := self._waiting.popleft()).done():
                future.set_result(self._given())
                return

    def _given(self) -> Turn:
        self._free -= 1
        return Turn(self, self._patience)


class Turn:
    """The right to send a chunk, until `end` or until the patience is over."""

    __slots__ = ("_timer", "_turns")

    def __init__(self, turns: Turns, patience: float) -> None:
        self._turns: Turns | None = turns
        self._timer = asyncio.get_running_loop().call_later(patience, self.end)

    def end(self) -> None:
        """Let the next watch send. Do nothing if the turn has ended."""
        turns, self._turns = self._turns, None
        if turns is not None:
            self._timer.cancel()
            turns.give_next()
