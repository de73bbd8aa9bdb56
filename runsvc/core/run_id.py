"""Run ids: UUIDs of version 7, which sort by creation time."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime


def new_id(time: datetime) -> str:
    """Return a new id (RFC 9562): milliseconds, then the remaining microseconds in 12 bits, then random bits."""
    milliseconds, microseconds = divmod(_microseconds(time), 1_000)
    value = milliseconds << 80 | 0x7 << 76 | (microseconds * 4_096 // 1_000) << 64
    return str(UUID(int=value | 0b10 << 62 | secrets.randbits(62)))


def upper_bound(time: datetime) -> str:
    """Return a bound that is greater than every id created up to this time."""
    return str(UUID(int=_microseconds(time) // 1_000 + 1 << 80))


def _microseconds(time: datetime) -> int:
    # Integers only: a float of this size is exact to a microsecond at best.
    return int(time.timestamp()) * 1_000_000 + time.microsecond
