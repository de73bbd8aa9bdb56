"""Reports that are repeated: for how long, and after which errors."""

from __future__ import annotations

import time
from typing import Final

from grpc import StatusCode

from runsvc.client.error import RunError
from runsvc.client.retry import Backoff

#: Codes that do not concern the run: the report is repeated. It may have been applied already, for reports are
#: idempotent. UNAUTHENTICATED: the credential has expired, and there will be another one.
_TRANSIENT: Final = frozenset(
    {
        StatusCode.UNAVAILABLE,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.UNKNOWN,
        StatusCode.INTERNAL,
        StatusCode.UNAUTHENTICATED,
    }
)

#: Codes of a report whose contents are invalid, too large, or cannot be encoded.
_CONTENTS: Final = frozenset(
    {
        StatusCode.INVALID_ARGUMENT,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.OUT_OF_RANGE,
        StatusCode.INTERNAL,
        StatusCode.UNKNOWN,
    }
)


class RetryWindow:
    """The time in which a report is repeated."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._backoff = Backoff()

    def pause_after(self, error: RunError) -> float | None:
        """Return the seconds until the next attempt. None if the error is final or the time is over."""
        if not is_transient(error):
            return None
        pause = self._backoff.pause_after(error)
        return pause if time.monotonic() + pause < self._end else None


def is_transient(error: RunError) -> bool:
    """Return whether the same report may succeed later."""
    return error.code in _TRANSIENT


def may_be_refused_contents(error: Exception) -> bool:
    """Return whether a report with less in it may succeed: its text or usage was refused or could not be sent."""
    return not isinstance(error, RunError) or error.code in _CONTENTS
