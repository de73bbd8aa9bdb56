"""Wakes: runs whose not_before has come move on. A timer is set to the earliest of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from random import uniform
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.commit.command import Command
from runsvc.core import attempts
from runsvc.core.errors import CorruptRow
from runsvc.core.model import RunStatus

if TYPE_CHECKING:
    from datetime import datetime

    from runsvc.commit.group_commit import Committed
    from runsvc.commit.transaction import Transaction
    from runsvc.commit.writer import Writer
    from runsvc.store.queue import Wake
    from runsvc.timekeeper import Timekeeper

#: Pause between two passes, so that runs with nearly the same time share one.
INTERVAL: Final = timedelta(milliseconds=5)
#: Maximum number of runs per transaction. Other commands then wait for milliseconds only.
LIMIT: Final = 100
#: The longest wait, in seconds, before the clock is read again: it may have been set.
_LONGEST_WAIT: Final = 1.0
#: The same where other servers write the store, at random between these, so that the servers do not search at once.
SHARED_WAIT: Final = 0.2, 0.3


class Pass(NamedTuple):
    """The result of a pass."""

    #: The last run that was looked at.
    position: Wake | None
    #: The time of the next one; None if there is none.
    next: datetime | None


class Wakes:
    """Moves runs on at their time. Belongs to the event loop."""

    def __init__(
        self,
        writer: Writer,
        timekeeper: Timekeeper,
        *,
        limit: int = LIMIT,
        is_shared: bool = False,
    ) -> None:
        """is_shared: other servers write the store, so it is searched at intervals for their runs."""
        self._writer = writer
        self._timekeeper = timekeeper
        self._limit = limit
        self._is_shared = is_shared
        #: Runs up to here have had their time. Those among them that still wait do so at another gate.
        self._position: Wake | None = None
        #: The time of the next run, which may have moved on already; None: no run waits for its time.
        self._next: datetime | None = None
        self._is_first = True
        self._changed = asyncio.Event()

    def note(self, committed: Committed) -> None:
        """Note that a run waits for its time since this commit. After an unknown outcome, the store is read."""
        self._is_first |= committed.unsettled
        at = committed.wakes_at
        if committed.unsettled or (at is not None and (self._next is None or at < self._next)):
            self._next = at or self._next
            self._changed.set()

    async def run(self) -> None:
        """Wait until the time of a run has come, and move on all runs whose time has come."""
        await self._due()
        while await self._pass():
            pass

    async def _due(self) -> None:
        if self._is_shared:
            seconds = min(self._seconds_left(), uniform(*SHARED_WAIT))
            await self._change_or(seconds)
            return
        while not self._is_first and (seconds := self._seconds_left()) > 0:
            await self._change_or(seconds)

    async def _change_or(self, seconds: float) -> None:
        """Wait for these seconds, or until an earlier run is noted."""
        self._changed.clear()
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    def _seconds_left(self) -> float:
        if self._next is None:
            return _LONGEST_WAIT
        left = (self._next - self._timekeeper.machine()).total_seconds()
        return min(left, _LONGEST_WAIT)

    async def _pass(self) -> bool:
        """Move some runs on. Return True if there may be more whose time has come."""
        position = self._position
        # Runs that are saved during the pass are noted again.
        self._next = None
        self._is_first = True
        # It shares a batch with other commands. On a busy server, a batch of its own would come later.
        result = await self._writer.submit(Command(lambda tx: wake(tx, position, self._limit)))
        self._is_first = False
        self._position = result.position
        if result.next is not None:
            self._next = result.next if self._next is None else min(self._next, result.next)
        return result.next is not None and result.next <= self._timekeeper.machine()


def wake(tx: Transaction, after: Wake | None, limit: int) -> Pass:
    """Move on the runs after a position whose time has come.

    The reads lack the runs that began to wait in this batch. Their time is after its begin, and so after the position
    that this pass returns.
    """
    for each in tx.reads.waking(after, limit + 1):
        if each.at > tx.begin or limit == 0:
            return Pass(after, each.at)
        _wake_one(tx, each.run_id)
        after, limit = each, limit - 1
    return Pass(after, None)


def _wake_one(tx: Transaction, run_id: str) -> None:
    try:
        run = tx.find(run_id)
    except CorruptRow:
        return
    if run is None:
        return
    if run.status is RunStatus.QUEUED:
        tx.reconsider(run.owner, run.thread_id)
    elif attempts.awaits_claim(run):
        # Another server has moved it on, and a claim may wait at this one.
        tx.effects.note_claimable(run)
    else:
        tx.save(run, tx.with_turn(run))
