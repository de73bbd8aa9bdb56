"""The numbers of progress: which runs have new progress or metadata without a log entry, in commit order."""

from __future__ import annotations

from typing import Final

#: Numbers that are kept.
KEPT: Final = 10_000

NEWEST: Final = "SELECT coalesce(max(number), 0) FROM progressed"
#: Old rows are found by their numbers: while an old snapshot is open, a search would pass all that were removed before.
SAVE_PROGRESS: Final = f"""
    WITH added AS (
      INSERT INTO progressed (number, run_id)
      SELECT newest.number + n, run_id
      FROM unnest(%s::text[]) WITH ORDINALITY AS new (run_id, n), ({NEWEST}) AS newest (number)
      RETURNING number
    )
    DELETE FROM progressed WHERE number IN (SELECT number - {KEPT} FROM added)
"""
