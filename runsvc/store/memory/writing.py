"""The writing part of the memory store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from runsvc.core import stopping, terms
from runsvc.core.errors import StoreBusy
from runsvc.core.model import ACTIVE, LIVE, RunStatus
from runsvc.core.owners import covers
from runsvc.store import rows
from runsvc.store.attachments import Abandoned, AnyReleased
from runsvc.store.memory.data import MemoryRow, without_large
from runsvc.store.memory.queue import MemoryQueue
from runsvc.store.queries import (
    ActiveCount,
    ActiveOnThread,
    ById,
    ByRequest,
    DueLeases,
    DueTimeouts,
    Lapsed,
    NewestActive,
    Orphans,
    OwnerActiveCount,
    RawById,
)
from runsvc.store.values import Loaded, Now

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from runsvc.core.model import Run
    from runsvc.store.memory.data import MemoryData
    from runsvc.store.queries import Count, Query
    from runsvc.store.values import Changes, Record, Saved
    from runsvc.timekeeper import Timekeeper


#: Seconds after which a transaction gives up the wait for its lock.
LOCK_TIMEOUT: Final = 2.0


class MemoryWriting:
    """Implements WritingStore."""

    def __init__(
        self, data: MemoryData, timekeeper: Timekeeper, lock: threading.Lock | None = None
    ) -> None:
        """`lock` is held during a transaction. Without one, no other writer uses the data."""
        self._data = data
        self._timekeeper = timekeeper
        self._lock = lock
        self._has_lock = False
        self._staged: Changes | None = None
        self.queue = MemoryQueue(data)

    def begin(self) -> Now:
        self._data.check_open()
        if self._lock is not None:
            if not self._lock.acquire(timeout=LOCK_TIMEOUT):
                raise StoreBusy("another server holds the lock")
            self._has_lock = True
        now = self._timekeeper.now(not_before=rows.microseconds(self._data.time))
        has_queued = bool(self._data.search(lambda run: run.status is RunStatus.QUEUED))
        time, data = rows.from_microseconds(now), self._data
        store_id = "" if self._lock is None else data.store_id
        return Now(time, data.revision, data.commits, has_queued, store_id)

    def load(self, queries: Collection[Query | Count]) -> Loaded:
        self._data.check_open()
        records: dict[Query, Sequence[Record]] = {}
        counts: dict[Count, int] = {}
        for query in queries:
            match query:
                case ActiveCount(owner, thread_id):
                    counts[query] = len(self._data.active_on_thread(owner, thread_id))
                case OwnerActiveCount(owner, limit):
                    counts[query] = self._count_of_owner(owner, limit)
                case AnyReleased(server):
                    counts[query] = self._data.attachments.any_released(server)
                case _:
                    records[query] = self._find(query)
        return Loaded(records, counts)

    def save(self, changes: Changes) -> None:
        self._data.check_open()
        self._staged = changes

    def commit(self) -> None:
        self._data.check_open()
        if (changes := self._staged) is None:
            return
        with self._data.lock:
            for saved in changes.runs:
                run_id = saved.run.run_id
                self._data.rows[run_id] = _row(saved, self._data.rows.get(run_id))
            for run_id in changes.deleted:
                del self._data.rows[run_id]
            for change in changes.attachments:
                self._data.attachments.change(change)
            self._data.attachments.keep_only(self._data.rows)
            for prefix, width in changes.limits:
                self._data.limits.pop(prefix, None)
                if width is not None:
                    self._data.limits[prefix] = width
            self._data.log = [
                entry._replace(body=None) if entry.run_id in changes.deleted else entry
                for entry in (*self._data.log, *changes.log)
                if entry.revision > changes.forgotten
            ]
            self._data.times = {
                entry.revision: self._data.times.get(entry.revision, changes.time)
                for entry in self._data.log
            }
            self._data.time, self._data.revision = changes.time, changes.revision
            for run_id in changes.progressed:
                self._data.progress += 1
                self._data.progressed.append((self._data.progress, run_id))
            self._data.commits += 1
        self._end()

    def rollback(self) -> None:
        self._end()

    def _end(self) -> None:
        self._staged = None
        if self._lock is not None and self._has_lock:
            self._has_lock = False
            self._lock.release()

    def _find(self, query: Query) -> Sequence[Record]:
        match query:
            case ById(run_id, scope):
                return self._data.search(
                    lambda run: run.run_id == run_id and covers(scope, run.owner)
                )
            case RawById(run_id):
                return self._data.search(lambda run: run.run_id == run_id)
            case ByRequest(key):
                return [
                    without_large(row.record)
                    for row in self._data.rows.values()
                    if row.request and row.request.key == key
                ]
            case ActiveOnThread(owner, thread_id):
                return self._data.live_on_thread(owner, thread_id)
            case NewestActive(owner, thread_id, limit):
                newest = self._data.live_on_thread(owner, thread_id)[:limit]
                return [
                    record._replace(body=b"", activity=b"", progress_sequence=None)
                    for record in newest
                ]
            case DueLeases() | DueTimeouts():
                return self._first_due(query)
            case Abandoned():
                run_ids = self._data.attachments.abandoned(query)
                return self._data.search(lambda run: run.run_id in run_ids)
            case Orphans():
                return self._data.search(partial(_is_orphan, query))[: query.limit]

    def _count_of_owner(self, owner: str, limit: int) -> int:
        found = self._data.search(lambda run: run.status in LIVE and run.owner == owner)
        return min(len(found), limit)

    def _first_due(self, query: DueLeases | DueTimeouts) -> Sequence[Record]:
        """The due runs that ended first, within the bounds of the query."""
        due = self._data.search(lambda run: _is_due(query, run))
        due = sorted(
            due, key=lambda each: _end(query, self._data.rows[each.run_id].run) or query.at
        )
        return due[query.skip : query.skip + query.limit]


def _end(query: DueLeases | DueTimeouts | Lapsed, run: Run) -> datetime | None:
    """End of the run's lease or current timeout, whichever the query is about; None if the query excludes the run."""
    if isinstance(query, DueTimeouts):
        limit = terms.limit_of(run)
        return limit and limit.since + limit.length
    if run.lease is None or run.lease.ttl > query.longest:
        return None
    if run.status not in ACTIVE and not stopping.is_stopping(run):
        return None
    return run.lease.expires_at


def _is_due(query: DueLeases | DueTimeouts | Lapsed | None, run: Run) -> bool:
    if query is None:
        return False
    end = _end(query, run)
    return end is not None and end <= query.at


def _is_orphan(query: Orphans, run: Run) -> bool:
    return (
        run.status in ACTIVE & query.statuses
        and covers(query.scope, run.owner)
        and (run.lease is None or _is_due(query.lapsed, run))
        and (query.before is None or run.created_at <= query.before)
        and query.assistant_id in (None, run.assistant_id)
        and covers(query.scope, run.owner)
    )


def _row(saved: Saved, before: MemoryRow | None) -> MemoryRow:
    run, encoded, creation, _, result, _ = saved
    request = creation.request if creation else before and before.request
    record = rows.record_of(run, encoded, request.spec_hash if request else None)
    kwargs = creation.kwargs if creation else before and before.record.kwargs
    if result is None and before is not None:
        result = before.record.result
    return MemoryRow(record._replace(kwargs=kwargs, result=result), run, request)
