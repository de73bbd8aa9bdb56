"""The reads of queued and claimable runs within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runsvc.core.queue import Limit
from runsvc.store import rows
from runsvc.store.attachments import Server
from runsvc.store.postgres.sql import IS_ACTIVE, IS_LIVE
from runsvc.store.postgres.values import texts
from runsvc.store.queue import Candidate, Line, Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from runsvc.core.queue import Waiting
    from runsvc.store.postgres.connection import Row

_WAITING: Final = ", ".join(rows.WAITING)
_CANDIDATE: Final = "run_id, priority, created_at"
#: A time before that of any run.
_BEGINNING: Final = -(2**63)

_QUEUED_ON_THREAD: Final = f"""
    SELECT {_WAITING} FROM runs WHERE owner = %s AND thread_id = %s AND {IS_LIVE} AND status = 7
    ORDER BY created_at, run_id
"""
_ACTIVE_ON_THREAD: Final = f"""
    SELECT count(*) FROM runs WHERE owner = %s AND thread_id = %s AND {IS_LIVE} AND {IS_ACTIVE}
"""
_STOPPING_ON_THREAD: Final = """
    SELECT run_id FROM runs WHERE owner = %s AND thread_id = %s AND stopping_since IS NOT NULL
    ORDER BY stopping_since DESC
"""
_ACTIVE_WITH_KEY: Final = f"""
    SELECT count(*) FROM runs WHERE owner = %s AND concurrency_key = %s AND {IS_ACTIVE}
"""
_QUEUED_WITH_KEY: Final = f"""
    SELECT {_WAITING} FROM runs WHERE owner = %s AND concurrency_key = %s AND status = 7
    AND created_at > %s AND (wakes_at IS NULL OR wakes_at <= %s) ORDER BY created_at LIMIT %s
"""
_KEYS_WITH_QUEUED: Final = """
    SELECT DISTINCT owner, concurrency_key FROM runs
    WHERE concurrency_key IS NOT NULL AND status = 7 AND starts_with(concurrency_key, %s)
"""
LIMITS: Final = "SELECT prefix, width FROM concurrency_limits ORDER BY prefix"
_IS_CLAIMABLE: Final = "turn IS NOT NULL AND assistant_id"
#: Two forms of each, because an index is not searched for IS NOT DISTINCT FROM.
_OF_ASSISTANT: Final = f"{_IS_CLAIMABLE} = %s"
_OF_NONE: Final = f"{_IS_CLAIMABLE} IS NULL AND %s::text IS NULL"
_LINE: Final = """
    SELECT owner, min(turn), max(turn) FROM runs WHERE {} AND priority = %s GROUP BY owner
"""
_CLAIMABLE: Final = f"""
    SELECT {_CANDIDATE} FROM runs WHERE {{}} AND (%s::text IS NULL OR owner = %s)
    ORDER BY assistant_id, priority DESC, turn, created_at LIMIT %s
"""
#: A loose scan of the index: one search for each assistant.
_ASSISTANTS: Final = """
    WITH RECURSIVE found (assistant_id) AS (
      SELECT min(assistant_id) FROM runs WHERE turn IS NOT NULL
      UNION ALL
      SELECT (
        SELECT min(assistant_id) FROM runs WHERE turn IS NOT NULL AND assistant_id > found.assistant_id
      ) FROM found WHERE found.assistant_id IS NOT NULL
    )
    SELECT assistant_id FROM found WHERE assistant_id IS NOT NULL
    UNION ALL SELECT NULL WHERE EXISTS (
      SELECT 1 FROM runs WHERE turn IS NOT NULL AND assistant_id IS NULL
    )
"""
_HELD: Final = f"""
    SELECT {_CANDIDATE} FROM runs WHERE claimant = %s AND (%s::text IS NULL OR owner = %s)
    AND (%s::bigint = 0 OR assistant_id = ANY(%s)) ORDER BY priority DESC, created_at LIMIT %s
"""
_WAKING: Final = """
    SELECT wakes_at, run_id FROM runs WHERE wakes_at IS NOT NULL
    AND (wakes_at, run_id) > (%s, %s) ORDER BY wakes_at, run_id LIMIT %s
"""
_SILENT: Final = """
    SELECT runs.run_id FROM runs JOIN activity ON activity.run_id = runs.run_id
    WHERE stopping_since <= %s AND lease_expires_at IS NULL LIMIT %s
