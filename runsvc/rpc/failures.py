"""Which failures of calls the log tells of, and how often: a full disk under load must not fill the disk with words."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Final

import grpc

from runsvc.core.errors import CorruptRow, OutcomeUnknown, StoreUnavailable

logger = logging.getLogger(__name__)

#: Failures that somebody has to look at, and how urgently. INTERNAL is always an error, and has its traceback.
_LEVELS: Final = (
    (StoreUnavailable, logging.WARNING),
    (OutcomeUnknown, logging.ERROR),
    (CorruptRow, logging.ERROR),
)
#: Least time between two lines about one kind of failure, in seconds.
INTERVAL: Final = 1.0


class FailureLog:
    """The log's lines about failed calls."""

    def __init__(self) -> None:
        #: By kind: when it may be told again, and how many were not told since.
        self._held: dict[type, tuple[float, int]] = {}

    def tell(self, error: BaseException, code: grpc.StatusCode, call: str) -> None:
        """Tell of a failed call, when somebody has to look at it."""
        if code is grpc.StatusCode.INTERNAL:
            logger.error("%s failed", call, exc_info=error)
            return
        for kind, level in _LEVELS:
            if isinstance(error, kind):
                self._tell_some(kind, level, f"{call}: {error}")

    def _tell_some(self, kind: type, level: int, line: str) -> None:
        now = monotonic()
        until, untold = self._held.get(kind, (0.0, 0))
        if now < until:
            self._held[kind] = until, untold + 1
            return
        self._held[kind] = now + INTERVAL, 0
        logger.log(level, "%s%s", line, f" ({untold} more since the last line)" if untold else "")
