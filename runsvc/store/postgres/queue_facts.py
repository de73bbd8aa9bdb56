"""The facts that explain why runs are queued, in one statement, so that they are of one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runsvc.core.model import RunStatus
from runsvc.store import rows
from runsvc.store.postgres.sql import HEAD
from runsvc.store.postgres.values import texts
from runsvc.store.queue import COUNTED, Waits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from runsvc.store.postgres.connection import Row
    from runsvc.store.values import Record

_ON_THREAD: Final = "owner = found.owner AND thread_id = found.thread_id"
_FACTS: Final = f"""
    SELECT {", ".join(f"found.{column}" for column in rows.WAITING)}, (SELECT time {HEAD}),
      ARRAY(SELECT run_id FROM runs WHERE {_ON_THREAD} AND status IN (1, 2)
        ORDER BY created_at DESC, run_id DESC),
      ARRAY(SELECT run_id FROM runs WHERE {_ON_THREAD} AND status = 7 ORDER BY created_at, run_id),
      ARRAY(SELECT run_id FROM runs WHERE {_ON_THREAD} AND stopping_since IS NOT NULL
        ORDER BY stopping_since DESC),
      (SELECT count(*) FROM (
        SELECT 1 FROM runs WHERE owner = found.owner AND status = 7
        AND concurrency_key = found.concurrency_key AND created_at < found.created_at
        LIMIT {COUNTED}) AS older)
    FROM runs AS found WHERE found.run_id = ANY(%s::text[]) AND found.status = 7
"""


async def waits(
    fetch: Callable[[str, Sequence[Any]], Awaitable[list[Row]]], records: Sequence[Record]
) -> Mapping[str, Waits]:
    """The facts about each of the runs that is queued, by id."""
    queued = [record.run_id for record in records if record.status is RunStatus.QUEUED]
    if not queued:
        return {}
    return {row[0]: _waits(row) for row in await fetch(_FACTS, (texts(queued),))}


def _waits(row: Row) -> Waits:
    *waiting, now, active, queued, stopping, ahead = row
    return Waits(
        gated=rows.to_waiting(waiting).gated,
        now=rows.from_microseconds(now),
        active=active,
        queued=queued,
        stopping=stopping,
        ahead=ahead,
    )
