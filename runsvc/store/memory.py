"""The store in memory: for tests, and the contract in its simplest form. Lost with the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from runsvc.core import lifecycle
from runsvc.core.errors import RevisionCompacted, StoreUnavailable
from runsvc.core.model import ACTIVE
from runsvc.store import _rows
from runsvc.store._attached import Attached
from runsvc.store.attachments import Abandoned, AnyReleased
from runsvc.store.base import (
    ActiveCount,
    ActiveOnThread,
    ById,
    ByRequest,
    Clock,
    DueLeases,
    DueTimeouts,
    Lapsed,
    Loaded,
    LogSlice,
    NewestActive,
    Now,
    Orphans,
    RawById,
    Record,
    RunState,
    Snapshot,
    TopicKind,
)
from runsvc.timekeeper import Timekeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from runsvc.core.model import Request, Run
    from runsvc.store.base import Changes, Count, LogEntry, PageQuery, Query, Saved, Topic


class _Row(NamedTuple):
    """A run with what only queries look at."""

    record: Record
    run: Run
    request: Request | None


class MemoryStore:
    """Implements Store in dictionaries, which only a commit touches."""

    kind = "memory"

    def __init__(self, timekeeper: Timekeeper | None = None) -> None:
        self._timekeeper = timekeeper or Timekeeper()
        #: Held while the writer's thread changes what the loop's thread reads.
        self._lock = threading.Lock()
        self._rows: dict[str, _Row] = {}
        self._log: list[LogEntry] = []
        #: When each entry was committed, by its revision.
        self._times: dict[int, datetime] = {}
        self._attached = Attached()
        self._store_id = str(uuid4())
        self._time = _rows.from_microseconds(0)
        self._revision = 0
        self._commits = 0
        self._staged: Changes | None = None
        self._is_open = False

    async def open(self) -> None:
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False

    def begin(self) -> Now:
        self._check_open()
        now = self._timekeeper.now(not_before=_rows.microseconds(self._time))
        return Now(_rows.from_microseconds(now), self._revision, self._commits)

    def load(self, queries: Collection[Query | Count]) -> Loaded:
        self._check_open()
        records: dict[Query, Sequence[Record]] = {}
        counts: dict[Count, int] = {}
        for query in queries:
            match query:
                case ActiveCount(owner, thread_id):
                    counts[query] = len(self._active_on_thread(owner, thread_id))
                case AnyReleased(server):
                    counts[query] = self._attached.any_released(server)
                case _:
                    records[query] = self._find(query)
        return Loaded(records, counts)

    def save(self, changes: Changes) -> None:
        self._check_open()
        self._staged = changes

    def commit(self) -> None:
        self._check_open()
        if (changes := self._staged) is None:
            return
        self._staged = None
        with self._lock:
            for saved in changes.runs:
                run_id = saved.run.run_id
                self._rows[run_id] = _row(saved, self._rows.get(run_id))
            for run_id in changes.deleted:
                del self._rows[run_id]
            for change in changes.attachments:
                self._attached.change(change)
            self._attached.keep_to(self._rows)
            self._log = [
                entry._replace(body=None) if entry.run_id in changes.deleted else entry
                for entry in (*self._log, *changes.log)
                if entry.revision > changes.forgotten
            ]
            self._times = {
                entry.revision: self._times.get(entry.revision, changes.time) for entry in self._log
            }
            self._time, self._revision = changes.time, changes.revision
            self._commits += 1

    def rollback(self) -> None:
        self._staged = None

    async def get(self, run_id: str) -> Record | None:
        self._check_open()
        row = self._rows.get(run_id)
        return row.record if row else None

    async def look_up(self, run_id: str) -> Record | None:
        record = await self.get(run_id)
        return record and record._replace(kwargs=None)

    async def active_on_thread(self, owner: str, thread_id: str) -> Sequence[str]:
        self._check_open()
        return [record.run_id for record in self._active_on_thread(owner, thread_id)]

    async def page(self, query: PageQuery) -> Sequence[Record]:
        found = self._search(
            lambda run: (
                (run.owner, run.thread_id) == (query.owner, query.thread_id)
                and (not query.statuses or run.status in query.statuses)
                and (query.after is None or (run.created_at, run.run_id) < query.after)
            )
        )
        page: list[Record] = []
        size = 0
        for record in reversed(found):
            if len(page) == query.limit or size > query.max_bytes:
                break
            page.append(record)
            size += record.size
        return page

    async def displaced_by(self, run_id: str) -> Sequence[Record]:
        return sorted(
            self._search(lambda run: run.superseded_by == run_id), key=lambda found: found.revision
        )

    async def ended(self, by: datetime, after: str, limit: int) -> Sequence[str]:
        found = self._search(lambda run: run.ended_at is not None and run.ended_at <= by)
        return sorted(record.run_id for record in found if record.run_id > after)[:limit]

    async def snapshot(self, topic: Topic) -> Snapshot:
        with self._lock:
            found = self._search(
                lambda run: (
                    _matches(topic, run) and (topic.kind is TopicKind.RUN or run.status in ACTIVE)
                )
            )
            states = [RunState(record.run_id, record.revision) for record in found]
            return Snapshot(states, self._revision)

    async def recall(self, states: Sequence[RunState]) -> Sequence[Record | LogEntry]:
        with self._lock:
            clock, log = self._clock(), {entry.revision: entry for entry in self._log}
        found: list[Record | LogEntry] = []
        for run_id, revision in states:
            record, entry = await self.look_up(run_id), log.get(revision)
            if record is not None and record.revision == revision:
                found.append(record)
            elif entry is None and record is not None:
                raise RevisionCompacted(clock.oldest_revision, clock.revision)
            elif entry is not None and entry.body is not None:
                found.append(entry)
        return found

    async def log_since(self, topic: Topic, revision: int, limit: int) -> LogSlice:
        self._check_open()
        with self._lock:
            clock, log = self._clock(), self._log
        if revision < clock.oldest_revision - 1:
            raise RevisionCompacted(clock.oldest_revision, clock.revision)
        newer = (entry for entry in log if entry.revision > revision)
        entries = [entry for entry in newer if _matches(topic, entry)][:limit]
        return LogSlice(entries, entries[-1].revision if len(entries) == limit else clock.revision)

    async def log_tail(self, limit: int, max_bytes: int) -> Sequence[LogEntry]:
        self._check_open()
        tail: list[LogEntry] = []
        size = 0
        for entry in reversed(self._log):
            if len(tail) == limit or size > max_bytes:
                break
            tail.append(entry)
            size += len(entry.body or b"")
        return tail[::-1]

    async def log_begin(self, time: datetime) -> int:
        self._check_open()
        with self._lock:
            revisions = (entry.revision for entry in self._log)
            younger = (each for each in revisions if self._times[each] > time)
            return next(younger, self._revision + 1)

    async def clock(self) -> Clock:
        self._check_open()
        with self._lock:
            return self._clock()

    async def count_active(self) -> int:
        return len(self._search(lambda run: run.status in ACTIVE))

    def _find(self, query: Query) -> Sequence[Record]:
        match query:
            case ById(run_id) | RawById(run_id):
                return self._search(lambda run: run.run_id == run_id)
            case ByRequest(key):
                rows = self._rows.values()
                return _without_kwargs(
                    row.record for row in rows if row.request and row.request.key == key
                )
            case ActiveOnThread(owner, thread_id):
                return self._active_on_thread(owner, thread_id)
            case NewestActive(owner, thread_id, limit):
                newest = self._active_on_thread(owner, thread_id)[:limit]
                return [
                    record._replace(body=b"", activity=b"", progress_sequence=None)
                    for record in newest
                ]
            case DueLeases():
                return self._first(query)
            case DueTimeouts():
                return self._first(query)
            case Abandoned():
                run_ids = self._attached.abandoned(query)
                return self._search(lambda run: run.run_id in run_ids)
            case Orphans(before, limit, lapsed):
                return self._search(
                    lambda run: (
                        run.status in ACTIVE
                        and (run.lease is None or _is_due(lapsed, run))
                        and (before is None or run.created_at <= before)
                    )
                )[:limit]

    def _first(self, query: DueLeases | DueTimeouts) -> Sequence[Record]:
        """The records of the runs whose terms end first, among those that are due."""
        due = self._search(lambda run: _is_due(query, run))
        due = sorted(due, key=lambda each: _end(query, self._rows[each.run_id].run) or query.at)
        return due[query.skip : query.skip + query.limit]

    def _clock(self) -> Clock:
        oldest = self._log[0].revision if self._log else self._revision + 1
        return Clock(self._store_id, self._revision, oldest)

    def _active_on_thread(self, owner: str, thread_id: str) -> Sequence[Record]:
        return self._search(
            lambda run: run.status in ACTIVE and (run.owner, run.thread_id) == (owner, thread_id)
        )[::-1]

    def _search(self, matches: Callable[[Run], bool]) -> Sequence[Record]:
        """Runs that match, oldest first, without kwargs."""
        self._check_open()
        found = [row.record for row in list(self._rows.values()) if matches(row.run)]
        return _without_kwargs(sorted(found, key=lambda record: (record.created_at, record.run_id)))

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailable("it is closed")


def _end(query: DueLeases | DueTimeouts | Lapsed, run: Run) -> datetime | None:
    """When the term that is asked for ends; None when the run has no such term."""
    if isinstance(query, DueTimeouts):
        limit = lifecycle.limit_of(run)
        return limit and limit.since + limit.length
    if run.lease is None or run.status not in ACTIVE or run.lease.ttl > query.longest:
        return None
    return run.lease.expires_at


def _is_due(query: DueLeases | DueTimeouts | Lapsed | None, run: Run) -> bool:
    if query is None:
        return False
    end = _end(query, run)
    return end is not None and end <= query.at


def _row(saved: Saved, before: _Row | None) -> _Row:
    run, encoded, creation, _ = saved
    request = creation.request if creation else before and before.request
    record = _rows.record_of(run, encoded, request.spec_hash if request else None)
    kwargs = creation.kwargs if creation else before and before.record.kwargs
    return _Row(record._replace(kwargs=kwargs), run, request)


def _without_kwargs(records: Iterable[Record]) -> Sequence[Record]:
    return [record._replace(kwargs=None) for record in records]


def _matches(topic: Topic, subject: Run | LogEntry) -> bool:
    key = {
        TopicKind.RUN: subject.run_id,
        TopicKind.THREAD: subject.thread_id,
        TopicKind.ASSISTANT: subject.assistant_id,
        TopicKind.ALL: topic.key,
    }[topic.kind]
    return subject.owner == topic.owner and key == topic.key
