"""The reads of a transaction: the queries of the contract as statements on the writer's connection."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import CorruptRow
from runsvc.core.owners import covers
from runsvc.store import rows
from runsvc.store.attachments import Abandoned, AnyReleased
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
from runsvc.store.sqlite import attachments
from runsvc.store.sqlite.cache import CachedRun
from runsvc.store.sqlite.sql_fragments import (
    IS_ACTIVE,
    IS_LIVE,
    NEWEST_FIRST,
    RECORD,
    RUNS,
    by_id,
)
from runsvc.store.values import Loaded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence

    from runsvc.core.model import Run
    from runsvc.store.base import Codec
    from runsvc.store.queries import Count, Query
    from runsvc.store.sqlite.cache import RunCache
    from runsvc.store.values import Record

#: The columns of a record without its activity and body, so that a large body is not even read.
_BARE: Final = (
    RECORD.replace("runs.body", "x''")
    .replace("activity.body", "x''")
    .replace("progress_sequence", "NULL")
)
#: The source of RECORD for a search by lease, which starts in `activity`.
_RUNS_BY_LEASE: Final = "activity CROSS JOIN runs USING (run_id)"
_LIVE_ON_THREAD: Final = f"WHERE owner = ? AND thread_id = ? AND {IS_LIVE}"
#: Reads the index of active and queued runs only, and no further than the limit.
_COUNT_OF_OWNER: Final = (
    f"SELECT count(*) FROM (SELECT 1 FROM runs WHERE owner = ? AND {IS_LIVE} LIMIT ?)"
)
_END_OF_TIME: Final = 2**63 - 1
_LEASE_IS_DUE: Final = "lease_expires_at <= ? AND lease_ttl <= ?"
#: Parameters of _LEASE_IS_DUE that no lease meets.
_NEVER: Final = (-1, -1)


class Loading:
    """Answers the queries of one transaction, before it has written anything."""

    def __init__(self, connection: sqlite3.Connection, codec: Codec, cache: RunCache) -> None:
        self._connection = connection
        self._codec = codec
        self._cache = cache
        self._records: dict[Query, Sequence[Record]] = {}
        self._counts: dict[Count, int] = {}
        self._runs: dict[str, Run] = {}

    def load(self, queries: Collection[Query | Count]) -> Loaded:
        """Answer the queries."""
        threads = [query for query in queries if isinstance(query, NewestActive | ActiveCount)]
        busy = self._busy(threads)
        for query in queries:
            if isinstance(query, AnyReleased):
                self._counts[query] = attachments.any_released(self._connection, query)
            elif isinstance(query, OwnerActiveCount):
                self._counts[query] = self._count_of_owner(query)
            elif isinstance(query, ActiveCount):
                is_busy = (query.owner, query.thread_id) in busy
                self._counts[query] = self._count(query) if is_busy else 0
            elif isinstance(query, NewestActive):
                is_busy = (query.owner, query.thread_id) in busy
                self._records[query] = self._find(query) if is_busy else []
            else:
                self._records[query] = self._find(query)
        return Loaded(self._records, self._counts, self._runs)

    def _busy(self, threads: Sequence[NewestActive | ActiveCount]) -> Collection[tuple[str, str]]:
        """The threads that may have active or queued runs. Most have none, and one statement finds that out for all."""
        if len(threads) <= 1:
            # Not worth a statement of its own.
            return [(query.owner, query.thread_id) for query in threads]
        asked = ", ".join(["(?, ?)"] * len(threads))
        parameters = [value for query in threads for value in (query.owner, query.thread_id)]
        found = self._connection.execute(
            f"""
            WITH asked (owner, thread_id) AS (VALUES {asked})
            SELECT owner, thread_id FROM asked WHERE EXISTS (
              SELECT 1 FROM runs WHERE owner = asked.owner AND thread_id = asked.thread_id
              AND {IS_LIVE}
            )
            """,
            parameters,
        )
        return frozenset(found.fetchall())

    def _by_id(self, query: ById) -> Sequence[Record]:
        cached = self._cache.find(query.run_id)
        if cached is None or not covers(query.scope, cached.record.owner):
            # Also for a cached run outside the scope, which takes the reads of an unknown id.
            return self._by_id_from_file(query)
        if cached.run is not None:
            self._runs[query.run_id] = cached.run
        return [cached.record]

    def _by_id_from_file(self, query: ById) -> Sequence[Record]:
        generation = self._cache.generation()
        where, parameters = by_id(query.run_id, query.scope)
        found = self._select(where, *parameters)
        for record in found:
            # A corrupt row fails the command that needs it, not the whole batch.
            with suppress(CorruptRow):
                run = self._runs[query.run_id] = self._codec.decode(record)
                self._cache.fill(generation, CachedRun(record, run=run))
        return found

    def _find(self, query: Query) -> Sequence[Record]:
        match query:
            case ById():
                return self._by_id(query)
            case RawById(run_id):
                return self._select("WHERE run_id = ?", run_id, read=rows.to_raw_record)
            case ByRequest(key):
                where = "WHERE owner = ? AND request_method = ? AND request_id = ?"
                return self._select(where, key.owner, key.method, key.request_id)
            case ActiveOnThread(owner, thread_id):
                return self._select(f"{_LIVE_ON_THREAD} {NEWEST_FIRST}", owner, thread_id)
            case NewestActive(owner, thread_id, limit):
                rest = f"{_LIVE_ON_THREAD} {NEWEST_FIRST} LIMIT ?"
                return self._select(rest, owner, thread_id, limit, columns=_BARE, source="runs")
            case Orphans():
                return self._orphans(query)
            case _:
                return self._due(query)

    def _due(self, query: DueLeases | DueTimeouts | Abandoned) -> Sequence[Record]:
        read = rows.to_raw_record
        match query:
            case DueLeases(_, _, limit, skip):
                where = f"WHERE {_LEASE_IS_DUE} ORDER BY lease_expires_at LIMIT ? OFFSET ?"
                parameters = (*_lease_parameters(query), limit, skip)
                return self._select(where, *parameters, source=_RUNS_BY_LEASE, read=read)
            case DueTimeouts(at, limit, skip):
                where = "WHERE timeout_at <= ? ORDER BY timeout_at LIMIT ? OFFSET ?"
                return self._select(where, rows.microseconds(at), limit, skip, read=read)
            case Abandoned():
                abandoned = attachments.parameters(query)
                return self._select(attachments.ABANDONED, *abandoned, read=read)

    def _orphans(self, query: Orphans) -> Sequence[Record]:
        # IS_ACTIVE stays beside a narrower condition: the index is of active runs.
        statuses = ", ".join(str(int(status)) for status in sorted(query.statuses))
        where = (
            f"WHERE {IS_ACTIVE} AND (lease_expires_at IS NULL OR {_LEASE_IS_DUE})"
            f" AND status IN ({statuses}) AND assistant_id IS coalesce(?, assistant_id)"
        )
        at = _END_OF_TIME if query.before is None else rows.microseconds(query.before)
        lapsed = _lease_parameters(query.lapsed) if query.lapsed else _NEVER
        where += " AND created_at <= ? AND coalesce(owner = ?, true)"
        rest = f"{where} ORDER BY created_at LIMIT ?"
        return self._select(rest, *lapsed, query.assistant_id, at, query.scope, query.limit)

    def _count_of_owner(self, query: OwnerActiveCount) -> int:
        found = self._connection.execute(_COUNT_OF_OWNER, (query.owner, query.limit)).fetchall()
        return int(found[0][0])

    def _count(self, query: ActiveCount) -> int:
        statement = f"SELECT count(*) FROM runs {_LIVE_ON_THREAD} AND {IS_ACTIVE}"
        found = self._connection.execute(statement, (query.owner, query.thread_id)).fetchall()
        return int(found[0][0])

    def _select(
        self,
        rest: str,
        *parameters: object,
        columns: str = RECORD,
        source: str = RUNS,
        read: Callable[[rows.Row], Record] = rows.to_record,
    ) -> Sequence[Record]:
        found = self._connection.execute(f"SELECT {columns} FROM {source} {rest}", parameters)
        return [read(row) for row in found.fetchall()]


def _lease_parameters(query: DueLeases | Lapsed) -> tuple[int, int]:
    """The parameters of _LEASE_IS_DUE."""
    return rows.microseconds(query.at), rows.duration_value(query.longest)
