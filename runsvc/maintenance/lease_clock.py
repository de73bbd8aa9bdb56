"""Which time counts against a lease: since when renewals have been taken, and what was late in between.

A break is whatever keeps a worker's sign of life from being committed, or makes it seem late: the server was down or
stopped, the store did not work, the clock was set forward. After it every lease has a whole ttl once more. A delay is a
moment in which the service was slow. What it took does not count; a lease that it may have cost is treated as after a
break. So a service that is slow again and again still finds out who is dead. Terms that are no leases go on in a break;
by what the clock was set forward, they are longer.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.core.lifecycle import Limit
    from runsvc.core.model import Lease
    from runsvc.timekeeper import Timekeeper

#: How late the service may be without anything being counted off. The shortest lease, one second, bears more when it is
#: renewed every third of it.
TOLERANCE: Final = timedelta(seconds=0.5)
#: How late it may be without its being a break.
LONGEST_DELAY: Final = timedelta(seconds=2)
#: A delay may have cost a lease that is no longer than so many times the delay.
_BEARABLE: Final = 3
#: Delays that are remembered, and steps: as many as can be within the longest lease are more than anyone looks at.
_MOST: Final = 4_096


class Delay(NamedTuple):
    """A moment in which the service was slow: when it was over, and how long it had been."""

    end: datetime
    length: timedelta


class Step(NamedTuple):
    """The clock was set forward: what time it was then, and by how much."""

    end: datetime
    length: timedelta


class Elapsed(NamedTuple):
    """What time it is, by the last beat and by what has passed since, and how much of it counts."""

    at: datetime
    #: For how long renewals have been taken, if sometimes late.
    served: timedelta
    #: For how long nothing has been late.
    prompt: timedelta
    #: Since the last break, oldest first.
    delays: Sequence[Delay] = ()
    #: Oldest first.
    steps: Sequence[Step] = ()

    def end_of(self, lease: Lease) -> datetime:
        """When a lease is over."""
        renewed_at = lease.expires_at - lease.ttl
        lost = timedelta(0)
        for delay in reversed(self.delays):
            if delay.end <= renewed_at:
                break
            if lease.ttl <= _BEARABLE * delay.length:
                return max(lease.expires_at, delay.end + lease.ttl) + lost
            lost += delay.length
        return max(lease.expires_at, self.at - self.served + lease.ttl) + lost

    def over_by(self, term: timedelta, longest: timedelta) -> datetime:
        """By when a term must have ended to be over: so much earlier as was late in the last `term` or so.

        And so much as the clock was set forward in the last `longest`.
        """
        return self.at - _lost(self.delays, self.at, term) - _lost(self.steps, self.at, longest)

    def end_of_limit(self, limit: Limit) -> datetime:
        """When the time for a status is over: later by what the clock was set forward after it had begun."""
        # The times in the middle of a step never were: neither side of it is known to the microsecond.
        steps = takewhile(
            lambda step: limit.since <= step.end - step.length / 2, reversed(self.steps)
        )
        return limit.since + limit.length + sum((step.length for step in steps), timedelta(0))


class Beat(NamedTuple):
    """A moment at which the store did its work: by the store's time, and in seconds that only pass."""

    time: datetime
    monotonic: float
    #: By how much the store's time is ahead of the machine's.
    ahead: timedelta


class LeaseClock:
    """Hears of failures, and measures beats. Lives on the event loop; the writer's thread may look at `broken`."""

    def __init__(self, timekeeper: Timekeeper, interval: timedelta) -> None:
        self._timekeeper = timekeeper
        #: Time between two beats.
        self._interval = interval
        self._last: Beat | None = None
        self._served_since: datetime | None = None
        self._delays: tuple[Delay, ...] = ()
        #: How late the answer to the last beat was: it has been counted off, though it delays the next beat too.
        self._late_answer = timedelta(0)
        self._steps: tuple[Step, ...] = ()
        #: By how much the clock was set forward, all in all.
        self._set_forward = timedelta(0)
        self._begun = asyncio.Event()
        #: Renewals are not taken, as far as is known.
        self.broken = True

    def interrupt(self) -> None:
        """A break begins, and lasts until the next beat."""
        self.broken = True

    def moment(self, time: datetime) -> Beat:
        """The moment at which it is this time in the store; a beat if it is committed."""
        return Beat(time, self._timekeeper.monotonic(), time - self._timekeeper.machine())

    def beat(self, beat: Beat) -> None:
        """The store did its work. Ends a break, and tells of one or of a delay when this comes late."""
        answered = self._since(beat)
        lost = _late(answered)
        if self._last is not None:
            passed = timedelta(seconds=beat.monotonic - self._last.monotonic)
            lost += self._late_beat(passed)
            shift = beat.time - self._last.time - passed
        else:
            # A time on record that has not come yet: the clock was set forward, and back, before this start.
            shift = beat.ahead
        if shift > TOLERANCE:
            self._steps = (*self._steps[1 - _MOST :], Step(beat.time, shift))
            self._set_forward += shift
            self.broken = True
        if self.broken or lost > LONGEST_DELAY:
            self._served_since = beat.time + answered
            self._delays = ()
        elif lost:
            self._delays = (*self._delays[1 - _MOST :], Delay(beat.time + answered, lost))
        self._last, self._late_answer, self.broken = beat, _late(answered), False
        self._begun.set()

    def counted(self) -> Elapsed | None:
        """What time it is and how much of it counts; None before the first beat."""
        if self._last is None or self._served_since is None:
            return None
        passed = self._since(self._last)
        at, lost = self._last.time + passed, self._late_beat(passed)
        since, delays = self._served_since, self._delays
        if self.broken or lost > LONGEST_DELAY:
            since = at
        elif lost:
            delays = (*delays, Delay(at, lost))
        prompt_since = delays[-1].end if delays else since
        return Elapsed(at, at - since, at - max(since, prompt_since), delays, self._steps)

    async def time_without_jumps(self) -> datetime:
        """What time it is, but for what the clock was set forward by: what is dropped by it does not come back.

        Known from the first beat on, which is waited for.
        """
        while (counted := self.counted()) is None:
            await self._begun.wait()
        return counted.at - self._set_forward

    def left(self, lease: Lease) -> float:
        """For how many seconds a lease holds if nobody renews it; 0 once it is over."""
        if (counted := self.counted()) is None:
            return lease.ttl.total_seconds()
        return max((counted.end_of(lease) - counted.at).total_seconds(), 0.0)

    def _late_beat(self, passed: timedelta) -> timedelta:
        """How late a beat is that comes so long after the last one."""
        return _late(passed - self._interval - self._late_answer)

    def _since(self, beat: Beat) -> timedelta:
        return timedelta(seconds=self._timekeeper.monotonic() - beat.monotonic)


def _late(time: timedelta) -> timedelta:
    """By how much something is late, when it is late enough to tell."""
    return time if time > TOLERANCE else timedelta(0)


def _lost(moments: Sequence[Delay | Step], at: datetime, term: timedelta) -> timedelta:
    """How much was lost of a term that is over now, by what counts."""
    lost = timedelta(0)
    for moment in reversed(moments):
        if moment.end <= at - lost - term:
            break
        lost += moment.length
    return lost
