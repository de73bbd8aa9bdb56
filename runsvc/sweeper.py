"""What happens by itself: orphans at start, and the end of the log that nobody needs any more. Owns time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from runsvc.errors import CorruptRow, RunsvcError
from runsvc.transaction import Command

if TYPE_CHECKING:
    from runsvc.admin import Admin
    from runsvc.store.base import ReadingStore
    from runsvc.transaction import Transaction
    from runsvc.writer import Writer

_log = logging.getLogger(__name__)

#: Seconds between two looks at the log.
INTERVAL: Final = 10.0
#: Log entries that go in one transaction, so that other commands wait milliseconds.
CHUNK: Final = 1_000
#: Runs that are reconciled in one transaction.
RECONCILE_LIMIT: Final = 1_000


class Sweeper:
    """Keeps the store in shape beside the traffic."""

    def __init__(self, writer: Writer, store: ReadingStore, admin: Admin, *, log_keep: int) -> None:
        self._writer = writer
        self._store = store
        self._admin = admin
        self._log_keep = log_keep

    async def reconcile(self, error: str) -> int:
        """End every run that was left active without a lease; how many there were."""
        count, more = 0, True
        while more:
            try:
                ended, more = await self._admin.reconcile_orphans(
                    error=error, before=None, limit=RECONCILE_LIMIT
                )
            except CorruptRow as corrupt:
                # Served without the rest, the row can be removed; refused, it could not.
                _log.error("Reconciliation stopped: %s Then run `runsvc admin reconcile`.", corrupt)
                break
            count += len(ended)
        return count

    async def run(self) -> None:
        """Compact the log from time to time, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.compact()
            except RunsvcError as error:
                _log.warning("The log was not compacted: %s", error)
            except Exception:  # noqa: BLE001
                _log.exception("The log was not compacted.")

    async def compact(self) -> None:
        """Drop log entries beyond those to keep, in small transactions."""
        clock = await self._store.clock()
        forgotten = clock.revision - self._log_keep
        for revision in range(clock.oldest_revision + CHUNK - 1, forgotten + CHUNK, CHUNK):
            await self._forget(min(revision, forgotten))

    async def _forget(self, revision: int) -> None:
        def decide(tx: Transaction) -> None:
            tx.forget(revision)

        await self._writer.submit(Command(decide, alone=True))
