"""The readers' side of the SQLite store.

Point reads run on the event loop itself: they take microseconds, a hop to a thread ten times that. Whatever may return
many rows runs on aiosqlite's threads. Each statement is a read transaction of its own, so that a caller that gives up
leaves none open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import aiosqlite

from runsvc.core.errors import RevisionCompacted, StoreUnavailable
from runsvc.core.model import ACTIVE
from runsvc.core.run_id import upper_bound
from runsvc.store import _rows
from runsvc.store.base import Clock, LogSlice, PageKey, RunState, Snapshot, TopicKind
from runsvc.store.sqlite.cache import Kept, Newest, ThreadKey
from runsvc.store.sqlite.connection import connect_reader, translated
from runsvc.store.sqlite.sql_fragments import IS_ACTIVE, NEWEST_FIRST, RECORD, RUNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from runsvc.store.base import LogEntry, PageQuery, Record, Topic
    from runsvc.store.sqlite.cache import RunCache

_LOG: Final = ", ".join(_rows.LOG)
#: Rows of a page that are read at once.
_STRETCH: Final = 128
#: Runs of a page that is put together from those at hand: its ids are read on the loop.
_SHORT: Final = 32
_OLDEST: Final = "coalesce((SELECT min(revision) FROM log), revision + 1)"

#: How each kind of topic is searched for; every one has an index made for it.
_MATCHES: Final = {
    TopicKind.RUN: "owner = :owner AND run_id = :key",
    TopicKind.THREAD: "owner = :owner AND thread_id = :key",
    TopicKind.ASSISTANT: "owner = :owner AND assistant_id = :key",
    TopicKind.ALL: "owner = :owner",
}
#: For everything the log's own order is the index. The plus keeps SQLite from taking another one, by which it would
#: find all entries and sort them, for every stretch anew.
_LOG_MATCHES: Final = {**_MATCHES, TopicKind.ALL: "+owner = :owner"}


class Reading:
    """Implements ReadingStore."""

    def __init__(self, path: Path, cache: RunCache) -> None:
        self._path = path
        self._cache = cache
        self._inline: sqlite3.Connection | None = None
        #: One for pages, one for watchers: a page does not wait for a long catch-up.
        self._pages: aiosqlite.Connection | None = None
        self._log: aiosqlite.Connection | None = None

    async def open_reading(self) -> None:
        """Connect; the file must be in order already."""
        with translated():
            self._inline = connect_reader(self._path)
            self._pages = await self._connect()
            self._log = await self._connect()

    async def close_reading(self) -> None:
        """Disconnect."""
        for connection in (self._pages, self._log):
            if connection is not None:
                await connection.close()
        if self._inline is not None:
            self._inline.close()
        self._inline = self._pages = self._log = None

    async def get(self, run_id: str) -> Record | None:
        kept = self._at_hand(run_id)
        if kept is not None and kept.kwargs is not None:
            return kept.record._replace(kwargs=kept.kwargs)
        look = self._cache.look()
        rows = self._now(f"SELECT {RECORD}, kwargs FROM {RUNS} WHERE run_id = ?", (run_id,))
        if not rows:
            return None
        record = _rows.to_record(rows[0])
        self._cache.fill(look, Kept(record._replace(kwargs=None), record.kwargs))
        return record

    async def look_up(self, run_id: str) -> Record | None:
        if (kept := self._at_hand(run_id)) is not None:
            return kept.record
        rows = self._now(f"SELECT {RECORD} FROM {RUNS} WHERE run_id = ?", (run_id,))
        return _rows.to_record(rows[0]) if rows else None

    async def active_on_thread(self, owner: str, thread_id: str) -> Sequence[str]:
        where = f"owner = ? AND thread_id = ? AND {IS_ACTIVE}"
        statement = f"SELECT run_id FROM runs WHERE {where} {NEWEST_FIRST}"
        rows = self._now(statement, (owner, thread_id))
        return [row[0] for row in rows]

    async def clock(self) -> Clock:
        rows = self._now(f"SELECT store_id, revision, {_OLDEST} FROM clock")
        return Clock(*rows[0])

    async def count_active(self) -> int:
        rows = await self._fetch(self._pages, f"SELECT count(*) FROM runs WHERE {IS_ACTIVE}", {})
        return int(rows[0][0])

    async def page(self, query: PageQuery) -> Sequence[Record]:
        if query.limit <= _SHORT and not query.statuses:
            short = await self._short_page(query)
            if short is not None:
                return short
        page: list[Record] = []
        size = 0
        after = query.after
        # In stretches, so that a page of large runs is not read beyond its size.
        while len(page) < query.limit and size <= query.max_bytes:
            asked = min(_STRETCH, query.limit - len(page))
            for record in (stretch := await self._stretch(query, after, asked)):
                page.append(record)
                size += record.size
                if size > query.max_bytes:
                    return page
            if len(stretch) < asked:
                break
            after = PageKey(stretch[-1].created_at, stretch[-1].run_id)
        return page

    async def displaced_by(self, run_id: str) -> Sequence[Record]:
        statement = f"SELECT {RECORD} FROM {RUNS} WHERE superseded_by = :run_id ORDER BY revision"
        return _records(await self._fetch(self._pages, statement, {"run_id": run_id}))

    async def ended(self, by: datetime, after: str, limit: int) -> Sequence[str]:
        # No index over ends, which every end would pay for: what ended by then was created by then.
        statement = """
            SELECT run_id FROM runs WHERE run_id > :after AND run_id < :beyond AND ended_at <= :by
            ORDER BY run_id LIMIT :limit
        """
        facts = {
            "after": after,
            "beyond": upper_bound(by),
            "by": _rows.microseconds(by),
            "limit": limit,
        }
        return [row[0] for row in await self._fetch(self._pages, statement, facts)]

    async def snapshot(self, topic: Topic) -> Snapshot:
        matches = _MATCHES[topic.kind]
        if topic.kind is not TopicKind.RUN:
            matches += f" AND {IS_ACTIVE}"
        # The clock comes in front of each row, and alone when there are none.
        statement = f"""
            SELECT clock.revision, found.run_id, found.revision FROM clock LEFT JOIN (
              SELECT run_id, revision, created_at FROM runs WHERE {matches}
            ) AS found ORDER BY found.created_at, found.run_id
        """
        rows = await self._fetch(self._log, statement, {"owner": topic.owner, "key": topic.key})
        states = [RunState(*row[1:]) for row in rows if row[1] is not None]
        return Snapshot(states, rows[0][0])

    async def recall(self, states: Sequence[RunState]) -> Sequence[Record | LogEntry]:
        wanted = _marks(states)
        statement = f"SELECT {RECORD} FROM {RUNS} WHERE run_id IN ({wanted})"
        rows = await self._fetch(self._log, statement, [state.run_id for state in states])
        unchanged = {RunState(one.run_id, one.revision): one for one in _records(rows)}
        changed = [state for state in states if state not in unchanged]
        logged = await self._logged(changed) if changed else {}
        found = [unchanged.get(state) or logged.get(state.revision) for state in states]
        return [one for one in found if one is not None and one.body is not None]

    async def _logged(self, states: Sequence[RunState]) -> dict[int, LogEntry]:
        """The log entries of these revisions, by revision; of a removed run perhaps none."""
        statement = f"SELECT {_LOG} FROM log WHERE revision IN ({_marks(states)})"
        rows = await self._fetch(self._log, statement, [state.revision for state in states])
        logged = {entry.revision: entry for entry in map(_rows.to_entry, rows)}
        lost = [state.run_id for state in states if state.revision not in logged]
        there = f"SELECT run_id FROM runs WHERE run_id IN ({_marks(lost)}) LIMIT 1"
        if lost and await self._fetch(self._log, there, lost):
            clock = await self.clock()
            raise RevisionCompacted(clock.oldest_revision, clock.revision)
        return logged

    async def log_since(self, topic: Topic, revision: int, limit: int) -> LogSlice:
        statement = f"""
            SELECT clock.revision, clock.oldest, found.* FROM (
              SELECT revision, {_OLDEST} AS oldest FROM clock
            ) AS clock LEFT JOIN (
              SELECT {_LOG} FROM log WHERE {_LOG_MATCHES[topic.kind]} AND revision > :revision
              ORDER BY revision LIMIT :limit
            ) AS found ORDER BY found.revision
        """
        rows = await self._fetch(
            self._log,
            statement,
            {"owner": topic.owner, "key": topic.key, "revision": revision, "limit": limit},
        )
        current, oldest = rows[0][:2]
        if revision < oldest - 1:
            raise RevisionCompacted(oldest, current)
        entries = [_rows.to_entry(row[2:]) for row in rows if row[2] is not None]
        return LogSlice(entries, entries[-1].revision if len(entries) == limit else current)

    async def log_tail(self, limit: int, max_bytes: int) -> Sequence[LogEntry]:
        # The entry that goes beyond is the first whose newer ones have more than what is left for them.
        statement = f"""
            SELECT {_LOG} FROM (
              SELECT *, sum(length(body)) OVER newer AS size FROM log WINDOW newer AS (
                ORDER BY revision DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
              ) ORDER BY revision DESC LIMIT :limit
            ) WHERE coalesce(size, 0) <= :max_bytes
        """
        parameters = {"limit": limit, "max_bytes": max_bytes}
        rows = await self._fetch(self._log, statement, parameters)
        return [_rows.to_entry(row) for row in reversed(rows)]

    async def log_begin(self, time: datetime) -> int:
        # Reads as many rows as are older: those that are about to go.
        statement = """
            SELECT coalesce(
              (SELECT revision FROM log WHERE time > :time ORDER BY revision LIMIT 1), revision + 1
            ) FROM clock
        """
        rows = await self._fetch(self._log, statement, {"time": _rows.microseconds(time)})
        return int(rows[0][0])

    async def _short_page(self, query: PageQuery) -> Sequence[Record] | None:
        """A page of runs at hand and of the others as they are now; None when one of these is gone by now."""
        look = self._cache.look()
        run_ids = self._page_ids(query, look)
        kept = list(map(self._cache.find, run_ids))
        page = [each.record for each in kept if each is not None]
        if len(page) < len(run_ids):
            found = {record.run_id: record for record in page}
            missing = [run_id for run_id in run_ids if run_id not in found]
            statement = f"SELECT {RECORD} FROM {RUNS} WHERE run_id IN ({_marks(missing)})"
            for record in _records(await self._fetch(self._pages, statement, missing)):
                found[record.run_id] = record
                self._cache.fill(look, Kept(record))
            if len(found) < len(run_ids):
                return None
            page = [found[run_id] for run_id in run_ids]
        return _ending_at(page, query.max_bytes)

    def _page_ids(self, query: PageQuery, look: int) -> Sequence[str]:
        """Ids of a short page's runs, as they are at hand or from the index."""
        thread = ThreadKey(query.owner, query.thread_id)
        if query.after is None and (known := self._cache.newest(thread, query.limit)) is not None:
            return known
        where, parameters = _behind(query, query.after)
        statement = f"SELECT run_id FROM runs WHERE {where} {NEWEST_FIRST} LIMIT :limit"
        rows = self._now(statement, parameters | {"limit": query.limit})
        run_ids = [row[0] for row in rows]
        if query.after is None:
            self._cache.fill_newest(look, thread, Newest(run_ids, query.limit))
        return run_ids

    async def _stretch(
        self, query: PageQuery, after: PageKey | None, limit: int
    ) -> Sequence[Record]:
        where, parameters = _behind(query, after)
        if query.statuses:
            where += f" AND status IN ({', '.join(str(int(each)) for each in query.statuses)})"
        if query.statuses and query.statuses <= ACTIVE:
            # Said in the words of the index that holds active runs alone.
            where += f" AND {IS_ACTIVE}"
        statement = f"SELECT {RECORD} FROM {RUNS} WHERE {where} {NEWEST_FIRST} LIMIT :limit"
        rows = await self._fetch(self._pages, statement, parameters | {"limit": limit})
        return _records(rows)

    def _at_hand(self, run_id: str) -> Kept | None:
        if self._inline is None:
            raise StoreUnavailable("it is closed")
        return self._cache.find(run_id)

    def _now(
        self, statement: str, parameters: Mapping[str, object] | Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        if self._inline is None:
            raise StoreUnavailable("it is closed")
        with translated():
            return self._inline.execute(statement, parameters).fetchall()

    async def _fetch(
        self,
        connection: aiosqlite.Connection | None,
        statement: str,
        parameters: Mapping[str, object] | Sequence[object],
    ) -> Sequence[tuple[Any, ...]]:
        if connection is None:
            raise StoreUnavailable("it is closed")
        with translated():
            rows = await connection.execute_fetchall(statement, parameters)
        return cast("Sequence[tuple[Any, ...]]", rows)

    async def _connect(self) -> aiosqlite.Connection:
        return await aiosqlite.Connection(lambda: connect_reader(self._path), iter_chunk_size=64)


def _behind(query: PageQuery, after: PageKey | None) -> tuple[str, dict[str, object]]:
    """The condition that a thread's runs behind a position meet, and its parameters."""
    where = "owner = :owner AND thread_id = :thread_id"
    parameters: dict[str, object] = {"owner": query.owner, "thread_id": query.thread_id}
    if after is None:
        return where, parameters
    position = {"created_at": _rows.microseconds(after.created_at), "run_id": after.run_id}
    return f"{where} AND (created_at, run_id) < (:created_at, :run_id)", parameters | position


def _ending_at(records: list[Record], max_bytes: int) -> list[Record]:
    """Those up to the one whose body goes beyond so many bytes."""
    size = 0
    for number, record in enumerate(records, start=1):
        size += record.size
        if size > max_bytes:
            return records[:number]
    return records


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _records(rows: Iterable[tuple[Any, ...]]) -> Sequence[Record]:
    return [_rows.to_record(row) for row in rows]
