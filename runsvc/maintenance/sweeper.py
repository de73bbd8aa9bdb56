"""What happens by itself: orphans at start, runs whose time is up or whose clients left, old runs and log entries."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from runsvc.commit.command import ExclusiveCommand
from runsvc.core.errors import CorruptRow, RunsvcError
from runsvc.maintenance import attachments as attached
from runsvc.maintenance.expiry import INTERVAL
from runsvc.timekeeper import ago

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from runsvc.admin import Admin
    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.writer import Writer
    from runsvc.maintenance.attachments import Attachments
    from runsvc.maintenance.expiry import Expiry
    from runsvc.maintenance.lease_clock import LeaseClock
    from runsvc.maintenance.retention import Retention
    from runsvc.store.base import ReadingStore

_log = logging.getLogger(__name__)

#: Seconds between two looks at the log.
COMPACT_INTERVAL: Final = 10.0
#: Seconds between two looks at what is due.
EXPIRE_INTERVAL: Final = INTERVAL.total_seconds()
#: Seconds between two looks at runs that were kept for long enough.
REMOVE_INTERVAL: Final = 60.0
#: Log entries that go in one transaction, so that other commands wait milliseconds.
CHUNK: Final = 1_000
#: Runs that are reconciled in one transaction.
RECONCILE_LIMIT: Final = 1_000


class Sweeper:
    """Keeps the store in shape beside the traffic."""

    def __init__(
        self,
        writer: Writer,
        store: ReadingStore,
        admin: Admin,
        serving: LeaseClock,
        expiry: Expiry,
        attachments: Attachments,
        retention: Retention | None,
        *,
        log_keep: int,
        log_keep_age: timedelta | None = None,
    ) -> None:
        self._writer = writer
        self._store = store
        self._admin = admin
        self._serving = serving
        self._expiry = expiry
        self._attachments = attachments
        #: None: runs are kept for ever.
        self._retention = retention
        self._log_keep = log_keep
        #: None: entries are kept however old they are.
        self._log_keep_age = log_keep_age

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
        """End runs whose time is up or whose clients left, and let go of what is no longer kept, until cancelled."""
        works = (
            _again_and_again(self.expire, EXPIRE_INTERVAL, "Ending runs whose time is up"),
            _again_and_again(self.detach, attached.INTERVAL, "Looking after attachments"),
            _again_and_again(self.compact, COMPACT_INTERVAL, "Compacting the log"),
            _again_and_again(self.remove, REMOVE_INTERVAL, "Removing old runs"),
        )
        async with asyncio.TaskGroup() as tasks:
            for work in works:
                tasks.create_task(work)

    async def expire(self) -> None:
        """End the runs whose time is up."""
        while await self._expiry.look():
            pass

    async def detach(self) -> None:
        """Renew attachments, and cancel the runs whose last one is over."""
        while await self._attachments.look():
            pass

    async def remove(self) -> None:
        """Remove the runs that ended long enough ago."""
        if self._retention is not None and (count := await self._retention.remove()):
            _log.info("Runs that were kept for long enough and are removed: %d", count)

    async def compact(self) -> None:
        """Drop log entries that are too many or too old, in small transactions."""
        clock = await self._store.clock()
        forgotten = max(clock.revision - self._log_keep, await self._too_old())
        for revision in range(clock.oldest_revision + CHUNK - 1, forgotten + CHUNK, CHUNK):
            await self._forget(min(revision, forgotten))

    async def _too_old(self) -> int:
        """Revision of the newest entry that is too old."""
        if self._log_keep_age is None:
            return 0
        now = await self._serving.time_without_jumps()
        return await self._store.log_begin(ago(self._log_keep_age, now)) - 1

    async def _forget(self, revision: int) -> None:
        def decide(tx: ExclusiveTransaction) -> None:
            tx.forget(revision)

        await self._writer.submit(ExclusiveCommand(decide))


async def _again_and_again(work: Callable[[], Awaitable[None]], interval: float, what: str) -> None:
    """Do the work, then wait. It goes on whatever happens; a failure is told once for as long as it stays the same."""
    told = ""
    while True:
        try:
            await work()
            if told:
                _log.warning("%s works again.", what)
            told = ""
        except RunsvcError as error:
            if told != str(error):
                _log.warning("%s failed: %s", what, error)
            told = str(error)
        except Exception as error:  # noqa: BLE001
            if told != repr(error):
                _log.exception("%s failed.", what)
            told = repr(error)
        await asyncio.sleep(interval)
