"""What a watcher of progress has yet to be told: the runs whose progress moved, as many as are worth remembering."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

#: Runs that are remembered for a watcher, so that one that does not read holds next to nothing.
CAPACITY: Final = 1_024


class ProgressBacklog:
    """Runs whose progress moved since the watcher last looked.

    When there are more than are remembered, all active runs are gone through instead, so many at a time. What a run
    came to by its end needs no progress: the change that ended it tells.
    """

    __slots__ = ("_after", "_overrun", "_run_ids")

    def __init__(self) -> None:
        self._run_ids: set[str] = set()
        #: There were more: all active runs must be gone through from the beginning.
        self._overrun = False
        #: How far they have been gone through; None: they are not, or all have been.
        self._after: str | None = None

    def __bool__(self) -> bool:
        return bool(self._run_ids) or self._overrun or self._after is not None

    def __len__(self) -> int:
        return len(self._run_ids)

    def add(self, run_id: str) -> None:
        """Note that a run's progress moved."""
        if self._overrun:
            return
        self._run_ids.add(run_id)
        if len(self._run_ids) > CAPACITY:
            self._run_ids.discard(run_id)
            self._overrun = True

    async def take(self, active: Callable[[], Awaitable[Iterable[str]]]) -> Sequence[str]:
        """What is remembered; once that was all taken, the next of the active runs as long as there are any."""
        if self._run_ids:
            taken, self._run_ids = list(self._run_ids), set()
            return taken
        if self._after is None:
            # What moves from here on is remembered anew.
            self._after, self._overrun = "", False
        after = self._after
        # Not in the order in which they come, so that one that ends in the meantime moves none.
        taken = nsmallest(CAPACITY, (run_id for run_id in await active() if run_id > after))
        self._after = taken[-1] if len(taken) == CAPACITY else None
        return taken
