"""The reads of a transaction: the queries of the contract as statements, which one round trip carries.

All queries of one kind are one statement. It takes an array for each field, and answers with the number of the query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runsvc.store import rows
from runsvc.store.attachments import Abandoned, AnyReleased
from runsvc.store.postgres import attachments
from runsvc.store.postgres.round_trip import run_all
from runsvc.store.postgres.sql import IS_ACTIVE, IS_LIVE, NEWEST_FIRST, RECORD, RUNS
from runsvc.store.postgres.values import ints, texts
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
from runsvc.store.values import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from runsvc.store.postgres.connection import Connection, Row
    from runsvc.store.queries import Count, Query
    from runsvc.store.values import Record

#: The columns of a record without its activity and body.
_BARE: Final = (
    RECORD.replace("runs.body", "''::bytea")
    .replace("activity.body", "''::bytea")
    .replace("activity.progress_sequence", "NULL::bigint")
)
_ON_THREAD: Final = "runs.owner = asked.owner AND runs.thread_id = asked.thread_id"
_END_OF_TIME: Final = 2**63 - 1
_LEASE_IS_DUE: Final = "activity.lease_expires_at <= %s AND activity.lease_ttl <= %s"
#: Parameters of _LEASE_IS_DUE that no lease meets.
_NEVER: Final = (-(2**63), -1)


def _asked(**types: str) -> str:
    arrays = ", ".join(f"%s::{each}[]" for each in types.values())
    return f"unnest({arrays}) WITH ORDINALITY AS asked ({', '.join(types)}, n)"


_BY_ID: Final = f"""
    SELECT asked.n, {RECORD} FROM {_asked(run_id="text", owner="text")}
    JOIN runs ON runs.run_id = asked.run_id AND (asked.owner IS NULL OR runs.owner = asked.owner)
    JOIN activity ON activity.run_id = runs.run_id
"""
_BY_REQUEST: Final = f"""
    SELECT asked.n, {RECORD} FROM {_asked(owner="text", method="text", request_id="text")}
    JOIN runs ON runs.owner = asked.owner AND runs.request_method = asked.method
      AND runs.request_id = asked.request_id
    JOIN activity ON activity.run_id = runs.run_id
"""
_ACTIVE_ON_THREAD: Final = f"""
    SELECT asked.n, found.* FROM {_asked(owner="text", thread_id="text")}
    CROSS JOIN LATERAL (
      SELECT {RECORD} FROM {RUNS} WHERE {_ON_THREAD} AND {IS_LIVE} {NEWEST_FIRST}
    ) AS found
"""
_NEWEST_ACTIVE: Final = f"""
    SELECT asked.n, found.* FROM {_asked(owner="text", thread_id="text", most="bigint")}
    CROSS JOIN LATERAL (
      SELECT {_BARE} FROM runs WHERE {_ON_THREAD} AND {IS_LIVE} {NEWEST_FIRST} LIMIT asked.most
    ) AS found
"""
_ACTIVE_COUNT: Final = f"""
    SELECT asked.n, (SELECT count(*) FROM runs WHERE {_ON_THREAD} AND {IS_LIVE} AND {IS_ACTIVE})
    FROM {_asked(owner="text", thread_id="text")}
"""
#: Reads the index of active and queued runs only, and no further than the limit.
_OWNER_COUNT: Final = f"""
    SELECT asked.n, (
      SELECT count(*) FROM (
        SELECT 1 FROM runs WHERE runs.owner = asked.owner AND {IS_LIVE} LIMIT asked.most
      ) AS found
    ) FROM {_asked(owner="text", most="bigint")}
"""
#: Leases have no index of their own, which every heartbeat would change. Few runs are active or stopping.
_DUE_LEASES: Final = f"""
    SELECT {RECORD} FROM {RUNS} WHERE ({IS_ACTIVE} OR runs.stopping_since IS NOT NULL)
    AND {_LEASE_IS_DUE} ORDER BY activity.lease_expires_at LIMIT %s OFFSET %s
"""
_DUE_TIMEOUTS: Final = f"""
    SELECT {RECORD} FROM {RUNS} WHERE runs.timeout_at <= %s
    ORDER BY runs.timeout_at LIMIT %s OFFSET %s
"""
_ABANDONED: Final = f"""
    SELECT {RECORD} FROM {attachments.ABANDONED}
    JOIN runs ON runs.run_id = abandoned.run_id JOIN activity ON activity.run_id = runs.run_id
    ORDER BY abandoned.first
"""
_ORPHANS: Final = f"""
    SELECT {RECORD} FROM {RUNS} WHERE {IS_ACTIVE}
    AND (activity.lease_expires_at IS NULL OR {_LEASE_IS_DUE}) AND runs.status = ANY(%s::bigint[])
    AND (%s::text IS NULL OR runs.assistant_id = %s) AND runs.created_at <= %s
    AND (%s::text IS NULL OR runs.owner = %s) ORDER BY runs.created_at LIMIT %s
