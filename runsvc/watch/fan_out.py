"""Fan-out: the order and the pace in which watchers are woken.

A wake-up itself costs next to nothing. The sending that follows takes the event loop some 30 µs per watcher, and ten
thousand watchers woken at once would block everything else. So watchers are woken in batches. While calls arrive, there
is a pause after each batch: only a pace well below the capacity of the loop leaves room for calls, however often the
loop polls for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Wakeable(Protocol):
    """A watcher that waits for changes."""

    def wake(self) -> None:
        """End its wait."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How many watchers are woken at once, and how often."""

    #: A group of up to this size is woken immediately, ahead of all waiting watchers: a change that concerns one client
    #: does not wait for a change that concerns everyone.
    immediate: int = 4
    #: Watchers per turn of the event loop while no calls arrive.
    idle_batch: int = 64
    #: Watchers per batch while calls arrive, and the seconds between two batches.
    busy_batch: int = 40
    busy_pause: float = 0.002
    #: Seconds after a call during which further calls are expected.
    busy_period: float = 0.02


def no_calls() -> int:
    """The call count of a server without calls."""
    return 0


class FanOut:
    """Wakes watchers in the order of their first change; a waiting watcher is woken once for several changes."""

    def __init__(self, count_calls: Callable[[], int] = no_calls, pace: Pace | None = None) -> None:
        """count_calls returns the number of calls so far that a client waits for; streams do not count."""
        self._count_calls = count_calls
        self._pace = pace or Pace()
        self._calls_seen = 0
        self._busy_until = 0.0
        #: Watchers of the present round, and those with changes since it began.
        self._round: deque[Wakeable] = deque()
        self._next_round: dict[Wakeable, None] = {}
        self._is_running = False

    def wake(self, watchers: Collection[Wakeable]) -> None:
        """Wake a small group immediately, and a large one in batches."""
        if len(watchers) <= self._pace.immediate:
            for watcher in watchers:
                watcher.wake()
            return
        self._next_round.update(dict.fromkeys(watchers))
        if not self._is_running:
            # Earlier calls do not count: one of them made this very change.
            self._calls_seen = self._count_calls()
            self._wake_batch()

    def _wake_batch(self) -> None:
        loop, pace = asyncio.get_running_loop(), self._pace
        is_busy = self._is_busy(loop.time())
        for _ in range(pace.busy_batch if is_busy else pace.idle_batch):
            if not self._round:
                self._round.extend(self._next_round)
                self._next_round.clear()
            if not self._round:
                self._is_running = False
                return
            self._round.popleft().wake()
        self._is_running = True
        if is_busy:
            loop.call_later(pace.busy_pause, self._wake_batch)
        else:
            loop.call_soon(self._wake_batch)

    def _is_busy(self, now: float) -> bool:
        calls, seen = self._count_calls(), self._calls_seen
        self._calls_seen = calls
        if calls != seen:
            self._busy_until = now + self._pace.busy_period
            return True
        return now < self._busy_until
