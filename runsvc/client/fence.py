"""The fence of an execution: when its lease may be over, by the executor's own clock."""

from __future__ import annotations

import time
from typing import Final

#: Longest wait between two looks at the clock, in seconds. A wait does not count time in which the machine sleeps.
_LONGEST_WAIT: Final = 1.0

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class RunFenced(Exception):
    """The end of a run whose lease may be over."""

    def __str__(self) -> str:
        return "The executor stopped: no renewal of its lease was confirmed in time."


def now() -> float:
    """Return the time of a monotonic clock in seconds. Where the system has one, it also counts sleep."""
    return time.clock_gettime(_CLOCK)


class Fence:
    """The last confirmed renewal of a lease. Other threads may record renewals."""

    def __init__(self, lease_ttl: float, renewed: float) -> None:
        self._lease_ttl = lease_ttl
        # The server counts from a later moment: when it received the renewal.
        self._renewed = renewed

    def renew(self, sent: float) -> None:
        """Record a renewal that was confirmed. `sent` is the time before it was sent."""
        self._renewed = max(self._renewed, sent)

    @property
    def time_left(self) -> float:
        """Seconds until the lease may be over. Not above 0 if it may be over now."""
        return self._renewed + self._lease_ttl - now()

    @property
    def pause(self) -> float:
        """Seconds until the next look at the clock."""
        return min(max(self.time_left, 0), _LONGEST_WAIT)
