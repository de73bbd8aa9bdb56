"""The reads that explain why runs are queued. One statement for each run, so that its facts are of one moment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.model import RunStatus
from runsvc.store import rows
from runsvc.store.queue import COUNTED, Waits
from runsvc.store.sqlite.sql_fragments import IS_ACTIVE, IS_LIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runsvc.store.values import Record

_ON_THREAD: Final = f"owner = found.owner AND thread_id = found.thread_id AND {IS_LIVE}"
_FACTS: Final = f"""
    SELECT {", ".join(f"found.{column}" for column in rows.WAITING)}, clock.time,
      (SELECT json_group_array(run_id) FROM (
        SELECT run_id FROM runs WHERE {_ON_THREAD} AND {IS_ACTIVE} ORDER BY created_at DESC)),
      (SELECT json_group_array(run_id) FROM (
        SELECT run_id FROM runs WHERE {_ON_THREAD} AND status = 7 ORDER BY created_at)),
      (SELECT json_group_array(run_id) FROM (
        SELECT run_id FROM runs WHERE owner = found.owner AND thread_id = found.thread_id
        AND stopping_since IS NOT NULL ORDER BY stopping_since DESC)),
      (SELECT count(*) FROM (
        SELECT 1 FROM runs WHERE owner = found.owner AND status = 7
        AND concurrency_key = found.concurrency_key AND created_at < found.created_at LIMIT {COUNTED}))
    FROM runs AS found, clock WHERE run_id = ? AND status = 7
"""


def waits(
    fetch: Callable[[str, Sequence[object]], list[tuple[Any, ...]]], records: Sequence[Record]
) -> Mapping[str, Waits]:
    """The facts about each of the runs that is queued, by id."""
    queued = (record for record in records if record.status is RunStatus.QUEUED)
    found = (row for record in queued for row in fetch(_FACTS, (record.run_id,)))
    return {row[0]: _waits(row) for row in found}


def _waits(row: tuple[Any, ...]) -> Waits:
    *waiting, now, active, queued, stopping, ahead = row
    return Waits(
        gated=rows.to_waiting(waiting).gated,
        now=rows.from_microseconds(now),
        active=json.loads(active),
        queued=json.loads(queued),
        stopping=json.loads(stopping),
        ahead=ahead,
    )
