"""The tasks of a server whose store other servers write too: the tail of the log, hints, and claims elsewhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runsvc.usecases.claims_elsewhere import ClaimsElsewhere
from runsvc.watch.hints import Hints
from runsvc.watch.tail import Tail

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from runsvc.store.base import Codec
    from runsvc.store.shared import SharedLog
    from runsvc.usecases.waiting_claims import WaitingClaims
    from runsvc.watch.hub import StatusHub


class Sharing:
    """Keeps one server informed of the changes of the others."""

    def __init__(
        self,
        shared: SharedLog,
        hub: StatusHub,
        waiting: WaitingClaims,
        codec: Codec,
        *,
        with_hints: bool = True,
    ) -> None:
        self._claims = ClaimsElsewhere(waiting, codec)
        self.tail = Tail(shared, hub, is_awaited=lambda: len(waiting) > 0)
        self.tail.on_own = self._claims.note_own
        self.tail.on_others = self._claims.note_others
        self.tail.on_gap = self._claims.wake_all
        self._hints = Hints(shared, self.tail.pace) if with_hints else None

    async def start(self, stack: AsyncExitStack) -> None:
        """Begin at the end of the log, and follow it until the stack closes. Raise StoreUnavailable."""
        await self.tail.start()
        stack.callback(self._claims.close)
        work = [self.tail.run()]
        if self._hints is not None:
            self.tail.on_commit = self._hints.send_soon
            work += self._hints.send(), self._hints.receive()
        tasks = [asyncio.create_task(each) for each in work]
        stack.push_async_callback(_cancelled, tasks)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
