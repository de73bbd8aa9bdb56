"""The time of the service: the machine's clock, without steps back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NANOS: Final = 1_000_000_000


def ago(length: timedelta, now: datetime) -> datetime:
    """Return the time that is `length` before now, but not before 1970."""
    return now - min(length, now - _EPOCH)


class Timekeeper:
    """Follows the machine's clock, but never goes back.

    After the machine's clock was set back, the time continues from its last value, slower by one thousandth, until the
    machine's clock has caught up. The slowdown is small enough for deadlines to stay accurate.
    """

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        #: The last time that `now` returned, and the monotonic clock at that moment, both in nanoseconds.
        self._last = 0
        self._last_at = monotonic()

    def now(self, not_before: int = 0) -> int:
        """Return the microseconds since 1970, at least `not_before`. For one thread at a time."""
        at = self._monotonic()
        continued = self._last + (at - self._last_at) * 999 // 1_000
        self._last, self._last_at = max(self._wall(), continued, not_before * 1_000), at
        return self._last // 1_000

    def machine(self) -> datetime:
        """Return the time of the machine's clock, however it was set."""
        return _EPOCH + timedelta(microseconds=self._wall() // 1_000)

    def monotonic(self) -> float:
        """Return seconds of a clock that cannot be set."""
        return self._monotonic() / _NANOS
