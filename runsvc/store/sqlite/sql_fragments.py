"""SQL that statements of both parts share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.store import rows

if TYPE_CHECKING:
    from runsvc.core.owners import Scope

#: The columns of a record.
RECORD: Final = ", ".join(rows.RECORD)
#: The source of RECORD. CROSS makes SQLite search `runs` first, then `activity` by its key.
RUNS: Final = "runs CROSS JOIN activity USING (run_id)"
IS_ACTIVE: Final = "status IN (1, 2)"
#: The condition of the index on active and queued runs, which SQLite uses only for the very same condition.
IS_LIVE: Final = "status IN (1, 2, 7)"
NEWEST_FIRST: Final = "ORDER BY created_at DESC, run_id DESC"


def by_id(run_id: str, scope: Scope) -> tuple[str, tuple[str, ...]]:
    """The condition for a run in a scope, and its parameters."""
    if scope is None:
        return "WHERE run_id = ?", (run_id,)
    return "WHERE run_id = ? AND owner = ?", (run_id, scope)
