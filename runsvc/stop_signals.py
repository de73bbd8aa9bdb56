"""The signals that stop a server: the first one drains it, a later one ends the process at once."""

from __future__ import annotations

import logging
import signal
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

#: Seconds in which a repeated signal belongs to the same request: timeout(1), for example, signals the process and then
#: its group, and a terminal that closes signals the group of its shell as well.
REPEAT: Final = 1.0
#: A terminal that closes sends it. It asks for a drain, and never ends one.
_HANGUP: Final[int | None] = getattr(signal, "SIGHUP", None)


class StopSignals:
    """Turns signals into one stop.

    The handlers are Python's own instead of the event loop's: these are removed by way of the default action, and a
    signal at that moment would end the process.
    """

    def __init__(self, stop: Callable[[], object], now: Callable[[], float] = monotonic) -> None:
        self._stop = stop
        self._now = now
        self._first: tuple[int, float] | None = None

    def install(self) -> None:
        """Handle SIGTERM, SIGINT and SIGHUP. A SIGHUP that the parent process ignores stays ignored, as nohup asks."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        if _HANGUP is not None and signal.getsignal(_HANGUP) is not signal.SIG_IGN:
            signal.signal(_HANGUP, self._handle)

    def _handle(self, number: int, _frame: Any) -> None:
        if self._first is None:
            self._first = number, self._now()
            _log.info("%s: draining", signal.Signals(number).name)
            self._stop()
        elif not self._is_same_request(number, *self._first):
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _is_same_request(self, number: int, first: int, at: float) -> bool:
        if number == _HANGUP:
            return True
        return first in (number, _HANGUP) and self._now() - at < REPEAT
