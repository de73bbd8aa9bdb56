"""The lease clock: detects outages, delays and steps of the clock from the beats of the service.

A beat is a moment at which the store worked. Beats are due at a fixed interval, so a late one shows a delay or an
outage. The module `elapsed` defines these terms.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.maintenance.elapsed import Delay, Elapsed, Step

if TYPE_CHECKING:
    from datetime import datetime

    from runsvc.core.model import Lease
    from runsvc.timekeeper import Timekeeper

#: Lateness that does not count as a delay. Even a lease of one second, the shortest, allows more.
TOLERANCE: Final = timedelta(seconds=0.5)
#: The longest delay. A longer one is an outage.
LONGEST_DELAY: Final = timedelta(seconds=2)
#: Maximum numbers of remembered delays and steps. More than fit into the longest lease are never needed.
_MAX_REMEMBERED: Final = 4_096


class Reading(NamedTuple):
    """The clocks and the state of the service at one moment."""

    #: The store's time.
    time: datetime
    #: Monotonic seconds.
    monotonic: float
    #: The store's time minus the machine's.
    ahead: timedelta
    in_outage: bool


class LeaseClock:
    """Measures the time that counts towards expiry.

    It belongs to the event loop; the writer's thread may only call `read`.
    """

    def __init__(self, timekeeper: Timekeeper, interval: timedelta) -> None:
        self._timekeeper = timekeeper
        #: Time between two beats.
        self._interval = interval
        self._last_beat: Reading | None = None
        self._outage_end: datetime | None = None
        self._delays: tuple[Delay, ...] = ()
        #: Lateness of the answer to the last beat. It counts as a delay already, and also postpones the next beat.
        self._late_answer = timedelta(0)
        self._steps: tuple[Step, ...] = ()
        #: Total length of all steps of the clock.
        self._set_forward = timedelta(0)
        self._has_beat = asyncio.Event()
        self._in_outage = True

    @property
    def in_outage(self) -> bool:
        """True from the first sign of an outage until the next beat."""
        return self._in_outage

    def begin_outage(self) -> None:
        """Note that a renewal could not be committed."""
        self._in_outage = True

    def read(self, time: datetime) -> Reading:
        """Read all clocks now; `time` is the current time of the store. Safe on the writer's thread."""
        ahead = time - self._timekeeper.machine()
        return Reading(time, self._timekeeper.monotonic(), ahead, self._in_outage)

    def record_beat(self, beat: Reading) -> None:
        """Note that the store worked at this reading. Ends an outage; a late beat begins a delay or a new outage."""
        since_beat = self._since(beat)
        late_answer = _lateness(since_beat)
        lost = late_answer + self._lateness_of(beat)
        if (step := self._step_before(beat)) > TOLERANCE:
            self._steps = (*self._steps[1 - _MAX_REMEMBERED :], Step(beat.time, step))
            self._set_forward += step
            self._in_outage = True
        if self._in_outage or lost > LONGEST_DELAY:
            self._outage_end = beat.time + since_beat
            self._delays = ()
        elif lost:
            delay = Delay(beat.time + since_beat, lost)
            self._delays = (*self._delays[1 - _MAX_REMEMBERED :], delay)
        self._last_beat, self._late_answer, self._in_outage = beat, late_answer, False
        self._has_beat.set()

    def elapsed(self) -> Elapsed | None:
        """Return the elapsed time, from the last beat and the time since; None before the first beat."""
        if self._last_beat is None or self._outage_end is None:
            return None
        since_beat = self._since(self._last_beat)
        now, lost = self._last_beat.time + since_beat, self._late_beat(since_beat)
        outage_end, delays = self._outage_end, self._delays
        if self._in_outage or lost > LONGEST_DELAY:
            outage_end = now
        elif lost:
            delays = (*delays, Delay(now, lost))
        delay_end = delays[-1].end if delays else outage_end
        since_delay = now - max(outage_end, delay_end)
        return Elapsed(now, now - outage_end, since_delay, delays, self._steps)

    async def time_without_steps(self) -> datetime:
        """Return the time minus all steps of the clock. Waits for the first beat.

        Removal of old data uses it, because a wrong clock must not remove data that cannot be restored.
        """
        while (elapsed := self.elapsed()) is None:
            await self._has_beat.wait()
        return elapsed.now - self._set_forward

    def seconds_left(self, lease: Lease) -> float:
        """Return the seconds until a lease ends unless it is renewed; 0 if it has ended."""
        if (elapsed := self.elapsed()) is None:
            return lease.ttl.total_seconds()
        return max((elapsed.lease_end(lease) - elapsed.now).total_seconds(), 0.0)

    def seconds_since(self, reading: Reading) -> float:
        """Return the monotonic seconds since a reading."""
        return self._timekeeper.monotonic() - reading.monotonic

    def _since(self, reading: Reading) -> timedelta:
        return timedelta(seconds=self.seconds_since(reading))

    def _lateness_of(self, beat: Reading) -> timedelta:
        if self._last_beat is None:
            return timedelta(0)
        return self._late_beat(_between(self._last_beat, beat))

    def _late_beat(self, since_last: timedelta) -> timedelta:
        """Return the lateness of a beat that follows the last one after this time."""
        return _lateness(since_last - self._interval - self._late_answer)

    def _step_before(self, beat: Reading) -> timedelta:
        """Return the length by which the clock was set forward since the last beat."""
        if self._last_beat is None:
            # The store's time is in the future if the clock was set forward, and back again, before this start.
            return beat.ahead
        return beat.time - self._last_beat.time - _between(self._last_beat, beat)


def _between(one: Reading, other: Reading) -> timedelta:
    return timedelta(seconds=other.monotonic - one.monotonic)


def _lateness(length: timedelta) -> timedelta:
    """Return the length, or 0 if it is tolerable."""
    return length if length > TOLERANCE else timedelta(0)
