"""Lengths and times from callers: which are accepted, and how they are sent. All lengths are in seconds."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

#: A longer deadline is no deadline: the transport cannot express every length.
_NO_DEADLINE: Final = 365 * 86_400.0
#: The longest duration of a protobuf message.
_LONGEST: Final = 315_576_000_000.0


def deadline(seconds: float) -> float:
    """Return a call's deadline, math.inf for one of a year or more. Raise ValueError for nan."""
    # An integer may be too large for a float.
    bounded = float(max(min(seconds, _NO_DEADLINE), -_NO_DEADLINE))
    if math.isnan(bounded):
        raise ValueError(
            "timeout is nan. Set it to a number of seconds, or to math.inf for no deadline"
        )
    return math.inf if bounded == _NO_DEADLINE else bounded


def default_deadline(seconds: float, name: str = "timeout") -> float:
    """Return the default deadline of calls. Raise ValueError unless it is greater than 0."""
    if not seconds > 0:
        raise ValueError(f"{name} is {seconds!r}. Set it to a number of seconds greater than 0")
    return deadline(seconds)


def patience(seconds: float, name: str = "outage") -> float:
    """Return how long something is retried; math.inf is for ever. Raise ValueError if it is negative or nan."""
    if not seconds >= 0:
        raise ValueError(f"{name} is {seconds!r}. Set it to 0 seconds or more, or to math.inf")
    return math.inf if seconds > _LONGEST else float(seconds)


def duration(seconds: float | None, name: str) -> timedelta | None:
    """Return a length that is sent to the server. Raise ValueError for one that a message cannot hold."""
    if seconds is None:
        return None
    if not abs(seconds) <= _LONGEST:
        raise ValueError(f"{name} is {seconds!r}. Set it to a number of seconds below {_LONGEST:g}")
    return timedelta(seconds=seconds)


def moment(time: datetime | Timestamp | None) -> datetime | Timestamp | None:
    """Return a time that is sent to the server. Raise ValueError for a datetime without a time zone."""
    if isinstance(time, datetime) and time.utcoffset() is None:
        raise ValueError(f"{time!r} has no time zone. Add one, such as tzinfo=datetime.UTC")
    return time
