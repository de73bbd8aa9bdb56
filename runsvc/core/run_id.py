"""Ids of runs: UUIDs of version 7, which sort by the time they were made."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime


def new_id(time: datetime) -> str:
    """A new id of this time (RFC 9562): milliseconds, then the microseconds within as 12 bits, then chance."""
    milliseconds, microseconds = divmod(_microseconds(time), 1_000)
    value = milliseconds << 80 | 0x7 << 76 | (microseconds * 4_096 // 1_000) << 64
    return str(UUID(int=value | 0b10 << 62 | secrets.randbits(62)))


def upper_bound(time: datetime) -> str:
    """What every id up to this time is less than."""
    return str(UUID(int=_microseconds(time) // 1_000 + 1 << 80))


def _microseconds(time: datetime) -> int:
    # Integers throughout: a float of this size is exact to no more than a microsecond.
    return int(time.timestamp()) * 1_000_000 + time.microsecond
