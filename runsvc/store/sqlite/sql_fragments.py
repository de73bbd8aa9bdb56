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
IS_LIVE: Final = "(status IN (1, 2) OR status = 7)"
NEWEST_FIRST: Final = "ORDER BY created_at DESC, run_id DESC"


#: Finds a run by its id and its owner. An unknown id leads to the newest run, so that it takes as long as the id of a
#: run of another owner: one search of the index, one of the table, and a row that does not match.
_IN_SCOPE: Final = """
    WHERE runs.rowid = coalesce(
        (SELECT known.rowid FROM runs AS known WHERE known.run_id = ?1), (SELECT max(rowid) FROM runs)
    ) AND run_id = ?1 AND owner = ?2
"""


def by_id(run_id: str, scope: Scope) -> tuple[str, tuple[str, ...]]:
    """The condition for a run in a scope, and its parameters."""
    if scope is None:
        return "WHERE run_id = ?", (run_id,)
    return _IN_SCOPE, (run_id, scope)
