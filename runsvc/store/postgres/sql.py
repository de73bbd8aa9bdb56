"""SQL that statements of both parts share."""

from __future__ import annotations

from typing import Final

from runsvc.store import rows

#: Columns by their type; all others are integers.
TEXTS: Final = frozenset(
    {
        "run_id",
        "owner",
        "thread_id",
        "assistant_id",
        "request_method",
        "request_id",
        "concurrency_key",
        "superseded_by",
        "claimant",
        "claim_id",
    }
)
BLOBS: Final = frozenset({"spec_hash", "kwargs", "body", "result"})


def qualified(column: str) -> str:
    """A column of RECORD with its table."""
    if "." in column:
        return column
    return f"activity.{column}" if column == "progress_sequence" else f"runs.{column}"


#: The columns of a record, and their source.
RECORD: Final = ", ".join(map(qualified, rows.RECORD))
RUNS: Final = "runs JOIN activity ON activity.run_id = runs.run_id"
IS_ACTIVE: Final = "runs.status IN (1, 2)"
#: The condition of the index on active and queued runs.
IS_LIVE: Final = "runs.status IN (1, 2, 7)"
NEWEST_FIRST: Final = "ORDER BY runs.created_at DESC, runs.run_id DESC"
#: The newest commit: the state of the clock.
HEAD: Final = "FROM commits ORDER BY number DESC LIMIT 1"
#: The time line of the database is part of the store's identity: a promoted replica that lost commits gives their
#: revisions to others.
TIME_LINE: Final = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
#: A statement of its own, so that the next one sees what was committed while this one waited.
LOCK: Final = "SELECT store_id FROM clock WHERE id = 1 FOR UPDATE"


def identity(store_id: str, time_line: str) -> str:
    """The identity of a store, from its id and the time line of the database."""
    return f"{store_id}.{int(time_line, 16)}"