"""


class PostgresQueue:
    """Implements QueueReads on the writer's connection."""

    def __init__(self, fetch: Callable[[str, Sequence[Any]], list[Row]]) -> None:
        self._fetch_all = fetch

    def queued_on_thread(self, owner: str, thread_id: str) -> Sequence[Waiting]:
        return list(map(rows.to_waiting, self._fetch(_QUEUED_ON_THREAD, owner, thread_id)))

    def active_on_thread(self, owner: str, thread_id: str) -> int:
        return int(self._fetch(_ACTIVE_ON_THREAD, owner, thread_id)[0][0])

    def stopping_on_thread(self, owner: str, thread_id: str) -> Sequence[str]:
        return [row[0] for row in self._fetch(_STOPPING_ON_THREAD, owner, thread_id)]

    def active_with_key(self, owner: str, key: str) -> int:
        return int(self._fetch(_ACTIVE_WITH_KEY, owner, key)[0][0])

    def queued_with_key(
        self, owner: str, key: str, by: datetime, after: datetime | None, limit: int
    ) -> Sequence[Waiting]:
        begin = _BEGINNING if after is None else rows.microseconds(after)
        found = self._fetch(_QUEUED_WITH_KEY, owner, key, begin, rows.microseconds(by), limit)
        return list(map(rows.to_waiting, found))

    def keys_with_queued(self, prefix: str) -> Sequence[tuple[str, str]]:
        return [(owner, key) for owner, key in self._fetch(_KEYS_WITH_QUEUED, prefix)]

    def key_of(self, run_id: str) -> str | None:
        found = self._fetch("SELECT concurrency_key FROM runs WHERE run_id = %s", run_id)
        return found[0][0] if found else None

    def limits(self) -> Sequence[Limit]:
        return list(map(Limit._make, self._fetch(LIMITS)))

    def line(self, assistant_id: str | None, priority: int) -> Line:
        found = self._fetch(_LINE.format(_of(assistant_id)), assistant_id, priority)
        head = min((row[1] for row in found), default=0)
        return Line(head, {owner: last for owner, _, last in found})

    def claimable(
        self, assistant_id: str | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        statement = _CLAIMABLE.format(_of(assistant_id))
        return _candidates(self._fetch(statement, assistant_id, owner, owner, limit))

    def claimable_assistants(self) -> Sequence[str | None]:
        return [row[0] for row in self._fetch(_ASSISTANTS)]

    def held(
        self, worker_id: str, assistant_ids: Sequence[str] | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        among = texts(assistant_ids or ())
        narrowed = assistant_ids is not None
        parameters = worker_id, owner, owner, int(narrowed), among, limit
        return _candidates(self._fetch(_HELD, *parameters))

    def claimed(self, claim_id: str) -> Sequence[str]:
        statement = "SELECT run_id FROM runs WHERE claim_id = %s ORDER BY revision"
        return [row[0] for row in self._fetch(statement, claim_id)]

    def kwargs(self, run_id: str) -> bytes:
        found = self._fetch("SELECT kwargs FROM runs WHERE run_id = %s", run_id)
        return found[0][0] if found else b""

    def waking(self, after: Wake | None, limit: int) -> Sequence[Wake]:
        position = (rows.microseconds(after.at), after.run_id) if after else (_BEGINNING, "")
        found = self._fetch(_WAKING, *position, limit)
        return [Wake(rows.from_microseconds(at), run_id) for at, run_id in found]

    def silent(self, by: datetime, limit: int) -> Sequence[str]:
        return [row[0] for row in self._fetch(_SILENT, rows.microseconds(by), limit)]

    def servers(self) -> Sequence[Server]:
        found = self._fetch("SELECT server, seen_at FROM servers ORDER BY server")
        return [Server(server, rows.from_microseconds(at)) for server, at in found]

    def _fetch(self, statement: str, *parameters: Any) -> list[Row]:
        return self._fetch_all(statement, parameters)


def _of(assistant_id: str | None) -> str:
    return _OF_NONE if assistant_id is None else _OF_ASSISTANT


def _candidates(found: Sequence[Row]) -> Sequence[Candidate]:
    return [
        Candidate(run_id, priority, rows.from_microseconds(created_at))
        for run_id, priority, created_at in found
    ]
