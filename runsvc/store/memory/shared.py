"""What servers in one process share: the data of a memory store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runsvc.store.shared import Head, Progressed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.store.memory.data import MemoryData


class MemorySharedLog:
    """Implements SharedLog. Its hints arrive as long as all servers are on one event loop."""

    def __init__(self, data: MemoryData) -> None:
        self._data = data
        self._hinted = asyncio.Event()

    async def head(self, revision: int, limit: int) -> Head:
        self._data.check_open()
        with self._data.lock:
            clock, log, progress = self._data.clock(), self._data.log, self._data.progress
        return Head(clock, progress, [each for each in log if each.revision > revision][:limit])

    async def progressed(self, number: int, limit: int) -> Sequence[Progressed] | None:
        self._data.check_open()
        with self._data.lock:
            found = [each for each in self._data.progressed if each[0] > number]
            if self._data.progress - number > len(found):
                return None
            runs = {run_id: row.run for run_id, row in self._data.rows.items()}
        return [
            Progressed(each, run.run_id, run.owner, run.thread_id, run.assistant_id)
            for each, run_id in found[:limit]
            if (run := runs.get(run_id)) is not None
        ]

    async def listen(self) -> bool:
        self._data.listeners.add(self._hinted)
        return True

    async def hinted(self) -> None:
        await self._hinted.wait()
        self._hinted.clear()

    async def hint(self) -> None:
        for listener in self._data.listeners - {self._hinted}:
            listener.set()

    async def close(self) -> None:
        self._data.listeners.discard(self._hinted)
