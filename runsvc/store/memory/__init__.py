"""The store in memory: for tests, and as the simplest form of the contract. Its data ends with the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.store.memory.data import MemoryData
from runsvc.store.memory.reading import MemoryReading
from runsvc.store.memory.shared import MemorySharedLog
from runsvc.store.memory.writing import MemoryWriting
from runsvc.timekeeper import Timekeeper

if TYPE_CHECKING:
    from runsvc.store.shared import SharedLog


class MemoryStore:
    """Implements Store in dictionaries, which only a commit changes."""

    kind = "memory"

    def __init__(
        self, timekeeper: Timekeeper | None = None, *, shared: MemoryData | None = None
    ) -> None:
        """With `shared`, other stores use the same data."""
        self.data = shared or MemoryData()
        self.shared: SharedLog | None = MemorySharedLog(self.data) if shared else None
        self.reading = MemoryReading(self.data)
        lock = self.data.write_lock if shared else None
        self.writing = MemoryWriting(self.data, timekeeper or Timekeeper(), lock)

    def log_bytes(self) -> int:
        return 0

    async def open(self) -> None:
        self.data.is_open = True

    async def close(self) -> None:
        if self.shared is None:
            self.data.is_open = False
        else:
            await self.shared.close()
