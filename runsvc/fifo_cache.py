"""A dict of limited size, for values that can be computed again."""

from __future__ import annotations

from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class FifoCache(dict[Key, Value]):
    """Keeps the newest entries, and drops the oldest one when it is full."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def keep(self, key: Key, value: Value) -> None:
        """Add or replace an entry, as the newest."""
        self.pop(key, None)
        self[key] = value
        if len(self) > self._capacity:
            del self[next(iter(self))]
