"""Which calls are made again, how often and after what pause. Decisions alone: no call is made here."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Final

from google.protobuf.descriptor_pb2 import MethodOptions

from runsvc.client.error import Unavailable
from runsvc.v1 import admin_service_pb2, run_service_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runsvc.client.error import RunError

#: How often a call is made at most.
ATTEMPTS: Final = 4

#: The first pause and the longest, in seconds.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0


def is_repeatable(request: Message) -> bool:
    """Whether making the call twice does what making it once does: reads, and creations that name their request."""
    return request.DESCRIPTOR.full_name in _READS or bool(getattr(request, "request_id", ""))


class Backoff:
    """Pauses between attempts: 50 ms, doubling to 2 s, each shortened by up to half, so that clients part."""

    def __init__(self) -> None:
        self._longest = _FIRST_PAUSE

    def reset(self) -> None:
        """Start from the shortest again."""
        self._longest = _FIRST_PAUSE

    def pause(self, error: RunError) -> float:
        """Seconds until the next attempt; what the server asked for comes on top."""
        longest = self._longest
        self._longest = min(2 * longest, _LONGEST_PAUSE)
        return random.uniform(longest / 2, longest) + (error.retry_after or 0)


class Attempts:
    """The attempts at one call, which all have to fit into its deadline."""

    def __init__(self, request: Message, timeout: float) -> None:
        self._request = request
        self._end = time.monotonic() + timeout
        self._made = 0
        self._backoff = Backoff()

    def left(self) -> float | None:
        """The deadline of the next attempt, in seconds. None: no limit."""
        return None if self._end == math.inf else self._end - time.monotonic()

    def pause(self, error: RunError) -> float | None:
        """Seconds until the next attempt after a failed one. None: that was the last."""
        self._made += 1
        if self._made >= ATTEMPTS or not isinstance(error, Unavailable):
            return None
        if not is_repeatable(self._request):
            return None
        pause = self._backoff.pause(error)
        return pause if time.monotonic() + pause < self._end else None


def _reads() -> frozenset[str]:
    """The requests of all methods that the protos say have no side effects."""
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
