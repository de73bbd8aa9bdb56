"""A machine's clocks under the control of a test."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from runsvc.timekeeper import Timekeeper

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Machine:
    """Clocks that a test advances, and a wall clock that it can set."""

    def __init__(self) -> None:
        self.wall = _nanos(NOON - _EPOCH)
        self.monotonic = 1_000_000_000

    def go_on(self, seconds: float) -> None:
        """Advance both clocks."""
        length = _nanos(timedelta(seconds=seconds))
        self.wall += length
        self.monotonic += length

    def set_clock(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self.wall += _nanos(timedelta(seconds=seconds))

    def timekeeper(self) -> Timekeeper:
        return Timekeeper(lambda: self.wall, lambda: self.monotonic)


def _nanos(length: timedelta) -> int:
    return length // timedelta(microseconds=1) * 1_000


class LiveMachine:
    """The real clocks, with a wall clock that a test can set."""

    def __init__(self) -> None:
        self._shift = 0

    def set_clock(self, seconds: float) -> None:
        """Set the wall clock forward, or back."""
        self._shift += _nanos(timedelta(seconds=seconds))

    def timekeeper(self) -> Timekeeper:
        return Timekeeper(lambda: time.time_ns() + self._shift)
