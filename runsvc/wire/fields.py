"""Checks of single fields: ids, enums, texts, sizes, counts and durations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

from runsvc.core.errors import InvalidRequest, Violation
from runsvc.wire.convert import to_datetime, to_timedelta

if TYPE_CHECKING:
    from datetime import datetime
    from enum import IntEnum
    from types import TracebackType

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

    AnyEnum = TypeVar("AnyEnum", bound=IntEnum)

#: The shortest duration that can be represented.
MOMENT: Final = timedelta(microseconds=1)

_NANOS: Final = 1_000_000_000

# Matched in full: `$` would accept a trailing line break.
_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._:@/-]{0,127}")
_ID_FAULT: Final = (
    "must be 1 to 128 letters, digits and any of . _ : @ / -, and must not begin with . : @ or /"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Lengths(NamedTuple):
    """The durations that a field accepts, and the same in words."""

    least: timedelta
    most: timedelta
    words: str


class Fields:
    """Collects the violations of one request, and raises them all at the end of the block.

    A check that finds a fault notes it and returns a valid substitute.
    """

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        if self._violations:
            raise InvalidRequest(tuple(self._violations))

    def fault(self, field: str, description: str) -> None:
        """Note a violation."""
        self._violations.append(Violation(field, description))

    def identifier(self, field: str, value: str) -> str:
        """A required id."""
        if not _ID.fullmatch(value):
            self.fault(field, _ID_FAULT if value else "is required")
        return value

    def optional_identifier(self, message: Message, name: str, prefix: str = "") -> str | None:
        """An id that may be unset."""
        if not message.HasField(name):
            return None
        value: str = getattr(message, name)
        if not _ID.fullmatch(value):
            self.fault(prefix + name, _ID_FAULT)
        return value

    def member(self, field: str, number: int, default: AnyEnum) -> AnyEnum:
        """A member of the default's enum. An unset field gives the default."""
        if not number:
            return default
        try:
            return type(default)(number)
        except ValueError:
            self.fault(field, "has an unknown number")
            return default

    def optional_text(self, message: Message, name: str, limit: int) -> str | None:
        """A text of at most `limit` bytes. An empty text counts as unset."""
        value: str = getattr(message, name)
        self.size(name, len(value.encode()), limit)
        return value or None

    def line(self, field: str, value: str, limit: int) -> str:
        """A text of at most `limit` characters without control characters."""
        if len(value) > limit:
            self.fault(field, f"has more than {limit} characters")
        elif _CONTROL.search(value):
            self.fault(field, "has control characters")
        return value

    def size(self, field: str, size: int, limit: int) -> bool:
        """Note a size in bytes above the limit; return True if it is within."""
        if size > limit:
            self.fault(field, f"has {size} bytes; the limit is {limit}")
        return size <= limit

    def count(self, field: str, value: int, default: int, most: int) -> int:
        """A count up to `most`. Zero gives the default."""
        if value < 0:
            self.fault(field, "must not be negative")
        return min(value, most) if value > 0 else default

    def time(self, message: Message, name: str, prefix: str = "") -> datetime | None:
        """A time; None if unset."""
        if not message.HasField(name):
            return None
        stamp: Timestamp = getattr(message, name)
        try:
            if not 0 <= stamp.nanos < _NANOS:
                raise ValueError("nanos out of range")
            return to_datetime(stamp)
        except (ValueError, OverflowError):
            self.fault(prefix + name, "is not a time of the years 1 to 9999")
            return None

    def duration(
        self, message: Message, name: str, lengths: Lengths, prefix: str = ""
    ) -> timedelta | None:
        """A duration within the lengths that the field accepts; None if unset."""
        if not message.HasField(name):
            return None
        duration: Duration = getattr(message, name)
        if abs(duration.nanos) >= _NANOS or duration.seconds * duration.nanos < 0:
            self.fault(prefix + name, "is not a duration: nanos out of range, or of another sign")
            return None
        try:
            # A positive duration below a microsecond is still positive.
            length = to_timedelta(duration) or MOMENT * (duration.nanos > 0)
        except OverflowError:
            length = timedelta.max if duration.seconds > 0 else timedelta.min
        if not lengths.least <= length <= lengths.most:
            self.fault(prefix + name, lengths.words)
        return length
