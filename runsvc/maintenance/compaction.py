"""Log compaction: removes change log entries that exceed the configured number or age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.commit.command import ExclusiveCommand
from runsvc.timekeeper import ago

if TYPE_CHECKING:
    from datetime import timedelta

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.maintenance.lease_clock import LeaseClock
    from runsvc.store.base import ReadingStore

#: Maximum number of log entries per transaction. Other commands then wait for milliseconds only.
CHUNK: Final = 1_000


class Compaction:
    """Keeps the change log short."""

    def __init__(
        self,
        writer: Writer,
        store: ReadingStore,
        lease_clock: LeaseClock,
        *,
        keep: int,
        keep_age: timedelta | None = None,
        chunk: int = CHUNK,
    ) -> None:
        self._writer = writer
        self._store = store
        self._lease_clock = lease_clock
        #: Maximum number of entries to keep.
        self._keep = keep
        #: Maximum age of entries to keep; None: unlimited.
        self._keep_age = keep_age
        self._chunk = chunk

    async def run(self) -> None:
        """Remove all log entries that are too many or too old, in small transactions."""
        clock = await self._store.clock()
        last = max(clock.revision - self._keep, await self._newest_outdated())
        first_end = clock.oldest_revision + self._chunk - 1
        for revision in range(first_end, last + self._chunk, self._chunk):
            await self._forget(min(revision, last))

    async def _newest_outdated(self) -> int:
        """Return the revision of the newest entry that is too old, or 0."""
        if self._keep_age is None:
            return 0
        now = await self._lease_clock.time_without_steps()
        return await self._store.log_begin(ago(self._keep_age, now)) - 1

    async def _forget(self, revision: int) -> None:
        def decide(tx: ExclusiveTransaction) -> None:
            tx.forget(revision)

        await self._writer.submit(ExclusiveCommand(decide))
