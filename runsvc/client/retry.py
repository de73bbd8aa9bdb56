"""Which calls are retried, how often, and after which pause. No call is made here."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Final

from google.protobuf.descriptor_pb2 import MethodOptions
from grpc import StatusCode

from runsvc.client.error import RunError, Unavailable
from runsvc.client.lengths import deadline
from runsvc.v1 import admin_service_pb2, run_service_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

#: Maximum number of attempts at a call.
ATTEMPTS: Final = 4

#: The first and the longest pause, in seconds.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
#: The longest pause that a server can ask for, in seconds. A wait cannot be of any length.
_LONGEST_ASKED: Final = 86_400.0


def is_repeatable(request: Message) -> bool:
    """Return whether a call can be repeated safely: reads, and creations with a request_id."""
    return request.DESCRIPTOR.full_name in _READS or bool(getattr(request, "request_id", ""))


class Backoff:
    """Pauses between attempts: 50 ms, doubling to 2 s, each shortened at random by up to half.

    The jitter keeps clients from reconnecting at the same moment.
    """

    def __init__(self) -> None:
        self._longest = _FIRST_PAUSE

    def reset(self) -> None:
        """Start again with the first pause."""
        self._longest = _FIRST_PAUSE

    def pause_after(self, error: RunError) -> float:
        """Return the seconds until the next attempt, plus the pause that the server asked for."""
        longest = self._longest
        self._longest = min(2 * longest, _LONGEST_PAUSE)
        asked = min(max(error.retry_after or 0, 0), _LONGEST_ASKED)
        return random.uniform(longest / 2, longest) + asked


class Attempts:
    """The attempts at one call, all within its deadline."""

    def __init__(self, request: Message, timeout: float) -> None:
        self._request = request
        self._end = time.monotonic() + deadline(timeout)
        self._made = 0
        self._backoff = Backoff()

    def time_left(self) -> float | None:
        """Return the deadline of the next attempt in seconds. None is no limit. Raise RunError if it has passed."""
        if self._end == math.inf:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            message = "The deadline passed before the call was sent."
            raise RunError(StatusCode.DEADLINE_EXCEEDED, message=message, from_transport=True)
        return left

    def pause_after(self, error: RunError) -> float | None:
        """Return the seconds until the next attempt. None after the last one."""
        self._made += 1
        if self._made >= ATTEMPTS or not _is_transient(error):
            return None
        if not is_repeatable(self._request):
            return None
        pause = self._backoff.pause_after(error)
        return pause if time.monotonic() + pause < self._end else None


def _is_transient(error: RunError) -> bool:
    """Return whether the server is unavailable, or was overloaded and named a time for the next attempt."""
    if isinstance(error, Unavailable):
        return True
    return error.reason == "OVERLOADED" and error.retry_after is not None


def _reads() -> frozenset[str]:
    """Return the request types of all methods that the protos mark as free of side effects."""
    services = (
        run_service_pb2.DESCRIPTOR.services_by_name["RunService"],
        admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"],
    )
    return frozenset(
        method.input_type.full_name
        for service in services
        for method in service.methods
        if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    )


_READS: Final = _reads()
