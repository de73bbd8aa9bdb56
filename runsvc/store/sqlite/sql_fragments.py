"""What statements of readers and of the writer have in common."""

from __future__ import annotations

from typing import Final

from runsvc.store import _rows

RECORD: Final = ", ".join(_rows.RECORD)
IS_ACTIVE: Final = "status IN (1, 2)"
NEWEST_FIRST: Final = "ORDER BY created_at DESC, run_id DESC"
