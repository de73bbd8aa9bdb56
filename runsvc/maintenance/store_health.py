"""Whether the store takes writes, for the health of the server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.commit.group_commit import Committed

_log = logging.getLogger(__name__)

#: Seconds of failing writes, without a change that was committed, after which the store counts as not working.
MOMENT: Final = 1.0
#: Seconds without a failing write after which it counts as working again, even if there was no change to commit. A
#: failure starts an outage of the lease clock, whose beats are writes until one of them succeeds.
QUIET: Final = 5.0


class StoreHealth:
    """Follows the batches of the writer, which has one at least with every beat. Lives on the event loop."""

    def __init__(
        self, monotonic: Callable[[], float], *, moment: float = MOMENT, quiet: float = QUIET
    ) -> None:
        self._monotonic = monotonic
        self._moment = moment
        self._quiet = quiet
        #: Called with True when the store works again, and with False when it does not.
        self.report: Callable[[bool], object] = lambda works: None
        self._works = True
        self._failing_since: float | None = None
        self._last_failure = 0.0

    def note(self, committed: Committed) -> None:
        """Note the result of a batch."""
        if committed.failed:
            self._note_failure(self._monotonic())
        elif self._failing_since is not None and (committed.entries or self._is_quiet()):
            self._failing_since = None
            self._set(True)

    def _note_failure(self, now: float) -> None:
        self._last_failure = now
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since >= self._moment:
            self._set(False)

    def _is_quiet(self) -> bool:
        return self._monotonic() - self._last_failure >= self._quiet

    def _set(self, works: bool) -> None:
        if works == self._works:
            return
        self._works = works
        if works:
            _log.warning("The store takes writes again: health reports SERVING.")
        else:
            _log.error("The store takes no writes: health reports NOT_SERVING for RunService.")
        self.report(works)
