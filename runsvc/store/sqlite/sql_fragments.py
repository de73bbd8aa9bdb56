"""What statements of readers and of the writer have in common."""

from __future__ import annotations

from typing import Final

from runsvc.store import _rows

RECORD: Final = ", ".join(_rows.RECORD)
#: Where RECORD is selected from. CROSS keeps SQLite from reading `activity` first.
RUNS: Final = "runs CROSS JOIN activity USING (run_id)"
IS_ACTIVE: Final = "status IN (1, 2)"
NEWEST_FIRST: Final = "ORDER BY created_at DESC, run_id DESC"
