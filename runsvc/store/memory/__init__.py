"""The store in memory: for tests, and as the simplest form of the contract. Its data ends with the process."""

from __future__ import annotations

from runsvc.store.memory.data import MemoryData
from runsvc.store.memory.reading import MemoryReading
from runsvc.store.memory.writing import MemoryWriting
from runsvc.timekeeper import Timekeeper


class MemoryStore:
    """Implements Store in dictionaries, which only a commit changes."""

    kind = "memory"

    def __init__(self, timekeeper: Timekeeper | None = None) -> None:
        self.data = MemoryData()
        self.reading = MemoryReading(self.data)
        self.writing = MemoryWriting(self.data, timekeeper or Timekeeper())

    def log_bytes(self) -> int:
        return 0

    async def open(self) -> None:
        self.data.is_open = True

    async def close(self) -> None:
        self.data.is_open = False
