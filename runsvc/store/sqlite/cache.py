"""Runs at hand: the newest state of those that were written or read last, so that a busy run costs no SELECT.

Beside them which runs are the newest of a thread, for its first page. Never older than what the server wrote: a run
leaves before its commit begins, and comes back as committed once that has ended; a thread that gains or loses a run
leaves. In between, everyone asks the file. What a reader found there is taken in only when no commit was under way
since before it looked. What somebody else writes to the file is noticed at the next transaction, a quarter of a second
later at most.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.fifo_cache import FifoCache

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from runsvc.core.model import Run
    from runsvc.store.base import Record

#: Bytes of runs that it may hold.
CAPACITY: Final = 16 << 20
#: What a run costs beside its bytes.
ENTRY_COST: Final = 1_500
#: Threads whose newest runs are known, some 32 ids each.
THREADS: Final = 512


class Kept(NamedTuple):
    """What is known of a run; each part only where it has been seen here."""

    #: Without kwargs.
    record: Record
    kwargs: bytes | None = None
    #: What the body decodes to.
    run: Run | None = None


class ThreadKey(NamedTuple):
    """Which thread."""

    owner: str
    thread_id: str


class Newest(NamedTuple):
    """Ids of a thread's newest runs, newest first."""

    run_ids: Sequence[str]
    #: How many were asked for.
    limit: int


class RunCache:
    """Read by the event loop, written by it and by the writer's thread. Who came first goes first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._kept: dict[str, Kept] = {}
        self._newest: FifoCache[ThreadKey, Newest] = FifoCache(THREADS)
        #: Odd while a commit is under way.
        self._turn = 0
        #: Held for every change.
        self._lock = threading.Lock()

    def find(self, run_id: str) -> Kept | None:
        """What is known of a run."""
        return self._kept.get(run_id)

    def newest(self, thread: ThreadKey, limit: int) -> Sequence[str] | None:
        """Ids of a thread's so many newest runs, newest first."""
        found = self._newest.get(thread)
        return None if found is None or found.limit < limit else found.run_ids[:limit]

    def look(self) -> int:
        """Called before reading the file; `fill` and `fill_newest` want what it returned."""
        return self._turn

    def fill(self, look: int, kept: Kept) -> None:
        """Take in what was read, unless a commit may have made it old."""
        with self._lock:
            if self._is_current(look):
                self._put(kept)

    def fill_newest(self, look: int, thread: ThreadKey, newest: Newest) -> None:
        """Take in what was read of a thread, unless a commit may have made it old."""
        with self._lock:
            if self._is_current(look):
                self._newest.keep(thread, newest)

    def begin_commit(
        self, run_ids: Collection[str], threads: Iterable[ThreadKey]
    ) -> Mapping[str, Kept]:
        """Take out what a commit changes; all that was known of these runs. `end_commit` must follow.

        The threads are those that gain or lose a run.
        """
        with self._lock:
            self._turn += 1
            if self._newest:
                for thread in threads:
                    self._newest.pop(thread, None)
            return {run_id: kept for run_id in run_ids if (kept := self._pop(run_id)) is not None}

    def end_commit(self, committed: Iterable[Kept] = ()) -> None:
        """Take in what was committed; nothing, when nothing was or when that is not known."""
        with self._lock:
            for kept in committed:
                self._put(kept)
            self._turn += 1

    def clear(self) -> None:
        """Forget everything: somebody else wrote to the file. Also undoes an earlier look at it."""
        with self._lock:
            self._turn += 2
            self._kept.clear()
            self._newest.clear()
            self._size = 0

    def _is_current(self, look: int) -> bool:
        """Whether no commit was under way since then, so that what was read is still so."""
        return look == self._turn and not look % 2

    def _put(self, kept: Kept) -> None:
        self._pop(kept.record.run_id)
        self._kept[kept.record.run_id] = kept
        self._size += _cost(kept)
        while self._size > self._capacity:
            self._pop(next(iter(self._kept)))

    def _pop(self, run_id: str) -> Kept | None:
        if (kept := self._kept.pop(run_id, None)) is not None:
            self._size -= _cost(kept)
        return kept


def _cost(kept: Kept) -> int:
    # Twice the encoded run: metadata and texts are in the decoded run as well.
    return ENTRY_COST + 2 * kept.record.size + len(kept.kwargs or b"")
