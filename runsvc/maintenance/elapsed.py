"""How elapsed time counts towards the expiry of leases, attachments and timeouts. Pure arithmetic.

During an outage, workers cannot renew their leases, or their renewals seem late: the server was down or suspended, the
store failed, or the clock was set forward. After an outage, every lease lasts for its full ttl again.

A delay is a short period in which the service was slow. Its length does not count, and a lease that may have expired
because of the delay is treated as after an outage. Frequent delays thus do not keep the runs of dead workers alive.

Timeouts keep running during an outage. They are extended only by the steps by which the clock was set forward.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.core.model import Lease
    from runsvc.core.terms import Limit

#: A delay can prevent the renewal of a lease if the ttl is at most this multiple of the delay.
_AT_RISK_FACTOR: Final = 3


class Delay(NamedTuple):
    """A period in which the service was slow."""

    end: datetime
    length: timedelta


class Step(NamedTuple):
    """A step of the clock: it was set forward, by `length` to `end`."""

    end: datetime
    length: timedelta


class Elapsed(NamedTuple):
    """The time, and the parts of the past that do not count."""

    now: datetime
    #: Time since the last outage: renewals were accepted throughout, if sometimes late.
    since_outage: timedelta
    #: Time since the last outage or delay.
    since_delay: timedelta
    #: Delays since the last outage, oldest first.
    delays: Sequence[Delay] = ()
    #: Steps of the clock, oldest first.
    steps: Sequence[Step] = ()

    def lease_end(self, lease: Lease) -> datetime:
        """Return the time at which a lease ends unless it is renewed: its expires_at, or later."""
        renewed_at = lease.expires_at - lease.ttl
        lost = timedelta(0)
        for delay in reversed(self.delays):
            if delay.end <= renewed_at:
                break
            if lease.ttl <= _AT_RISK_FACTOR * delay.length:
                return max(lease.expires_at, delay.end + lease.ttl) + lost
            lost += delay.length
        return max(lease.expires_at, self.now - self.since_outage + lease.ttl) + lost

    def limit_end(self, limit: Limit) -> datetime:
        """Return the time at which a timeout ends, extended by the steps of the clock since its start."""
        # Times within a step never occurred, and its ends are not known to the microsecond. So a timeout started
        # before the step if its start lies before the middle of the step.
        steps = takewhile(
            lambda step: limit.since <= step.end - step.length / 2, reversed(self.steps)
        )
        return limit.since + limit.length + sum((step.length for step in steps), timedelta(0))

    def cutoff(self, grace: timedelta, longest_grace: timedelta) -> datetime:
        """Return the cutoff: a grace period is over now if its stored end is at or before this time.

        It is earlier than now by the delays within the last `grace`, and by the steps of the clock within the last
        `longest_grace`.
        """
        return (
            self.now
            - _lost(self.delays, self.now, grace)
            - _lost(self.steps, self.now, longest_grace)
        )


def _lost(periods: Sequence[Delay | Step], now: datetime, term: timedelta) -> timedelta:
    """Return the total length of the periods within a term that ends now and does not count them."""
    lost = timedelta(0)
    for period in reversed(periods):
        if period.end <= now - lost - term:
            break
        lost += period.length
    return lost
