"""What `runsvc work` shows on stderr. A stderr that nobody reads must not hold up the worker or its runs."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Final

from runsvc.cli.log_output import CAPACITY, LogOutput

#: Lines that may wait before the output of commands is read more slowly.
_ROOM: Final = CAPACITY // 2
#: Seconds without progress after which stderr counts as unread: further lines are dropped, and their number shown.
_PATIENCE: Final = 1.0
_BURST: Final = 1_000


class WorkOutput(LogOutput):
    """Writes lines to stderr from a thread, and slows down those who write faster than stderr takes them."""

    def __init__(self, *, patience: float = _PATIENCE) -> None:
        super().__init__(burst=_BURST, collect=0)
        self.setFormatter(logging.Formatter())
        self._patience = patience
        self._is_unread = False

    def line(self, text: str) -> None:
        """Show a line."""
        self.emit(logging.LogRecord(__name__, logging.INFO, "", 0, "%s", (text,), None))

    async def line_in_turn(self, text: str) -> None:
        """Show a line as soon as there is room."""
        end = monotonic() + self._patience
        while (is_full := self.waiting > _ROOM) and not self._is_unread:
            self._is_unread = monotonic() >= end
            await asyncio.sleep(0.01)
        self._is_unread = is_full
        if is_full:
            # Not formatted first: a command that writes much must not wait for it.
            self._count_dropped(1)
        else:
            self.line(text)
