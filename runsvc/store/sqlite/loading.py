"""What a transaction reads: the named queries of the contract as statements on the writer's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.store import _rows
from runsvc.store.attachments import Abandoned, AnyReleased
from runsvc.store.base import (
    ActiveCount,
    ActiveOnThread,
    ById,
    ByRequest,
    DueLeases,
    DueTimeouts,
    Lapsed,
    Loaded,
    NewestActive,
    Orphans,
    RawById,
)
from runsvc.store.sqlite import attachments
from runsvc.store.sqlite.cache import Kept
from runsvc.store.sqlite.sql_fragments import IS_ACTIVE, NEWEST_FIRST, RECORD, RUNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence

    from runsvc.core.model import Run
    from runsvc.store.base import Count, Query, Record
    from runsvc.store.sqlite.cache import RunCache

#: The columns of a record without its activity and body, so that a large one is not even read.
_BARE: Final = (
    RECORD.replace("runs.body", "x''")
    .replace("activity.body", "x''")
    .replace("progress_sequence", "NULL")
)
_ACTIVE_ON_THREAD: Final = f"WHERE owner = ? AND thread_id = ? AND {IS_ACTIVE}"
#: RUNS, searched by the lease.
_BY_LEASE: Final = "activity CROSS JOIN runs USING (run_id)"
_END_OF_TIME: Final = 2**63 - 1
_LEASE_IS_DUE: Final = "lease_expires_at <= ? AND lease_ttl <= ?"
#: Parameters with which nothing is due.
_NEVER: Final = (-1, -1)


class Loading:
    """Answers the queries of one transaction that has written nothing yet."""

    def __init__(self, connection: sqlite3.Connection, cache: RunCache) -> None:
        self._connection = connection
        self._cache = cache
        self._records: dict[Query, Sequence[Record]] = {}
        self._counts: dict[Count, int] = {}
        self._runs: dict[str, Run] = {}

    def load(self, queries: Collection[Query | Count]) -> Loaded:
        """The answers."""
        threads = [query for query in queries if isinstance(query, NewestActive | ActiveCount)]
        busy = self._busy(threads)
        for query in queries:
            if isinstance(query, AnyReleased):
                self._counts[query] = attachments.any_released(self._connection, query)
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
        """Those that may have active runs: most have none, and that is found out for all of them at once."""
        if len(threads) <= 1:
            # Not worth a question of its own.
            return [(query.owner, query.thread_id) for query in threads]
        asked = ", ".join(["(?, ?)"] * len(threads))
        parameters = [value for query in threads for value in (query.owner, query.thread_id)]
        rows = self._connection.execute(
            f"""
            WITH asked (owner, thread_id) AS (VALUES {asked})
            SELECT owner, thread_id FROM asked WHERE EXISTS (
              SELECT 1 FROM runs WHERE owner = asked.owner AND thread_id = asked.thread_id
              AND {IS_ACTIVE}
            )
            """,
            parameters,
        )
        return frozenset(rows.fetchall())

    def _by_id(self, run_id: str) -> Sequence[Record]:
        kept = self._cache.find(run_id)
        if kept is None:
            look = self._cache.look()
            found = self._select("WHERE run_id = ?", run_id)
            for record in found:
                self._cache.fill(look, Kept(record))
            return found
        if kept.run is not None:
            self._runs[run_id] = kept.run
        return [kept.record]

    def _find(self, query: Query) -> Sequence[Record]:
        match query:
            case ById(run_id):
                return self._by_id(run_id)
            case RawById(run_id):
                return self._select("WHERE run_id = ?", run_id, read=_rows.to_raw_record)
            case ByRequest(key):
                where = "WHERE owner = ? AND request_method = ? AND request_id = ?"
                return self._select(where, key.owner, key.method, key.request_id)
            case ActiveOnThread(owner, thread_id):
                return self._select(f"{_ACTIVE_ON_THREAD} {NEWEST_FIRST}", owner, thread_id)
            case NewestActive(owner, thread_id, limit):
                rest = f"{_ACTIVE_ON_THREAD} {NEWEST_FIRST} LIMIT ?"
                return self._select(rest, owner, thread_id, limit, columns=_BARE, table="runs")
            case DueLeases(_, _, limit, skip):
                where = f"WHERE {_LEASE_IS_DUE} ORDER BY lease_expires_at LIMIT ? OFFSET ?"
                parameters = *_due(query), limit, skip
                return self._select(where, *parameters, table=_BY_LEASE, read=_rows.to_raw_record)
            case DueTimeouts(by, limit, skip):
                where = "WHERE timeout_at <= ? ORDER BY timeout_at LIMIT ? OFFSET ?"
                return self._select(
                    where, _rows.microseconds(by), limit, skip, read=_rows.to_raw_record
                )
            case Abandoned():
                abandoned = attachments.parameters(query)
                return self._select(attachments.ABANDONED, *abandoned, read=_rows.to_raw_record)
            case Orphans(before, limit, lapsed):
                where = f"WHERE {IS_ACTIVE} AND (lease_expires_at IS NULL OR {_LEASE_IS_DUE})"
                at = _END_OF_TIME if before is None else _rows.microseconds(before)
                rest = f"{where} AND created_at <= ? ORDER BY created_at LIMIT ?"
                return self._select(rest, *(_due(lapsed) if lapsed else _NEVER), at, limit)

    def _count(self, query: ActiveCount) -> int:
        statement = f"SELECT count(*) FROM runs {_ACTIVE_ON_THREAD}"
        rows = self._connection.execute(statement, (query.owner, query.thread_id)).fetchall()
        return int(rows[0][0])

    def _select(
        self,
        rest: str,
        *parameters: object,
        columns: str = RECORD,
        table: str = RUNS,
        read: Callable[[_rows.Row], Record] = _rows.to_record,
    ) -> Sequence[Record]:
        rows = self._connection.execute(f"SELECT {columns} FROM {table} {rest}", parameters)
        return [read(row) for row in rows.fetchall()]


def _due(query: DueLeases | Lapsed) -> tuple[int, int]:
    return _rows.microseconds(query.at), _rows.length(query.longest)
