"""Refusals that are held back for a moment, so that a client which repeats at once is slowed down."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

#: Longest time in seconds for which a refusal is held. A connection takes a limited number of calls at a time.
HOLD: Final = 1.0
#: Most refusals that are held at a time. Further ones are sent at once.
MAX_HELD: Final = 2_000


class Holds:
    """Counts the refusals that are held. Lives on the event loop."""

    def __init__(self, longest: float = HOLD, most: int = MAX_HELD) -> None:
        self._longest = longest
        self._most = most
        #: Refusals that are held now. Their calls are under way, but do no work.
        self.held = 0

    async def hold(self, context: Any) -> None:
        """Return after a while, or at once if too many are held."""
        if self.held >= self._most:
            return
        left = context.time_remaining()
        self.held += 1
        try:
            # The refusal has to arrive before the caller gives up.
            longest = self._longest if left is None else min(self._longest, left / 2)
            # Calls that came together do not come back together.
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))
        finally:
            self.held -= 1
