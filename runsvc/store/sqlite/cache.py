"""The cache of the SQLite store: recently written or read runs, so that a busy run costs no SELECT.

It also has the ids of each busy thread's newest runs, for the first page of its list. Every record in it was checked or
written by this process.

An entry is never older than the last commit of this server. A commit takes the runs that it changes out of the cache
before it begins, and puts the new states in after it has ended. It also drops the threads that gain or lose a run.
During a commit, reads of these runs go to the file. A reader may fill the cache only if no commit has run since before
its SELECT. Writes of other programs are noticed by the next transaction, at most a quarter of a second later.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.fifo_cache import FifoCache

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from runsvc.core.model import Run
    from runsvc.store.values import Record

#: Bytes that the cached runs may take.
CAPACITY: Final = 16 << 20
#: Bytes that a cached run takes besides its encoded parts.
ENTRY_COST: Final = 1_500
#: Threads with cached ids, about 32 ids each.
THREADS: Final = 512


class CachedRun(NamedTuple):
    """The cached data of a run. Optional parts are None until they have been read or written here."""

    #: Without kwargs and result.
    record: Record
    kwargs: bytes | None = None
    #: The decoded run.
    run: Run | None = None
    #: Known if kwargs are; None if the run has none.
    result: bytes | None = None


class ThreadKey(NamedTuple):
    """Identifies a thread."""

    owner: str
    thread_id: str


class NewestRuns(NamedTuple):
    """Ids of a thread's newest runs, newest first."""

    run_ids: Sequence[str]
    #: The limit of the query that found them.
    limit: int


class RunCache:
    """The loop's thread reads and fills it; the writer's thread updates it. The oldest entries are evicted first."""

    def __init__(self, capacity: int = CAPACITY, threads: int = THREADS) -> None:
        self._capacity = capacity
        self._size = 0
        self._runs: dict[str, CachedRun] = {}
        self._newest: FifoCache[ThreadKey, NewestRuns] = FifoCache(threads)
        #: Odd during a commit.
        self._generation = 0
        #: Held for every change.
        self._lock = threading.Lock()

    def find(self, run_id: str) -> CachedRun | None:
        """The cached data of a run."""
        return self._runs.get(run_id)

    def newest(self, thread: ThreadKey, limit: int) -> Sequence[str] | None:
        """Ids of a thread's newest runs, newest first; None if fewer than `limit` were asked for before."""
        found = self._newest.get(thread)
        return None if found is None or found.limit < limit else found.run_ids[:limit]

    def records(self, run_ids: Sequence[str], generation: int) -> list[Record] | None:
        """The records of these runs as of one moment; None if one is not cached, or the generation has changed.

        During a commit they are also valid: a run that the commit changes is not cached.
        """
        with self._lock:
            if generation != self._generation:
                return None
            found = [each.record for run_id in run_ids if (each := self._runs.get(run_id))]
        return found if len(found) == len(run_ids) else None

    def generation(self) -> int:
        """The current generation. Get it before a read of the file, and pass it to `fill` or `fill_newest`."""
        return self._generation

    def fill(self, generation: int, cached: CachedRun) -> None:
        """Add a run that was read, unless a commit may have changed it since."""
        with self._lock:
            if self._is_current(generation):
                self._put(cached)

    def fill_newest(self, generation: int, thread: ThreadKey, newest: NewestRuns) -> None:
        """Add ids that were read, unless a commit may have changed them since."""
        with self._lock:
            if self._is_current(generation):
                self._newest.keep(thread, newest)

    def begin_commit(
        self, run_ids: Collection[str], threads: Iterable[ThreadKey]
    ) -> Mapping[str, CachedRun]:
        """Remove the runs that a commit changes, and the threads that gain or lose a run.

        Return the removed runs. `end_commit` must follow.
        """
        with self._lock:
            self._generation += 1
            if self._newest:
                for thread in threads:
                    self._newest.pop(thread, None)
            return {
                run_id: cached for run_id in run_ids if (cached := self._pop(run_id)) is not None
            }

    def end_commit(self, committed: Iterable[CachedRun] = ()) -> None:
        """Add the committed runs; none if the commit failed or its outcome is unknown."""
        with self._lock:
            for cached in committed:
                self._put(cached)
            self._generation += 1

    def clear(self) -> None:
        """Remove everything, because another program wrote to the file. Reads that began earlier cannot fill it."""
        with self._lock:
            self._generation += 2
            self._runs.clear()
            self._newest.clear()
            self._size = 0

    def _is_current(self, generation: int) -> bool:
        """True if no commit has run since that generation, nor did one run then."""
        return generation == self._generation and not generation % 2

    def _put(self, cached: CachedRun) -> None:
        self._pop(cached.record.run_id)
        self._runs[cached.record.run_id] = cached
        self._size += _cost(cached)
        while self._size > self._capacity:
            self._pop(next(iter(self._runs)))

    def _pop(self, run_id: str) -> CachedRun | None:
        if (cached := self._runs.pop(run_id, None)) is not None:
            self._size -= _cost(cached)
        return cached


def _cost(cached: CachedRun) -> int:
    # Twice the encoded run, because the decoded run has metadata and texts once more.
    large = len(cached.kwargs or b"") + len(cached.result or b"")
    return ENTRY_COST + 2 * cached.record.size + large
