"""Promotions: queued runs whose concurrency key has room move on, some hundred in each transaction."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runsvc.commit.command import Command

if TYPE_CHECKING:
    from collections.abc import Collection

    from runsvc.commit.group_commit import Committed
    from runsvc.commit.transaction import Transaction
    from runsvc.commit.writer import Writer

#: Pause after a pass, so that other commands come between two of them.
INTERVAL: Final = timedelta(milliseconds=5)
#: Seconds before a pass that failed is repeated.
RETRY_PAUSE: Final = 0.25
#: Where other servers write the store, all keys are searched so often, in seconds: a server may end before its passes.
SHARED_WAIT: Final = 30.0


class Promotions:
    """Finishes what a transaction has left, such as the change of a limit. Belongs to the event loop."""

    def __init__(self, writer: Writer, *, is_shared: bool = False) -> None:
        """is_shared: other servers write the store, so all keys are searched at intervals."""
        self._writer = writer
        self._wait = SHARED_WAIT if is_shared else None
        self._keys: set[tuple[str, str]] = set()
        #: Search all keys: at the start, and after a commit whose outcome is unknown.
        self._searches = True
        self._noted = asyncio.Event()

    @property
    def is_done(self) -> bool:
        """True if no key is left to reconsider."""
        return not (self._searches or self._keys)

    def note(self, committed: Committed) -> None:
        """Note the keys that a commit has left unfinished."""
        self._searches |= committed.unsettled
        if committed.unfinished or committed.unsettled:
            self._keys.update(committed.unfinished)
            self._noted.set()

    async def run(self) -> None:
        """Wait for unfinished keys, then move on some of their runs."""
        if self.is_done:
            await self._more()
        keys, searches = frozenset(self._keys), self._searches
        # Both are noted again by the commit of this command, if it leaves something too.
        self._keys.clear()
        self._searches = False
        try:
            await self._writer.submit(Command(lambda tx: reconsider(tx, keys, searches=searches)))
        except Exception:
            self._keys.update(keys)
            self._searches |= searches
            await asyncio.sleep(RETRY_PAUSE)
            raise

    async def _more(self) -> None:
        self._noted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait):
                await self._noted.wait()
                return
        self._searches = True


def reconsider(tx: Transaction, keys: Collection[tuple[str, str]], *, searches: bool) -> None:
    """Check the queued runs with these keys, or with any key, after this command."""
    tx.reconsider_keys([*keys, *tx.reads.keys_with_queued("")] if searches else keys)