"""
_RAW: Final = f"SELECT {RECORD} FROM {RUNS} WHERE runs.run_id = %s"


def _threads(asked: Sequence[Any]) -> tuple[bytes, bytes]:
    return texts([each.owner for each in asked]), texts([each.thread_id for each in asked])


class _Kind(NamedTuple):
    """How queries of one kind are asked together."""

    statement: str
    parameters: Callable[[Any], Sequence[Any]]


_KINDS: Final[dict[type, _Kind]] = {
    ById: _Kind(
        _BY_ID,
        lambda asked: (
            texts([each.run_id for each in asked]),
            texts([each.scope for each in asked]),
        ),
    ),
    ByRequest: _Kind(
        _BY_REQUEST,
        lambda asked: (
            texts([each.key.owner for each in asked]),
            texts([each.key.method for each in asked]),
            texts([each.key.request_id for each in asked]),
        ),
    ),
    ActiveOnThread: _Kind(_ACTIVE_ON_THREAD, _threads),
    NewestActive: _Kind(
        _NEWEST_ACTIVE, lambda asked: (*_threads(asked), ints([each.limit for each in asked]))
    ),
    ActiveCount: _Kind(_ACTIVE_COUNT, _threads),
    OwnerActiveCount: _Kind(
        _OWNER_COUNT,
        lambda asked: (texts([each.owner for each in asked]), ints([each.limit for each in asked])),
    ),
}


class Loading:
    """Answers the queries of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._records: dict[Query, Sequence[Record]] = {}
        self._counts: dict[Count, int] = {}
        #: What is done with the rows of each statement, in the order of the statements.
        self._reads: list[Callable[[list[Row]], None]] = []
        self._statements: list[tuple[str, Sequence[Any]]] = []

    def load(self, queries: Collection[Query | Count]) -> Loaded:
        """Answer the queries."""
        groups: dict[type, list[Any]] = {}
        for query in queries:
            if type(query) in _KINDS:
                groups.setdefault(type(query), []).append(query)
            else:
                self._ask_alone(query)
        for kind, asked in groups.items():
            self._ask_together(_KINDS[kind], asked)
        found = run_all(self._connection, self._statements)
        for read, answer in zip(self._reads, found, strict=True):
            read(answer)
        return Loaded(self._records, self._counts)

    def _ask_together(self, kind: _Kind, asked: list[Any]) -> None:
        self._statements.append((kind.statement, kind.parameters(asked)))
        if isinstance(asked[0], ActiveCount | OwnerActiveCount):
            self._reads.append(
                lambda found: self._counts.update({asked[n - 1]: c for n, c in found})
            )
        else:
            self._reads.append(lambda found: self._keep_records(asked, found))

    def _keep_records(self, asked: list[Query], found: list[Row]) -> None:
        answers: dict[Query, list[Record]] = {query: [] for query in asked}
        for row in found:
            answers[asked[row[0] - 1]].append(rows.to_record(row[1:]))
        self._records.update(answers)

    def _ask_alone(self, query: Query | Count) -> None:
        if isinstance(query, AnyReleased):
            self._statements.append(
                (attachments.ANY_RELEASED, attachments.any_released_parameters(query))
            )
            self._reads.append(lambda found: self._counts.update({query: found[0][0]}))
            return
        self._statements.append(_alone(query))
        read = rows.to_record if isinstance(query, Orphans) else rows.to_raw_record

        def keep(found: list[Row]) -> None:
            self._records[query] = list(map(read, found))  # type: ignore[index]

        self._reads.append(keep)


def _alone(query: Any) -> tuple[str, Sequence[Any]]:
    match query:
        case RawById(run_id):
            return _RAW, (run_id,)
        case DueLeases(_, _, limit, skip):
            return _DUE_LEASES, (*_lease_parameters(query), limit, skip)
        case DueTimeouts(at, limit, skip):
            return _DUE_TIMEOUTS, (rows.microseconds(at), limit, skip)
        case Abandoned():
            return _ABANDONED, attachments.abandoned_parameters(query)
        case Orphans():
            return _ORPHANS, _orphan_parameters(query)
    raise TypeError(f"{type(query).__name__} is no query of a store")


def _orphan_parameters(query: Orphans) -> Sequence[Any]:
    lapsed = _lease_parameters(query.lapsed) if query.lapsed else _NEVER
    statuses = ints([int(status) for status in sorted(query.statuses)])
    before = _END_OF_TIME if query.before is None else rows.microseconds(query.before)
    assistant_id, scope = query.assistant_id, query.scope
    return (*lapsed, statuses, assistant_id, assistant_id, before, scope, scope, query.limit)


def _lease_parameters(query: DueLeases | Lapsed) -> tuple[int, int]:
    """The parameters of _LEASE_IS_DUE."""
    return rows.microseconds(query.at), rows.duration_value(query.longest)
