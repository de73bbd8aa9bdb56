"""The reading part of the PostgreSQL store. Each answer comes from one statement, and so is as of one moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.errors import RevisionCompacted
from runsvc.core.model import LIVE, RunStatus
from runsvc.core.queue import Limit
from runsvc.core.run_id import upper_bound
from runsvc.store import rows
from runsvc.store.postgres import queue_facts
from runsvc.store.postgres.queue import LIMITS
from runsvc.store.postgres.sql import (
    HEAD,
    IS_ACTIVE,
    IS_LIVE,
    NEWEST_FIRST,
    RECORD,
    RUNS,
    TIME_LINE,
    identity,
)
from runsvc.store.postgres.values import ints, texts
from runsvc.store.values import Census, Clock, Inflight, LogSlice, RunState, Snapshot, TopicKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runsvc.core.owners import Scope
    from runsvc.store.base import Codec
    from runsvc.store.postgres.pool import Pool
    from runsvc.store.queries import PageQuery
    from runsvc.store.queue import Waits
    from runsvc.store.values import LogEntry, Record, Topic

LOG: Final = ", ".join(f"log.{column}" for column in rows.LOG)
#: Records that are checked at once on the event loop.
_CHUNK: Final = 128

_BY_ID: Final = f"""
    FROM {RUNS} WHERE runs.run_id = %s AND (%s::text IS NULL OR runs.owner = %s)
"""
_GET: Final = f"SELECT {RECORD}, {', '.join(rows.INPUT_AND_RESULT)} {_BY_ID}"
_GET_WITHOUT_LARGE: Final = f"SELECT {RECORD} {_BY_ID}"
_INFLIGHT: Final = f"""
    SELECT run_id, status FROM runs WHERE owner = %s AND thread_id = %s AND {IS_LIVE} {NEWEST_FIRST}
"""
#: The identity of the store, and the range of its log.
CLOCK: Final = f"""
    SELECT clock.store_id, {TIME_LINE},
      head.revision, head.forgotten + 1
"""
STATE: Final = f"clock, LATERAL (SELECT * {HEAD}) AS head"
_CENSUS: Final = f"""
    {CLOCK}, (SELECT count(*) FROM runs WHERE {IS_ACTIVE}),
      (SELECT count(*) FROM runs WHERE status = 7)
    FROM {STATE}
"""
_WITH_DISPLACED: Final = f"""
    SELECT {RECORD} FROM {RUNS} WHERE runs.run_id = %s OR runs.superseded_by = %s
    ORDER BY runs.run_id = %s DESC, runs.revision
"""
#: Without an index on ended_at, which would slow every end down. A run that ended by then was created by then.
_ENDED: Final = """
    SELECT run_id FROM runs WHERE run_id > %s AND run_id < %s AND ended_at <= %s
    ORDER BY run_id LIMIT %s
"""
#: Each state with its run, if the run is as of this state, and else with its log entry.
_RECALL: Final = f"""
    SELECT runs.run_id IS NOT NULL, runs.revision = asked.revision, {RECORD}, {LOG}
    FROM unnest(%s::text[], %s::bigint[]) WITH ORDINALITY AS asked (run_id, revision, n)
    LEFT JOIN runs ON runs.run_id = asked.run_id
    LEFT JOIN activity ON activity.run_id = runs.run_id AND runs.revision = asked.revision
    LEFT JOIN log ON log.revision = asked.revision
      AND runs.revision IS DISTINCT FROM asked.revision
    ORDER BY asked.n
"""
_LOG_BEGIN: Final = f"""
    SELECT coalesce((
      SELECT log.revision FROM log WHERE log.revision > head.forgotten AND log.time > %s
      ORDER BY log.revision LIMIT 1
    ), head.revision + 1) FROM (SELECT * {HEAD}) AS head
