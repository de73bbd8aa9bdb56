"""The end of what was kept for long enough: runs that are over, with their request ids."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from runsvc.errors import RunNotFound
from runsvc.store.base import Remains
from runsvc.timekeeper import ago
from runsvc.transaction import Command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from runsvc.serving import Serving
    from runsvc.store.base import ReadingStore
    from runsvc.transaction import Transaction
    from runsvc.writer import Writer

#: Runs that are removed in one transaction, and looked up in one read.
CHUNK: Final = 20
STRETCH: Final = 500
#: How long traffic is left alone after a transaction, in multiples of what that took.
REST: Final = 9


class Retention:
    """Removes runs some time after their end, beside the traffic."""

    def __init__(
        self, writer: Writer, store: ReadingStore, serving: Serving, keep: timedelta
    ) -> None:
        self._writer = writer
        self._store = store
        self._serving = serving
        self._keep = keep

    async def remove(self) -> int:
        """Remove every run that ended long enough ago; how many there were."""
        by = ago(self._keep, await self._now())
        count, last = 0, ""
        while run_ids := await self._store.ended(by, last, STRETCH):
            for begin in range(0, len(run_ids), CHUNK):
                count += await self._remove(run_ids[begin : begin + CHUNK])
            last = run_ids[-1]
        return count

    async def _now(self) -> datetime:
        """What time it is, but for what the clock was set forward by: what is removed does not come back."""
        if (counted := self._serving.counted()) is None:
            return await self._writer.submit(Command(lambda tx: tx.time))
        return counted.at - self._serving.set_forward

    async def _remove(self, run_ids: Sequence[str]) -> int:
        def decide(tx: Transaction) -> int:
            count = 0
            for run_id in run_ids:
                # Somebody else may have been quicker.
                with suppress(RunNotFound):
                    tx.delete(tx.remains(run_id))
                    count += 1
            return count

        loop = asyncio.get_running_loop()
        begin = loop.time()
        reads = tuple(map(Remains, run_ids))
        count = await self._writer.submit(Command(decide, reads, alone=True))
        await asyncio.sleep((loop.time() - begin) * REST)
        return count
