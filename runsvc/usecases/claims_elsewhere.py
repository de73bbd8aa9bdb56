"""Runs that other servers of a shared store made claimable, and the claims that wait for them at this server.

The server that makes a run claimable wakes a claim of its own at once. Each other server does so after a short random
pause, and only if the log does not show by then that the run was started. So one run wakes few claims, and none in vain
while the first server has one.
"""

from __future__ import annotations

import asyncio
from random import uniform
from typing import TYPE_CHECKING, Final

from runsvc.commit.effects import Claimable
from runsvc.core.errors import CorruptRow
from runsvc.core.model import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runsvc.store.base import Codec
    from runsvc.store.values import LogEntry
    from runsvc.usecases.waiting_claims import WaitingClaims

#: The shortest and the longest pause, in seconds.
PAUSE: Final = 0.01, 0.04


class ClaimsElsewhere:
    """Wakes claims for the runs of other servers. Lives on the event loop."""

    def __init__(
        self,
        waiting: WaitingClaims,
        codec: Codec,
        pause: Callable[[], float] = lambda: uniform(*PAUSE),
    ) -> None:
        self._waiting = waiting
        self._codec = codec
        self._pause = pause
        #: Runs that are claimable by the log, with the timers that end their pauses.
        self._pauses: dict[str, asyncio.TimerHandle] = {}

    def note_own(self, entries: Sequence[LogEntry]) -> None:
        """Note changes that this server made: its own claims are awake."""
        if self._pauses:
            for entry in entries:
                self._forget(entry.run_id)

    def note_others(self, entries: Sequence[LogEntry]) -> None:
        """Note changes that other servers made."""
        for entry in entries:
            self._forget(entry.run_id)
            if entry.status is RunStatus.PENDING and len(self._waiting):
                self._wake_later(entry)

    def wake_all(self) -> None:
        """Let every claim try again: changes may have been missed."""
        self._waiting.wake_all()

    def close(self) -> None:
        """Wake nothing any more."""
        for timer in self._pauses.values():
            timer.cancel()
        self._pauses.clear()

    def _wake_later(self, entry: LogEntry) -> None:
        if (run := self._claimable(entry)) is None or not self._waiting.has_fitting(run):
            return
        loop = asyncio.get_running_loop()
        self._pauses[entry.run_id] = loop.call_later(self._pause(), self._wake, run)

    def _claimable(self, entry: LogEntry) -> Claimable | None:
        """The run of an entry if a worker may claim it at once. One with a time waits for the wakes of this server."""
        if entry.body is None:
            return None
        try:
            run = self._codec.decode(entry)
        except CorruptRow:
            return None
        if run.not_before is not None and run.not_before > run.updated_at:
            return None
        return Claimable(run.assistant_id, run.owner, run.worker_id, run.run_id)

    def _wake(self, run: Claimable) -> None:
        del self._pauses[run.run_id]
        self._waiting.wake_one(run)

    def _forget(self, run_id: str) -> None:
        if (timer := self._pauses.pop(run_id, None)) is not None:
            timer.cancel()