"""
#: `size` is the sum of all newer bodies, so the entry that takes the sum over the limit is included.
_LOG_TAIL: Final = f"""
    SELECT {LOG} FROM (
      SELECT *, sum(octet_length(body)) OVER (
        ORDER BY revision DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ) AS size FROM (SELECT * FROM log ORDER BY revision DESC LIMIT %s) AS newest
    ) AS log WHERE coalesce(size, 0) <= %s ORDER BY revision
"""
_PAGE: Final = f"""
    SELECT {{columns}} FROM (
      SELECT {RECORD}, sum(octet_length(runs.body) + octet_length(activity.body)) OVER (
        {NEWEST_FIRST} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ) AS size FROM (SELECT * FROM runs WHERE {{where}} {NEWEST_FIRST} LIMIT %s) AS runs
      JOIN activity ON activity.run_id = runs.run_id
    ) AS page ({{columns}}, size) WHERE coalesce(size, 0) <= %s ORDER BY c5 DESC, c0 DESC
"""
#: Names of the columns of RECORD, of which two have the same.
_NUMBERED: Final = ", ".join(f"c{number}" for number in range(len(rows.RECORD)))

#: The condition for each kind of topic, within every owner's runs.
_MATCHES: Final = {
    TopicKind.RUN: "{}.run_id = %s",
    TopicKind.THREAD: "{}.thread_id = %s",
    TopicKind.ASSISTANT: "{}.assistant_id = %s",
    TopicKind.ALL: "%s::text IS NOT NULL",
}


class PostgresReading:
    """Implements ReadingStore."""

    def __init__(self, pool: Pool, codec: Codec) -> None:
        self._pool = pool
        self._codec = codec

    async def get(self, run_id: str, scope: Scope) -> Record | None:
        found = await self._pool.fetch(_GET, (run_id, scope, scope))
        if not found:
            return None
        self._codec.check(record := rows.to_record(found[0]))
        return record

    async def get_without_kwargs(self, run_id: str, scope: Scope) -> Record | None:
        found = await self._pool.fetch(_GET_WITHOUT_LARGE, (run_id, scope, scope))
        return rows.to_record(found[0]) if found else None

    async def inflight(self, owner: str, thread_id: str) -> Inflight:
        found = await self._pool.fetch(_INFLIGHT, (owner, thread_id))
        active = [run_id for run_id, status in found if status != RunStatus.QUEUED]
        queued = [run_id for run_id, status in found if status == RunStatus.QUEUED]
        return Inflight(active, queued[::-1])

    async def waits(self, records: Sequence[Record]) -> Mapping[str, Waits]:
        return await queue_facts.waits(self._pool.fetch, records)

    async def limits(self) -> Sequence[Limit]:
        return list(map(Limit._make, await self._pool.fetch(LIMITS)))

    async def clock(self) -> Clock:
        found = await self._pool.fetch(f"{CLOCK} FROM {STATE}")
        return to_clock(found[0])

    async def count_active(self) -> int:
        found = await self._pool.fetch(f"SELECT count(*) FROM runs WHERE {IS_ACTIVE}")
        return int(found[0][0])

    async def census(self) -> Census:
        found = await self._pool.fetch(_CENSUS)
        return Census(to_clock(found[0]), *found[0][4:])

    async def page(self, query: PageQuery) -> Sequence[Record]:
        where = "owner = %s AND thread_id = %s"
        parameters: list[Any] = [query.owner, query.thread_id]
        if query.after is not None:
            where += " AND (created_at, run_id) < (%s, %s)"
            parameters += rows.microseconds(query.after.created_at), query.after.run_id
        if query.statuses:
            where += " AND status = ANY(%s::bigint[])"
            parameters.append(ints([int(status) for status in query.statuses]))
        if query.statuses and query.statuses <= LIVE:
            where += f" AND {IS_LIVE}"
        statement = _PAGE.format(where=where, columns=_NUMBERED)
        found = await self._pool.fetch(statement, (*parameters, query.limit, query.max_bytes))
        page = []
        for number, row in enumerate(found, start=1):
            self._codec.check(record := rows.to_record(row))
            page.append(record)
            if number % _CHUNK == 0:
                await asyncio.sleep(0)
        return page

    async def with_displaced(self, run_id: str) -> Sequence[Record]:
        return list(
            map(rows.to_record, await self._pool.fetch(_WITH_DISPLACED, (run_id, run_id, run_id)))
        )

    async def ended(self, by: datetime, after: str, limit: int) -> Sequence[str]:
        parameters = after, upper_bound(by), rows.microseconds(by), limit
        return [row[0] for row in await self._pool.fetch(_ENDED, parameters)]

    async def snapshot(self, topic: Topic) -> Snapshot:
        where, parameters = _matches("runs", topic)
        if topic.kind is not TopicKind.RUN:
            where += f" AND {IS_LIVE}"
        # The revision is part of each row, and alone in one if no run matches.
        statement = f"""
            SELECT head.revision, found.run_id, found.revision FROM (SELECT * {HEAD}) AS head
            LEFT JOIN (
              SELECT run_id, revision, created_at FROM runs WHERE {where}
            ) AS found ON true ORDER BY found.created_at, found.run_id
        """
        found = await self._pool.fetch(statement, parameters)
        states = [RunState(*row[1:]) for row in found if row[1] is not None]
        return Snapshot(states, found[0][0])

    async def recall(self, states: Sequence[RunState]) -> Sequence[Record | LogEntry]:
        run_ids, revisions = [each.run_id for each in states], [each.revision for each in states]
        found: list[Record | LogEntry] = []
        width = 2 + len(rows.RECORD)
        for exists, is_same, *row in await self._pool.fetch(
            _RECALL, (texts(run_ids), ints(revisions))
        ):
            record, entry = row[: width - 2], row[width - 2 :]
            if is_same:
                found.append(rows.to_record(record))
            elif entry[0] is None and exists:
                clock = await self.clock()
                raise RevisionCompacted(clock.oldest_revision, clock.revision)
            elif entry[0] is not None and entry[-1] is not None:
                found.append(rows.to_entry(entry))
        return found

    async def log_since(self, topic: Topic, revision: int, limit: int) -> LogSlice:
        where, parameters = _matches("log", topic)
        statement = f"""
            SELECT head.revision, head.forgotten + 1, found.* FROM (SELECT * {HEAD}) AS head
            LEFT JOIN (
              SELECT {LOG} FROM log WHERE {where} AND log.revision > %s
              ORDER BY log.revision LIMIT %s
            ) AS found ON true ORDER BY found.revision
        """
        found = await self._pool.fetch(statement, (*parameters, revision, limit))
        current, oldest = found[0][:2]
        if revision < oldest - 1:
            raise RevisionCompacted(oldest, current)
        entries = [rows.to_entry(row[2:]) for row in found if row[2] is not None]
        return LogSlice(entries, entries[-1].revision if len(entries) == limit else current)

    async def log_tail(self, limit: int, max_bytes: int) -> Sequence[LogEntry]:
        return list(map(rows.to_entry, await self._pool.fetch(_LOG_TAIL, (limit, max_bytes))))

    async def log_begin(self, time: datetime) -> int:
        found = await self._pool.fetch(_LOG_BEGIN, (rows.microseconds(time),))
        return int(found[0][0])


def to_clock(row: Sequence[Any]) -> Clock:
    """The clock in the columns of CLOCK."""
    store_id, time_line, revision, oldest = row[:4]
    return Clock(identity(store_id, time_line), revision, oldest)


def _matches(table: str, topic: Topic) -> tuple[str, tuple[str, ...]]:
    """The condition for a topic, and its parameters. Those of every owner have an index by their key."""
    where = _MATCHES[topic.kind].format(table)
    if topic.scope is None:
        return where, (topic.key,)
    return f"{where} AND {table}.owner = %s", (topic.key, topic.scope)
