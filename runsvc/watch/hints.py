"""Hints between the servers of a shared store: the log has grown, so read it.

Hints make reads prompt and nothing else: a server that gets none polls the log. They are sent after a commit, never in
its transaction, and at most once per interval for all commits of a server.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from runsvc.store.shared import SharedLog
    from runsvc.watch.pace import Pace

#: Shortest time between two hints of one server, in seconds.
INTERVAL: Final = 0.01
#: Seconds between two attempts to receive hints.
RETRY: Final = 5.0

_log = logging.getLogger(__name__)


class Hints:
    """Sends hints after commits, and starts a read for each that arrives. Lives on the event loop."""

    def __init__(
        self,
        shared: SharedLog,
        pace: Pace,
        *,
        interval: float = INTERVAL,
        retry: float = RETRY,
    ) -> None:
        self._shared = shared
        self._pace = pace
        self._interval = interval
        self._retry = retry
        self._wanted = asyncio.Event()

    def send_soon(self) -> None:
        """Let the next hint include the commits so far."""
        self._wanted.set()

    async def send(self) -> None:
        """Send hints, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._shared.hint()
            except StoreUnavailable as error:
                _log.debug("A hint was not sent: %s", error)
            await asyncio.sleep(self._interval)

    async def receive(self) -> None:
        """Listen and receive, until cancelled. Without a connection on which hints arrive, try again at intervals."""
        previous = True
        while True:
            if (works := await self._listen()) != previous:
                _log.warning(
                    "Hints of other servers arrive again."
                    if works
                    else "Hints of other servers do not arrive: the log is polled instead."
                )
            previous = works
            if works:
                await self._receive()
            await asyncio.sleep(self._retry)

    async def _listen(self) -> bool:
        try:
            return await self._shared.listen()
        except StoreUnavailable as error:
            _log.debug("The server cannot listen: %s", error)
            return False

    async def _receive(self) -> None:
        """Start a read with each hint. Return once no more arrive."""
        self._pace.has_hints = True
        try:
            while True:
                self._pace.poke()
                await self._shared.hinted()
        except StoreUnavailable as error:
            _log.debug("The connection for hints was lost: %s", error)
        finally:
            self._pace.has_hints = False
