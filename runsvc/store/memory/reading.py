"""The reading part of the memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.core.errors import RevisionCompacted
from runsvc.core.model import ACTIVE, LIVE, RunStatus
from runsvc.core.owners import covers
from runsvc.core.queue import NO_GATES, gated
from runsvc.store.memory.data import without_large
from runsvc.store.memory.queue import MemoryQueue, stopping_on_thread
from runsvc.store.queue import COUNTED, Waits
from runsvc.store.values import Census, Inflight, LogSlice, RunState, Snapshot, TopicKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runsvc.core.model import Run
    from runsvc.core.owners import Scope
    from runsvc.core.queue import Limit
    from runsvc.store.memory.data import MemoryData
    from runsvc.store.queries import PageQuery
    from runsvc.store.values import Clock, LogEntry, Record, Topic


class MemoryReading:
    """Implements ReadingStore. Records need no check: only this process wrote them."""

    def __init__(self, data: MemoryData) -> None:
        self._data = data

    async def get(self, run_id: str, scope: Scope) -> Record | None:
        self._data.check_open()
        with self._data.lock:
            row = self._data.rows.get(run_id)
        return row.record if row and covers(scope, row.record.owner) else None

    async def get_without_kwargs(self, run_id: str, scope: Scope) -> Record | None:
        record = await self.get(run_id, scope)
        return record and without_large(record)

    async def inflight(self, owner: str, thread_id: str) -> Inflight:
        self._data.check_open()
        found = self._data.live_on_thread(owner, thread_id)
        active = [record.run_id for record in found if record.status in ACTIVE]
        queued = [record.run_id for record in found if record.status is RunStatus.QUEUED]
        return Inflight(active, queued[::-1])

    async def waits(self, records: Sequence[Record]) -> Mapping[str, Waits]:
        self._data.check_open()
        with self._data.lock:
            runs = [
                self._data.rows[each.run_id].run
                for each in records
                if each.run_id in self._data.rows
            ]
            return {run.run_id: self._waits(run) for run in runs if run.status is RunStatus.QUEUED}

    def _waits(self, run: Run) -> Waits:
        live = self._data.live_on_thread(run.owner, run.thread_id)
        older = self._data.search(
            lambda other: (
                other.status is RunStatus.QUEUED
                and run.concurrency_key is not None
                and (other.owner, other.concurrency_key) == (run.owner, run.concurrency_key)
                and other.created_at < run.created_at
            )
        )
        return Waits(
            gated=gated(run) or NO_GATES,
            now=self._data.time,
            active=[each.run_id for each in live if each.status in ACTIVE],
            queued=[each.run_id for each in live if each.status is RunStatus.QUEUED][::-1],
            stopping=stopping_on_thread(self._data, run.owner, run.thread_id),
            ahead=min(len(older), COUNTED),
        )

    async def limits(self) -> Sequence[Limit]:
        return MemoryQueue(self._data).limits()

    async def page(self, query: PageQuery) -> Sequence[Record]:
        found = self._data.search(
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

    async def with_displaced(self, run_id: str) -> Sequence[Record]:
        return sorted(
            self._data.search(lambda run: run_id in (run.run_id, run.superseded_by)),
            key=lambda found: (found.run_id != run_id, found.revision),
        )

    async def ended(self, by: datetime, after: str, limit: int) -> Sequence[str]:
        found = self._data.search(lambda run: run.ended_at is not None and run.ended_at <= by)
        return sorted(record.run_id for record in found if record.run_id > after)[:limit]

    async def snapshot(self, topic: Topic) -> Snapshot:
        with self._data.lock:
            found = self._data.search(
                lambda run: (
                    _matches(topic, run) and (topic.kind is TopicKind.RUN or run.status in LIVE)
                )
            )
            states = [RunState(record.run_id, record.revision) for record in found]
            return Snapshot(states, self._data.revision)

    async def recall(self, states: Sequence[RunState]) -> Sequence[Record | LogEntry]:
        self._data.check_open()
        with self._data.lock:
            return self._recall(states)

    def _recall(self, states: Sequence[RunState]) -> list[Record | LogEntry]:
        clock, log = self._data.clock(), {entry.revision: entry for entry in self._data.log}
        found: list[Record | LogEntry] = []
        for run_id, revision in states:
            row, entry = self._data.rows.get(run_id), log.get(revision)
            if row is not None and row.record.revision == revision:
                found.append(without_large(row.record))
            elif entry is None and row is not None:
                raise RevisionCompacted(clock.oldest_revision, clock.revision)
            elif entry is not None and entry.body is not None:
                found.append(entry)
        return found

    async def log_since(self, topic: Topic, revision: int, limit: int) -> LogSlice:
        self._data.check_open()
        with self._data.lock:
            clock, log = self._data.clock(), self._data.log
        if revision < clock.oldest_revision - 1:
            raise RevisionCompacted(clock.oldest_revision, clock.revision)
        newer = (entry for entry in log if entry.revision > revision)
        entries = [entry for entry in newer if _matches(topic, entry)][:limit]
        return LogSlice(entries, entries[-1].revision if len(entries) == limit else clock.revision)

    async def log_tail(self, limit: int, max_bytes: int) -> Sequence[LogEntry]:
        self._data.check_open()
        tail: list[LogEntry] = []
        size = 0
        with self._data.lock:
            log = self._data.log
        for entry in reversed(log):
            if len(tail) == limit or size > max_bytes:
                break
            tail.append(entry)
            size += len(entry.body or b"")
        return tail[::-1]

    async def log_begin(self, time: datetime) -> int:
        self._data.check_open()
        with self._data.lock:
            revisions = (entry.revision for entry in self._data.log)
            younger = (each for each in revisions if self._data.times[each] > time)
            return next(younger, self._data.revision + 1)

    async def clock(self) -> Clock:
        self._data.check_open()
        with self._data.lock:
            return self._data.clock()

    async def count_active(self) -> int:
        return (await self.census()).active_runs

    async def census(self) -> Census:
        with self._data.lock:
            active = self._data.search(lambda run: run.status in ACTIVE)
            queued = self._data.search(lambda run: run.status is RunStatus.QUEUED)
            return Census(self._data.clock(), len(active), len(queued))


def _matches(topic: Topic, subject: Run | LogEntry) -> bool:
    key = {
        TopicKind.RUN: subject.run_id,
        TopicKind.THREAD: subject.thread_id,
        TopicKind.ASSISTANT: subject.assistant_id,
        TopicKind.ALL: topic.key,
    }[topic.kind]
    return covers(topic.scope, subject.owner) and key == topic.key
