"""What the checks of fields are made of: ids, enums, texts, sizes, counts and durations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

from runsvc.core.errors import InvalidRequest, Violation
from runsvc.wire.convert import to_timedelta

if TYPE_CHECKING:
    from enum import IntEnum
    from types import TracebackType

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.message import Message

    AnyEnum = TypeVar("AnyEnum", bound=IntEnum)

_NANOS: Final = 1_000_000_000
_MOMENT: Final = timedelta(microseconds=1)

# Matched in full: `$` would let a line break pass.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}")
_ID_FAULT: Final = (
    "must be 1 to 128 characters: a letter or digit, then letters, digits and any of . _ : @ / -"
)


class Lengths(NamedTuple):
    """Durations that a field takes, and the same in words."""

    least: timedelta
    most: timedelta
    words: str


class Fields:
    """Collects what is wrong with the fields of one request, and raises all of it at the end of the block.

    A check that finds a fault notes it and gives a harmless stand-in.
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
        """Note what is wrong with a field."""
        self._violations.append(Violation(field, description))

    def _id(self, field: str, value: str) -> str:
        if not _ID.fullmatch(value):
            self.fault(field, _ID_FAULT if value else "is required")
        return value

    def _optional_id(self, message: Message, name: str, prefix: str = "") -> str | None:
        if not message.HasField(name):
            return None
        value: str = getattr(message, name)
        if not _ID.fullmatch(value):
            self.fault(prefix + name, _ID_FAULT)
        return value

    def _enum(self, field: str, number: int, default: AnyEnum) -> AnyEnum:
        """The member of the default's enum; the default itself for a field that was left unset."""
        if not number:
            return default
        try:
            return type(default)(number)
        except ValueError:
            self.fault(field, "has a number that is not known")
            return default

    def _optional_text(self, message: Message, name: str, limit: int) -> str | None:
        """An empty text says as little as none."""
        value: str = getattr(message, name)
        self._size(name, len(value.encode()), limit)
        return value or None

    def _size(self, field: str, size: int, limit: int) -> bool:
        if size > limit:
            self.fault(field, f"has {size} bytes; at most {limit} are taken")
        return size <= limit

    def _count(self, field: str, value: int, default: int, most: int) -> int:
        if value < 0:
            self.fault(field, "must not be negative")
        return min(value, most) if value > 0 else default

    def _duration(
        self, message: Message, name: str, lengths: Lengths, prefix: str = ""
    ) -> timedelta | None:
        if not message.HasField(name):
            return None
        duration: Duration = getattr(message, name)
        if abs(duration.nanos) >= _NANOS or duration.seconds * duration.nanos < 0:
            self.fault(prefix + name, "is no duration: nanos out of range, or of another sign")
            return None
        try:
            # What is too short to count is still longer than nothing.
            length = to_timedelta(duration) or _MOMENT * (duration.nanos > 0)
        except OverflowError:
            length = timedelta.max if duration.seconds > 0 else timedelta.min
        if not lengths.least <= length <= lengths.most:
            self.fault(prefix + name, lengths.words)
        return length
