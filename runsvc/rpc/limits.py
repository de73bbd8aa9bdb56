"""Limits of the calls of one owner, and of all together. They are checked before a call does any work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.errors import RateExceeded, TooManyCalls, TooManyWatches
from runsvc.rpc.holds import Holds

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.auth.caller import Caller
    from runsvc.rpc.in_flight import InFlight

#: Seconds of its rate that an owner may save up for a burst.
BURST: Final = 1.0
#: The same for calls that keep runs alive or end them: the load of other calls does not use up their share.
URGENT_BURST: Final = 2.0
URGENT: Final = frozenset(
    f"/runsvc.v1.RunService/{name}"
    for name in ("Heartbeat", "SetStatus", "Complete", "AcknowledgeCancel", "Cancel")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """The limits; None for none."""

    #: Unary calls under way.
    max_calls: int | None = None
    #: Calls per second of one owner.
    max_rate_per_owner: int | None = None
    #: Watches of one owner.
    max_watches_per_owner: int | None = None

    @property
    def any(self) -> bool:
        """True if there is a limit."""
        limits = self.max_calls, self.max_rate_per_owner, self.max_watches_per_owner
        return any(limit is not None for limit in limits)


class Limits:
    """Refuses calls beyond the limits. Calls for every owner count towards no owner. Lives on the event loop."""

    def __init__(
        self,
        settings: LimitSettings,
        in_flight: InFlight,
        now: Callable[[], float] = monotonic,
        holds: Holds | None = None,
    ) -> None:
        self._settings = settings
        self._in_flight = in_flight
        self._rates = Rates(settings.max_rate_per_owner, now)
        self._watches: Counter[str] = Counter()
        self._holds = holds or Holds()

    async def admit(self, caller: Caller, method: str, context: Any, *, is_stream: bool) -> None:
        """Count a call. Raise TooManyCalls, RateExceeded, TooManyWatches."""
        if not is_stream:
            self._check_calls()
        owner = caller.scope
        if owner is None:
            return
        if not self._rates.take(owner, URGENT_BURST if method in URGENT else BURST):
            await self._holds.hold(context)
            raise RateExceeded(owner, self._settings.max_rate_per_owner or 0)
        if is_stream:
            self._count_watch(owner, context)

    def _check_calls(self) -> None:
        limit, in_flight = self._settings.max_calls, self._in_flight
        # The call itself is among the active ones.
        if limit is None:
            return
        if in_flight.active - in_flight.active_streams - self._holds.held > limit:
            raise TooManyCalls(limit)

    def _count_watch(self, owner: str, context: Any) -> None:
        limit = self._settings.max_watches_per_owner
        if limit is None:
            return
        if self._watches[owner] >= limit:
            raise TooManyWatches(owner, limit)
        self._watches[owner] += 1
        context.add_done_callback(lambda _: self._forget_watch(owner))

    def _forget_watch(self, owner: str) -> None:
        self._watches[owner] -= 1
        if not self._watches[owner]:
            del self._watches[owner]


class Rates:
    """A token bucket for each owner, as one number: the time at which the bucket is full again."""

    def __init__(self, rate: int | None, now: Callable[[], float]) -> None:
        """`rate` is in calls per second; None for no limit."""
        self._interval = 0.0 if rate is None else 1 / rate
        self._now = now
        self._full_at: dict[str, float] = {}
        self._next_sweep = 0.0

    def take(self, owner: str, burst: float) -> bool:
        """Take a token. Return False if there is none; `burst` is the size of the bucket in seconds of the rate."""
        if not self._interval:
            return True
        now = self._now()
        if now >= self._next_sweep:
            self._sweep(now)
        full_at = max(self._full_at.get(owner, now), now)
        # A bucket has room for one token at least.
        if full_at - now + self._interval > max(burst, self._interval):
            return False
        self._full_at[owner] = full_at + self._interval
        return True

    def __len__(self) -> int:
        return len(self._full_at)

    def _sweep(self, now: float) -> None:
        """Forget full buckets. There are never more than calls within two bursts."""
        self._next_sweep = now + URGENT_BURST
        self._full_at = {owner: at for owner, at in self._full_at.items() if at > now}
