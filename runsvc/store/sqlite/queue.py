"""The reads of queued and claimable runs within a transaction of the SQLite store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runsvc.core.queue import Limit
from runsvc.store import rows
from runsvc.store.queue import Candidate, Line, Wake
from runsvc.store.sqlite.sql_fragments import IS_ACTIVE, IS_LIVE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from runsvc.core.queue import Waiting
    from runsvc.store.attachments import Server

_WAITING: Final = ", ".join(rows.WAITING)
_CANDIDATE: Final = "run_id, priority, created_at"
_BY_TURN: Final = "ORDER BY priority DESC, turn, created_at LIMIT ?"
#: A time before that of any run.
_BEGINNING: Final = -1

QUEUED_ON_THREAD: Final = (
    f"SELECT {_WAITING} FROM runs WHERE owner = ? AND thread_id = ? AND {IS_LIVE} AND status = 7"
    " ORDER BY created_at, run_id"
)
STOPPING_ON_THREAD: Final = (
    "SELECT run_id FROM runs WHERE owner = ? AND thread_id = ? AND stopping_since IS NOT NULL"
    " ORDER BY stopping_since DESC"
)
LIMITS: Final = "SELECT prefix, width FROM concurrency_limits ORDER BY prefix"
#: A loose scan of the index: one search for each assistant.
_ASSISTANTS: Final = """
    WITH RECURSIVE found (assistant_id) AS (
      SELECT min(assistant_id) FROM runs WHERE turn IS NOT NULL AND assistant_id IS NOT NULL
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


class SqliteQueue:
    """Implements QueueReads on the writer's connection."""

    def __init__(self, connected: Callable[[], sqlite3.Connection]) -> None:
        self._connected = connected

    def queued_on_thread(self, owner: str, thread_id: str) -> Sequence[Waiting]:
        return list(map(rows.to_waiting, self._fetch(QUEUED_ON_THREAD, owner, thread_id)))

    def active_on_thread(self, owner: str, thread_id: str) -> int:
        where = f"owner = ? AND thread_id = ? AND {IS_LIVE} AND {IS_ACTIVE}"
        return int(self._fetch(f"SELECT count(*) FROM runs WHERE {where}", owner, thread_id)[0][0])

    def stopping_on_thread(self, owner: str, thread_id: str) -> Sequence[str]:
        return [row[0] for row in self._fetch(STOPPING_ON_THREAD, owner, thread_id)]

    def active_with_key(self, owner: str, key: str) -> int:
        where = f"owner = ? AND concurrency_key = ? AND {IS_ACTIVE}"
        return int(self._fetch(f"SELECT count(*) FROM runs WHERE {where}", owner, key)[0][0])

    def queued_with_key(
        self, owner: str, key: str, by: datetime, after: datetime | None, limit: int
    ) -> Sequence[Waiting]:
        statement = f"""
            SELECT {_WAITING} FROM runs WHERE owner = ? AND concurrency_key = ? AND status = 7
            AND created_at > ? AND (wakes_at IS NULL OR wakes_at <= ?) ORDER BY created_at LIMIT ?
        """
        begin = _BEGINNING if after is None else rows.microseconds(after)
        found = self._fetch(statement, owner, key, begin, rows.microseconds(by), limit)
        return list(map(rows.to_waiting, found))

    def keys_with_queued(self, prefix: str) -> Sequence[tuple[str, str]]:
        statement = """
            SELECT DISTINCT owner, concurrency_key FROM runs
            WHERE concurrency_key IS NOT NULL AND status = 7 AND substr(concurrency_key, 1, ?) = ?
        """
        return self._fetch(statement, len(prefix), prefix)

    def key_of(self, run_id: str) -> str | None:
        found = self._fetch("SELECT concurrency_key FROM runs WHERE run_id = ?", run_id)
        return found[0][0] if found else None

    def limits(self) -> Sequence[Limit]:
        return list(map(Limit._make, self._fetch(LIMITS)))

    def line(self, assistant_id: str | None, priority: int) -> Line:
        where = "turn IS NOT NULL AND assistant_id IS ? AND priority = ?"
        statement = f"SELECT owner, min(turn), max(turn) FROM runs WHERE {where} GROUP BY owner"
        found = self._fetch(statement, assistant_id, priority)
        head = min((row[1] for row in found), default=0)
        return Line(head, {owner: last for owner, _, last in found})

    def claimable(
        self, assistant_id: str | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        statement = f"""
            SELECT {_CANDIDATE} FROM runs WHERE turn IS NOT NULL AND assistant_id IS ?1
            AND (?2 IS NULL OR owner = ?2) {_BY_TURN}
        """
        return _candidates(self._fetch(statement, assistant_id, owner, limit))

    def claimable_assistants(self) -> Sequence[str | None]:
        return [row[0] for row in self._fetch(_ASSISTANTS)]

    def held(
        self, worker_id: str, assistant_ids: Sequence[str] | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        wanted = assistant_ids or ()
        among = ", ".join("?" * len(wanted))
        only = "" if assistant_ids is None else f"AND assistant_id IN ({among})"
        statement = f"""
            SELECT {_CANDIDATE} FROM runs WHERE claimant = ? AND (? OR owner = ?) {only}
            ORDER BY priority DESC, created_at LIMIT ?
        """
        parameters = worker_id, owner is None, owner, *wanted, limit
        return _candidates(self._fetch(statement, *parameters))

    def claimed(self, claim_id: str) -> Sequence[str]:
        statement = "SELECT run_id FROM runs WHERE claim_id = ? ORDER BY revision"
        return [row[0] for row in self._fetch(statement, claim_id)]

    def kwargs(self, run_id: str) -> bytes:
        found = self._fetch("SELECT kwargs FROM runs WHERE run_id = ?", run_id)
        return found[0][0] if found else b""

    def waking(self, after: Wake | None, limit: int) -> Sequence[Wake]:
        statement = """
            SELECT wakes_at, run_id FROM runs WHERE wakes_at IS NOT NULL
            AND (wakes_at, run_id) > (?, ?) ORDER BY wakes_at, run_id LIMIT ?
        """
        position = (rows.microseconds(after.at), after.run_id) if after else (_BEGINNING, "")
        found = self._fetch(statement, *position, limit)
        return [Wake(rows.from_microseconds(at), run_id) for at, run_id in found]

    def silent(self, by: datetime, limit: int) -> Sequence[str]:
        statement = """
            SELECT run_id FROM runs JOIN activity USING (run_id)
            WHERE stopping_since <= ? AND lease_expires_at IS NULL LIMIT ?
        """
        return [row[0] for row in self._fetch(statement, rows.microseconds(by), limit)]

    def servers(self) -> Sequence[Server]:
        return ()

    def _fetch(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._connected().execute(statement, parameters).fetchall()


def _candidates(found: Sequence[tuple[Any, ...]]) -> Sequence[Candidate]:
    return [
        Candidate(run_id, priority, rows.from_microseconds(created_at))
        for run_id, priority, created_at in found
    ]
