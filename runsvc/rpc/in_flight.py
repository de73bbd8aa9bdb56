"""The calls under way: their counts, and the waits of a server that drains."""

from __future__ import annotations

import asyncio
from typing import Final

#: Seconds without a new call after which a draining server counts as quiet, and the most rounds of that wait.
INTERVAL: Final = 0.05
_QUIET_ROUNDS: Final = 20
#: Rounds without the end of a stream after which the remaining streams count as stuck: one second.
_STUCK_ROUNDS: Final = 20


class InFlight:
    """Counts calls as they arrive and end. Lives on the event loop; its counters are written by the guard."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        #: Calls that have arrived so far, and the streams among them.
        self.arrived = 0
        self.streams_arrived = 0
        #: Calls under way, and the streams among them.
        self.active = 0
        self.active_streams = 0
        self.is_draining = False
        #: Set once calls that a draining server has received may be refused.
        self.quiet = asyncio.Event()

    def unary_arrived(self) -> int:
        """The number of unary calls so far: each has a caller who waits for one answer."""
        return self.arrived - self.streams_arrived

    async def drain(self) -> None:
        """Hold new calls from now on. Return once calls that were on their way have arrived.

        The transport ends a call that it has received but not yet handed over as CANCELLED, which gives the client no
        reason. The calls that are held are refused by `refuse`.
        """
        self.is_draining = True
        seen, quiet_rounds = -1, 0
        for _ in range(_QUIET_ROUNDS):
            quiet_rounds = quiet_rounds + 1 if seen == self.arrived else 0
            # In one of them a busy loop may not have taken any calls.
            if quiet_rounds == 2:
                break
            seen = self.arrived
            await asyncio.sleep(self._interval)

    def refuse(self) -> None:
        """Refuse the calls that are held, and all further ones."""
        self.quiet.set()

    async def ended_or_stuck(self) -> None:
        """Return once no call is under way but stuck streams: asked to end, none of them has ended for a second.

        A client that does not read cannot be notified, and must not delay the stop.
        """
        remaining, rounds = 0, 0
        while self.active and rounds < _STUCK_ROUNDS:
            is_stuck = self.active == self.active_streams == remaining
            rounds = rounds + 1 if is_stuck else 0
            remaining = self.active_streams
            await asyncio.sleep(self._interval)

    async def ended(self) -> None:
        """Return once no call is under way."""
        while self.active:  # noqa: ASYNC110 - an event would cost every call something.
            await asyncio.sleep(self._interval)
