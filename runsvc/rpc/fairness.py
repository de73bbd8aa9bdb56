"""Fair turns: a flood of calls of one party waits in a queue of its own, and delays the calls of others little.

The transport has one queue for the calls of all connections, in the order of their arrival. A flood fills it, and every
other call waits behind the flood. So a call of a party that makes many gives way: it waits until the event loop has
taken over the calls that have arrived, and then for its turn. Calls of parties that make few start at once. A client
that waits for answers sends no further calls meanwhile, because a connection takes a limited number at a time.

A party is the owner for whom a call is made, or the connection of a call for every owner.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runsvc.core.errors import TooManyWaiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.rpc.holds import Holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How much a party may do before its calls give way. Times are in seconds."""

    #: Calls of a party that start at once in each window.
    free: int = 16
    window: float = 0.05
    #: Calls in a window up to which a party is calm, and how long the calls of others give way after one of its calls.
    #: Without a calm party, no call waits.
    calm: int = 16
    contended: float = 10.0
    #: Most calls of a party that wait for their turn, and that are at work after their turn.
    waiting: int = 300
    working: int = 32
    #: Calls that start in one turn, and the pause before the next one, in which the loop takes over arrivals.
    batch: int = 6
    pause: float = 0.001
    #: Longest time between two turns while calls keep arriving.
    longest_gap: float = 0.1


class Fairness:
    """Decides which call starts. Lives on the event loop."""

    def __init__(
        self,
        arrived: Callable[[], int],
        holds: Holds,
        now: Callable[[], float],
        shares: Shares | None = None,
    ) -> None:
        """`arrived` returns the number of calls that the event loop has taken over."""
        self._arrived = arrived
        self._holds = holds
        self._now = now
        self._shares = shares or Shares()
        self._window_end = 0.0
        #: Calls by party in the present window.
        self._calls: dict[str, int] = {}
        self._contended_until = 0.0
        #: By party, in the order of turns.
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._working: Counter[str] = Counter()
        self._is_polling = False
        self._last_turn = 0.0

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return sum(map(len, self._waiting.values()))

    def may_start(self, party: str) -> bool:
        """Count a call. Return whether it may start at once; otherwise `turn` and `end` have to follow."""
        now, shares = self._now(), self._shares
        if now >= self._window_end:
            self._begin_window(now)
        calls = self._calls[party] = self._calls.get(party, 0) + 1
        if party in self._waiting:
            return False
        return calls <= shares.free or now >= self._contended_until

    def _begin_window(self, now: float) -> None:
        calls, shares = self._calls, self._shares
        if len(calls) > 1 and min(calls.values()) <= shares.calm:
            self._contended_until = now + shares.contended
        calls.clear()
        self._window_end = now + shares.window

    async def turn(self, party: str, context: Any) -> None:
        """Wait for the turn of a call. Raise TooManyWaiting."""
        queue = self._waiting.setdefault(party, deque())
        if len(queue) >= self._shares.waiting:
            await self._holds.hold(context)
            raise TooManyWaiting(self._shares.waiting)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._poll_soon()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was its turn, and the call ended in the same moment.
                self.end(party)
            else:
                self._forget(party, queue, turn)
            raise

    def end(self, party: str) -> None:
        """Note the end of a call that had its turn."""
        self._working[party] -= 1
        if self._working[party] <= 0:
            del self._working[party]
        self._poll_soon()

    def _forget(
        self, party: str, queue: deque[asyncio.Future[None]], turn: asyncio.Future[None]
    ) -> None:
        with suppress(ValueError):
            # Absent if its place was passed over meanwhile.
            queue.remove(turn)
        if not queue and self._waiting.get(party) is queue:
            del self._waiting[party]

    def _poll_soon(self) -> None:
        if self._waiting and not self._is_polling:
            self._is_polling = True
            self._last_turn = self._now()
            self._poll_later()

    def _poll_later(self) -> None:
        asyncio.get_running_loop().call_later(self._shares.pause, self._poll, self._arrived())

    def _poll(self, seen: int) -> None:
        """Let calls start if none has arrived since the last look: then the transport holds no others."""
        now = self._now()
        if self._arrived() == seen or now - self._last_turn >= self._shares.longest_gap:
            self._last_turn = now
            # If none can start, the end of a call at work or a new call polls again.
            self._is_polling = self._start() > 0
        if self._is_polling:
            self._poll_later()

    def _start(self) -> int:
        """Start the next calls, one of each party in turn. Return their number."""
        started, before = 0, -1
        while before < started < self._shares.batch:
            before = started
            for party in list(self._waiting):
                if started < self._shares.batch:
                    started += self._start_one(party)
        return started

    def _start_one(self, party: str) -> bool:
        if self._working[party] >= self._shares.working:
            return False
        queue = self._waiting.pop(party)
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self._working[party] += 1
                break
        else:
            return False
        if queue:
            # At the end of the order.
            self._waiting[party] = queue
        return True
