"""Since when renewals have been taken without a break: only that time counts against a lease.

A break is whatever keeps a worker's sign of life from being committed, or makes it seem late: the server was down,
stopped or held up, the store did not work, the clock was set forward. After it every lease has a whole ttl once more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from runsvc.model import Lease
    from runsvc.timekeeper import Timekeeper

#: How late the service may be without its counting as a break. The shortest lease, one second, bears more when it is
#: renewed every third of it.
TOLERANCE: Final = timedelta(seconds=0.5)


class Counted(NamedTuple):
    """What time it is, by the last beat and by what has passed since, and how much of it counts."""

    at: datetime
    #: For how long renewals have been taken.
    served: timedelta
    #: For how long the clock has not been set forward.
    steady: timedelta


class Beat(NamedTuple):
    """A moment at which the store did its work: by the store's time, and in seconds that only pass."""

    time: datetime
    monotonic: float


class Serving:
    """Hears of failures, and measures beats. Lives on the event loop; the writer's thread may look at `broken`."""

    def __init__(self, timekeeper: Timekeeper, interval: timedelta) -> None:
        self._timekeeper = timekeeper
        #: Longest time between two beats that is no break.
        self._longest = interval + TOLERANCE
        self._last: Beat | None = None
        self._served_since: datetime | None = None
        #: None: for as long as anyone can tell.
        self._steady_since: datetime | None = None
        #: By how much the clock was set forward, all in all.
        self.set_forward = timedelta(0)
        #: Renewals are not taken, as far as is known.
        self.broken = True

    def interrupt(self) -> None:
        """A break begins, and lasts until the next beat."""
        self.broken = True

    def moment(self, time: datetime) -> Beat:
        """The moment at which it is this time in the store; a beat if it is committed."""
        return Beat(time, self._timekeeper.monotonic())

    def beat(self, beat: Beat) -> None:
        """The store did its work. Ends a break, and tells of one when the beat is late, by itself or in its answer."""
        delay = self._since(beat)
        if self._last is not None:
            passed = timedelta(seconds=beat.monotonic - self._last.monotonic)
            shift = beat.time - self._last.time - passed
            is_set = shift > TOLERANCE
            if is_set:
                self._steady_since = beat.time
                self.set_forward += shift
            self.broken |= is_set or passed > self._longest or delay > TOLERANCE
        if self.broken:
            self._served_since = beat.time + delay
        self._last, self.broken = beat, False

    def counted(self) -> Counted | None:
        """What time it is and how much of it counts; None before the first beat."""
        if self._last is None or self._served_since is None:
            return None
        passed = self._since(self._last)
        at = self._last.time + passed
        served = timedelta(0) if self.broken or passed > self._longest else at - self._served_since
        steady = at - self._steady_since if self._steady_since else timedelta.max
        return Counted(at, served, steady)

    def left(self, lease: Lease) -> float:
        """For how many seconds a lease holds if nobody renews it; 0 once it is over."""
        if (counted := self.counted()) is None:
            return lease.ttl.total_seconds()
        left = max(lease.expires_at - counted.at, lease.ttl - counted.served)
        return max(left.total_seconds(), 0.0)

    def _since(self, beat: Beat) -> timedelta:
        return timedelta(seconds=self._timekeeper.monotonic() - beat.monotonic)
