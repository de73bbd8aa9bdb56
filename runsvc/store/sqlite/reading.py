"""The reading part of the SQLite store.

Reads of a single run take microseconds and run on the event loop, because a change of threads takes ten times as long.
Reads that may return many rows run on threads of their own. Each answer is as of one moment: it comes from one
statement, or from the cache alone. A statement is a read transaction of its own, so a cancelled read leaves none open.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.errors import RevisionCompacted, StoreUnavailable
from runsvc.core.model import LIVE, RunStatus
from runsvc.core.owners import covers
from runsvc.core.queue import Limit
from runsvc.core.run_id import upper_bound
from runsvc.store import rows
from runsvc.store.sqlite import queue_facts
from runsvc.store.sqlite.cache import CachedRun, NewestRuns, ThreadKey
from runsvc.store.sqlite.connection import connect_reader, translated
from runsvc.store.sqlite.queue import LIMITS
from runsvc.store.sqlite.read_thread import ReadThread
from runsvc.store.sqlite.sql_fragments import (
    IS_ACTIVE,
    IS_LIVE,
    NEWEST_FIRST,
    RECORD,
    RUNS,
    by_id,
)
from runsvc.store.values import Census, Clock, Inflight, LogSlice, RunState, Snapshot, TopicKind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from runsvc.core.owners import Scope
    from runsvc.store.base import Codec
    from runsvc.store.queries import PageKey, PageQuery
    from runsvc.store.queue import Waits
    from runsvc.store.sqlite.cache import RunCache
    from runsvc.store.values import LogEntry, Record, Topic

_INPUT_AND_RESULT: Final = ", ".join(rows.INPUT_AND_RESULT)
_LOG: Final = ", ".join(rows.LOG)
#: Records that are checked at once on the event loop.
_CHUNK: Final = 128
#: Longest page that may come from the cache. Its ids are read on the event loop.
_SHORT_PAGE: Final = 32
_OLDEST: Final = "coalesce((SELECT min(revision) FROM log), revision + 1)"

#: The condition for each kind of topic, within every owner's runs.
_MATCHES: Final = {
    TopicKind.RUN: "run_id = :key",
    TopicKind.THREAD: "thread_id = :key",
    TopicKind.ASSISTANT: "assistant_id = :key",
    TopicKind.ALL: "true",
}
#: The log finds the entries of an owner and an assistant by the owner. The plus keeps SQLite from finding them by the
#: assistant, which many owners may use.
_LOG_MATCHES: Final = {**_MATCHES, TopicKind.ASSISTANT: "+assistant_id = :key"}


class SqliteReading:
    """Implements ReadingStore."""

    def __init__(self, path: Path, codec: Codec, cache: RunCache) -> None:
        self._path = path
        self._codec = codec
        self._cache = cache
        self._inline: sqlite3.Connection | None = None
        #: One connection for pages, one for watchers, so that a page does not wait for a long catch-up.
        self._pages: ReadThread | None = None
        self._log: ReadThread | None = None

    async def open(self) -> None:
        """Connect to the file, which must be migrated."""
        with translated():
            self._inline = connect_reader(self._path)
            self._pages = ReadThread.open(self._path)
            self._log = ReadThread.open(self._path)

    async def close(self) -> None:
        """Disconnect."""
        for connection in (self._pages, self._log):
            if connection is not None:
                await connection.close()
        if self._inline is not None:
            self._inline.close()
        self._inline = self._pages = self._log = None

    async def get(self, run_id: str, scope: Scope) -> Record | None:
        cached = self._cached(run_id, scope)
        if cached is not None and cached.kwargs is not None:
            return cached.record._replace(kwargs=cached.kwargs, result=cached.result)
        generation = self._cache.generation()
        found = self._by_id(f"{RECORD}, {_INPUT_AND_RESULT}", run_id, scope)
        if not found:
            return None
        record = rows.to_record(found[0])
        self._codec.check(record)
        bare = record._replace(kwargs=None, result=None)
        self._cache.fill(generation, CachedRun(bare, record.kwargs, result=record.result))
        return record

    async def get_without_kwargs(self, run_id: str, scope: Scope) -> Record | None:
        if (cached := self._cached(run_id, scope)) is not None:
            return cached.record
        found = self._by_id(RECORD, run_id, scope)
        return rows.to_record(found[0]) if found else None

    async def inflight(self, owner: str, thread_id: str) -> Inflight:
        where = f"owner = ? AND thread_id = ? AND {IS_LIVE}"
        statement = f"SELECT run_id, status FROM runs WHERE {where} {NEWEST_FIRST}"
        found = self._fetch_on_loop(statement, (owner, thread_id))
        active = [run_id for run_id, status in found if status != RunStatus.QUEUED]
        queued = [run_id for run_id, status in found if status == RunStatus.QUEUED]
        return Inflight(active, queued[::-1])

    async def waits(self, records: Sequence[Record]) -> Mapping[str, Waits]:
        return queue_facts.waits(self._fetch_on_loop, records)

    async def limits(self) -> Sequence[Limit]:
        return [Limit._make(row) for row in self._fetch_on_loop(LIMITS)]

    async def clock(self) -> Clock:
        (row,) = self._fetch_on_loop(f"SELECT store_id, revision, {_OLDEST} FROM clock")
        return Clock(*row)

    async def count_active(self) -> int:
        return (await self.census()).active_runs

    async def census(self) -> Census:
        active = f"SELECT count(*) FROM runs WHERE {IS_ACTIVE}"
        queued = "SELECT count(*) FROM runs WHERE status = 7"
        statement = f"SELECT store_id, revision, {_OLDEST}, ({active}), ({queued}) FROM clock"
        ((store_id, revision, oldest, *counts),) = await _opened(self._pages).fetch(statement)
        return Census(Clock(store_id, revision, oldest), *counts)

    async def page(self, query: PageQuery) -> Sequence[Record]:
        generation = self._cache.generation()
        is_short = query.limit <= _SHORT_PAGE and not query.statuses
        if is_short and (cached := self._cached_page(query, generation)) is not None:
            return _cut(cached, query.max_bytes)
        page: list[Record] = []
        for number, row in enumerate(await self._page_rows(query), start=1):
            self._codec.check(record := rows.to_record(row))
            page.append(record)
            if number % _CHUNK == 0:
                await asyncio.sleep(0)
        if is_short:
            for record in page:
                # A cached run may have more parts.
                if self._cache.find(record.run_id) is None:
                    self._cache.fill(generation, CachedRun(record))
        return _cut(page, query.max_bytes)

    async def with_displaced(self, run_id: str) -> Sequence[Record]:
        statement = f"""
            SELECT {RECORD} FROM {RUNS} WHERE run_id = :run_id OR superseded_by = :run_id
            ORDER BY run_id = :run_id DESC, revision
        """
        found = await _opened(self._pages).fetch(statement, {"run_id": run_id})
        return list(map(rows.to_record, found))

    async def ended(self, by: datetime, after: str, limit: int) -> Sequence[str]:
        # Without an index on ended_at, which would slow every end down. A run that ended by then was created by then.
        statement = """
            SELECT run_id FROM runs WHERE run_id > :after AND run_id < :upper_bound AND ended_at <= :by
            ORDER BY run_id LIMIT :limit
        """
        parameters = {
            "after": after,
            "upper_bound": upper_bound(by),
            "by": rows.microseconds(by),
            "limit": limit,
        }
        return [row[0] for row in await _opened(self._pages).fetch(statement, parameters)]

    async def snapshot(self, topic: Topic) -> Snapshot:
        matches = _matches(_MATCHES, topic)
        if topic.kind is not TopicKind.RUN:
            matches += f" AND {IS_LIVE}"
        # The clock is part of each row, and alone in one if no run matches.
        statement = f"""
            SELECT clock.revision, found.run_id, found.revision FROM clock LEFT JOIN (
              SELECT run_id, revision, created_at FROM runs WHERE {matches}
            ) AS found ORDER BY found.created_at, found.run_id
        """
        found = await _opened(self._log).fetch(statement, _parameters(topic))
        states = [RunState(*row[1:]) for row in found if row[1] is not None]
        return Snapshot(states, found[0][0])

    async def recall(self, states: Sequence[RunState]) -> Sequence[Record | LogEntry]:
        statement = f"SELECT {RECORD} FROM {RUNS} WHERE run_id IN ({_placeholders(states)})"
        stored = await _opened(self._log).fetch(statement, [state.run_id for state in states])
        unchanged = {RunState(one.run_id, one.revision): one for one in map(rows.to_record, stored)}
        changed = [state for state in states if state not in unchanged]
        logged = await self._logged(changed) if changed else {}
        found = [unchanged.get(state) or logged.get(state.revision) for state in states]
        return [one for one in found if one is not None and one.body is not None]

    async def _logged(self, states: Sequence[RunState]) -> dict[int, LogEntry]:
        """The log entries of these revisions, by revision. The entry of a removed run may be missing."""
        statement = f"SELECT {_LOG} FROM log WHERE revision IN ({_placeholders(states)})"
        found = await _opened(self._log).fetch(statement, [state.revision for state in states])
        logged = {entry.revision: entry for entry in map(rows.to_entry, found)}
        missing = [state.run_id for state in states if state.revision not in logged]
        existing = f"SELECT run_id FROM runs WHERE run_id IN ({_placeholders(missing)}) LIMIT 1"
        if missing and await _opened(self._log).fetch(existing, missing):
            clock = await self.clock()
            raise RevisionCompacted(clock.oldest_revision, clock.revision)
        return logged

    async def log_since(self, topic: Topic, revision: int, limit: int) -> LogSlice:
        statement = f"""
            SELECT clock.revision, clock.oldest, found.* FROM (
              SELECT revision, {_OLDEST} AS oldest FROM clock
            ) AS clock LEFT JOIN (
              SELECT {_LOG} FROM log WHERE {_matches(_LOG_MATCHES, topic)} AND revision > :revision
              ORDER BY revision LIMIT :limit
            ) AS found ORDER BY found.revision
        """
        found = await _opened(self._log).fetch(
            statement,
            {**_parameters(topic), "revision": revision, "limit": limit},
        )
        current, oldest = found[0][:2]
        if revision < oldest - 1:
            raise RevisionCompacted(oldest, current)
        entries = [rows.to_entry(row[2:]) for row in found if row[2] is not None]
        return LogSlice(entries, entries[-1].revision if len(entries) == limit else current)

    async def log_tail(self, limit: int, max_bytes: int) -> Sequence[LogEntry]:
        # `size` is the sum of all newer bodies, so the entry that takes the sum over max_bytes is included.
        statement = f"""
            SELECT {_LOG} FROM (
              SELECT *, sum(length(body)) OVER newer AS size FROM log WINDOW newer AS (
                ORDER BY revision DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
              ) ORDER BY revision DESC LIMIT :limit
            ) WHERE coalesce(size, 0) <= :max_bytes
        """
        parameters = {"limit": limit, "max_bytes": max_bytes}
        found = await _opened(self._log).fetch(statement, parameters)
        return [rows.to_entry(row) for row in reversed(found)]

    async def log_begin(self, time: datetime) -> int:
        # Reads every older entry, but those are about to be dropped.
        statement = """
            SELECT coalesce(
              (SELECT revision FROM log WHERE time > :time ORDER BY revision LIMIT 1), revision + 1
            ) FROM clock
        """
        found = await _opened(self._log).fetch(statement, {"time": rows.microseconds(time)})
        return int(found[0][0])

    def _cached_page(self, query: PageQuery, generation: int) -> list[Record] | None:
        """A short page if all of its runs are cached and no commit has begun or ended meanwhile."""
        return self._cache.records(self._page_ids(query, generation), generation)

    def _page_ids(self, query: PageQuery, generation: int) -> Sequence[str]:
        """Ids of a short page's runs, from the cache or from the index."""
        thread = ThreadKey(query.owner, query.thread_id)
        if query.after is None and (known := self._cache.newest(thread, query.limit)) is not None:
            return known
        where, parameters = _after_position(query, query.after)
        statement = f"SELECT run_id FROM runs WHERE {where} {NEWEST_FIRST} LIMIT :limit"
        found = self._fetch_on_loop(statement, parameters | {"limit": query.limit})
        run_ids = [row[0] for row in found]
        if query.after is None:
            self._cache.fill_newest(generation, thread, NewestRuns(run_ids, query.limit))
        return run_ids

    async def _page_rows(self, query: PageQuery) -> Sequence[rows.Row]:
        where, parameters = _after_position(query, query.after)
        if query.statuses:
            where += f" AND status IN ({', '.join(str(int(each)) for each in query.statuses)})"
        if query.statuses and query.statuses <= LIVE:
            # The exact condition of the index, so that SQLite uses it.
            where += f" AND {IS_LIVE}"
        statement = f"SELECT {RECORD} FROM {RUNS} WHERE {where} {NEWEST_FIRST} LIMIT :limit"
        parameters["limit"] = query.limit
        return await _opened(self._pages).fetch(statement, parameters, max_bytes=query.max_bytes)

    def _by_id(self, columns: str, run_id: str, scope: Scope) -> list[tuple[Any, ...]]:
        """The row of a run in the scope. A run outside it takes the same statement as an unknown id."""
        where, parameters = by_id(run_id, scope)
        return self._fetch_on_loop(f"SELECT {columns} FROM {RUNS} {where}", parameters)

    def _cached(self, run_id: str, scope: Scope) -> CachedRun | None:
        if self._inline is None:
            raise StoreUnavailable("it is closed")
        cached = self._cache.find(run_id)
        return cached if cached is not None and covers(scope, cached.record.owner) else None

    def _fetch_on_loop(
        self, statement: str, parameters: Mapping[str, object] | Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        if self._inline is None:
            raise StoreUnavailable("it is closed")
        with translated():
            return self._inline.execute(statement, parameters).fetchall()


def _opened(reader: ReadThread | None) -> ReadThread:
    if reader is None:
        raise StoreUnavailable("it is closed")
    return reader


def _after_position(query: PageQuery, after: PageKey | None) -> tuple[str, dict[str, object]]:
    """The condition for a thread's runs after a position in its list, and the parameters."""
    where = "owner = :owner AND thread_id = :thread_id"
    parameters: dict[str, object] = {"owner": query.owner, "thread_id": query.thread_id}
    if after is None:
        return where, parameters
    position = {"created_at": rows.microseconds(after.created_at), "run_id": after.run_id}
    return f"{where} AND (created_at, run_id) < (:created_at, :run_id)", parameters | position


def _matches(conditions: Mapping[TopicKind, str], topic: Topic) -> str:
    """The condition for a topic. Those of every owner have an index by their key."""
    if topic.scope is None:
        return _MATCHES[topic.kind]
    return f"owner = :owner AND {conditions[topic.kind]}"


def _parameters(topic: Topic) -> dict[str, object]:
    return {"owner": topic.scope, "key": topic.key}


def _cut(records: list[Record], max_bytes: int) -> list[Record]:
    """The records up to the one that takes the sum of sizes over `max_bytes`."""
    size = 0
    for number, record in enumerate(records, start=1):
        size += record.size
        if size > max_bytes:
            return records[:number]
    return records


def _placeholders(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
