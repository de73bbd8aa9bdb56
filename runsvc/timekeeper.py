"""The time as the service tells it: the machine's, but it never goes back and never stands still."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NANOS: Final = 1_000_000_000


def ago(length: timedelta, now: datetime) -> datetime:
    """The time so long before now, but none before 1970, when nothing had happened yet."""
    return now - min(length, now - _EPOCH)


class Timekeeper:
    """Follows the machine's clock forward.

    When that was set back, time goes on from where it was at a pace a thousandth too slow, until the machine's clock
    has caught up: whoever waits for a moment waits no longer than he should.
    """

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        #: The time that was told last, and when that was, both in nanoseconds.
        self._told = 0
        self._at = monotonic()

    def now(self, not_before: int = 0) -> int:
        """Microseconds since 1970, not before a time that is on record. Only for one thread at a time."""
        at = self._monotonic()
        gone_on = self._told + (at - self._at) * 999 // 1_000
        self._told, self._at = max(self._wall(), gone_on, not_before * 1_000), at
        return self._told // 1_000

    def machine(self) -> datetime:
        """What the machine's clock says, however it was set."""
        return _EPOCH + timedelta(microseconds=self._wall() // 1_000)

    def monotonic(self) -> float:
        """Seconds that only pass, whatever is done to the machine's clock."""
        return self._monotonic() / _NANOS
