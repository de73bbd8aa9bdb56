"""Pauses between attempts to connect, so that a database that starts is not flooded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

#: The first and the longest pause, in seconds.
_FIRST: Final = 0.1
_LONGEST: Final = 2.0


class BackOff:
    """Each failed attempt doubles the pause. Within it, attempts fail at once with the last failure."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._pause = 0.0
        self._until = 0.0
        self._failure = ""

    def check(self) -> None:
        """Raise StoreUnavailable within a pause."""
        if self._pause and self._monotonic() < self._until:
            raise StoreUnavailable(self._failure)

    def failed(self, failure: str) -> None:
        """Note a failed attempt."""
        self._pause = min(max(_FIRST, self._pause * 2), _LONGEST)
        self._until = self._monotonic() + self._pause
        self._failure = failure

    def succeeded(self) -> None:
        """Note a successful attempt."""
        self._pause = 0.0
