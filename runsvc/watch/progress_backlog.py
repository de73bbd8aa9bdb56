"""The progress backlog: runs with new progress that a watcher has not been sent yet."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Runs that one backlog holds, so that a watcher that does not read uses little memory.
CAPACITY: Final = 1_024


class ProgressBacklog:
    """Runs with new progress, up to a capacity. After an overflow all active runs are scanned, one chunk at a time.

    Runs that have ended are not scanned, as there may be any number of them: their changes carry their progress, and
    only new metadata of an ended run can be missed.
    """

    __slots__ = ("_capacity", "_has_overflowed", "_marked", "_scanned_to")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._marked: set[str] = set()
        #: A scan of the active runs has to begin.
        self._has_overflowed = False
        #: The last run id that the present scan has covered; None without a scan.
        self._scanned_to: str | None = None

    def __bool__(self) -> bool:
        return bool(self._marked) or self._has_overflowed or self._scanned_to is not None

    def __len__(self) -> int:
        return len(self._marked)

    def mark(self, run_id: str) -> None:
        """Note that a run has new progress."""
        if self._has_overflowed:
            return
        self._marked.add(run_id)
        if len(self._marked) > self._capacity:
            self._marked.discard(run_id)
            self._has_overflowed = True

    def mark_all(self) -> None:
        """Note that any active run may have new progress."""
        self._has_overflowed = True

    def take(self) -> Sequence[str]:
        """Remove and return the marked runs. If there are none, read the active runs and pass them to `scan`."""
        if self._marked:
            taken, self._marked = list(self._marked), set()
            return taken
        if self._scanned_to is None:
            # A scan begins. Progress from now on is marked again, also while the caller reads the active runs.
            self._scanned_to, self._has_overflowed = "", False
        return ()

    def scan(self, active: Iterable[str]) -> Sequence[str]:
        """The next chunk of the active runs."""
        after = self._scanned_to or ""
        # By run id, not by age: a run that ends between two chunks then shifts no other run out of the scan.
        chunk = nsmallest(self._capacity, (run_id for run_id in active if run_id > after))
        self._scanned_to = chunk[-1] if len(chunk) == self._capacity else None
        return chunk
