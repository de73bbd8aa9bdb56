"""Log lines about failed calls, at a limited rate: a full disk under load must not fill up with log lines."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Final

import grpc

from runsvc.core.errors import CorruptRow, OutcomeUnknown, StoreUnavailable, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Failures that need an operator's attention, with their log level. INTERNAL is always an error with its traceback.
_LEVELS: Final = (
    (StoreUnavailable, logging.WARNING),
    (OutcomeUnknown, logging.ERROR),
    (CorruptRow, logging.ERROR),
    (Unauthenticated, logging.WARNING),
)
#: Least seconds between two lines about one kind of failure.
INTERVAL: Final = 1.0


class FailureLog:
    """Writes a line for failures that need attention; at most one per kind and interval."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        #: By kind: the time from which the next line is due, and the failures since the last line.
        self._held: dict[type, tuple[float, int]] = {}

    def record(self, error: BaseException, code: grpc.StatusCode, call: str) -> None:
        """Log a failed call if it needs attention."""
        if code is grpc.StatusCode.INTERNAL:
            logger.error("%s failed", call, exc_info=error)
            return
        for kind, level in _LEVELS:
            if isinstance(error, kind):
                self._record_some(kind, level, f"{call}: {error}")

    def _record_some(self, kind: type, level: int, line: str) -> None:
        now = self._clock()
        until, dropped = self._held.get(kind, (0.0, 0))
        if now < until:
            self._held[kind] = until, dropped + 1
            return
        self._held[kind] = now + INTERVAL, 0
        logger.log(level, "%s%s", line, f" ({dropped} more since the last line)" if dropped else "")
