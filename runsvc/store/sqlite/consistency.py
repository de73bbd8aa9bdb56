"""Checks that the parts of a store belong together, before SQLite may write to the file.

A file that was put in place while an old `-wal` lay beside it is a mixture of two states. It need not be damaged in the
sense of SQLite, and would be served.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from runsvc.core.errors import StoreRefused
from runsvc.store.sqlite.connection import connect
from runsvc.store.sqlite.schema import check_version, is_damage

if TYPE_CHECKING:
    from pathlib import Path

_CONTRADICTS: Final = (
    "it contradicts itself ({detail}): restore a backup, and remove the -wal and -shm files beside it before; "
    "or name another file with --db"
)
_QUICK: Final = (
    (
        "the log does not end at the revision of the clock",
        "SELECT max(revision) IS NOT NULL AND max(revision) <> (SELECT revision FROM clock) FROM log",
    ),
    (
        "the log has gaps",
        "SELECT count(*) <> coalesce(max(revision) - min(revision) + 1, 0) FROM log",
    ),
    (
        "an active run is newer than the clock",
        "SELECT max(revision) > (SELECT revision FROM clock) FROM runs WHERE status IN (1, 2)",
    ),
    (
        "the newest changes of the log are not those of the runs",
        """
        SELECT count(*) FROM (
          SELECT run_id, max(revision) AS revision, max(deleted) AS deleted
          FROM (SELECT run_id, revision, deleted FROM log ORDER BY revision DESC LIMIT 1000) GROUP BY run_id
        ) AS last LEFT JOIN runs USING (run_id)
        WHERE (runs.revision IS NULL AND NOT last.deleted) OR runs.revision <> last.revision
        """,
    ),
)
_FULL: Final = (
    (
        "a run is newer than the clock",
        "SELECT max(revision) > (SELECT revision FROM clock) FROM runs",
    ),
    (
        "the log has changes that the runs do not have",
        """
        SELECT count(*) FROM (
          SELECT run_id, max(revision) AS revision, max(deleted) AS deleted FROM log GROUP BY run_id
        ) AS last LEFT JOIN runs USING (run_id)
        WHERE (runs.revision IS NULL AND NOT last.deleted) OR runs.revision <> last.revision
        """,
    ),
    (
        "runs lack their activity",
        "SELECT count(*) FROM runs LEFT JOIN activity USING (run_id) WHERE activity.run_id IS NULL",
    ),
    ("rows refer to runs that do not exist", "SELECT count(*) FROM pragma_foreign_key_check"),
)
#: The first schema version that all of these tables have.
_CHECKED_VERSION: Final = 3


def check_before_open(path: Path) -> None:
    """StoreRefused if the file and its -wal contradict each other. Neither is changed.

    A -wal is found after a crash only. Then all of the file is checked, which may take seconds for one of gigabytes.
    """
    wal = path.with_name(f"{path.name}-wal")
    if not path.stat().st_size or path.with_name(f"{path.name}-journal").exists():
        return
    crashed = wal.exists() and wal.stat().st_size > 0
    detail = None
    try:
        # A connection that may write would move the -wal into the file when it is closed.
        with closing(connect(path, mode="ro")) as connection:
            check_version(connection, path)
            detail = contradiction(connection, full=crashed)
    except sqlite3.DatabaseError as error:
        # Without a -wal the file is merely damaged.
        if not (crashed and is_damage(error)):
            raise
        detail = str(error)
    if detail is not None:
        raise StoreRefused(str(path), _CONTRADICTS.format(detail=detail))


def contradiction(connection: sqlite3.Connection, *, full: bool) -> str | None:
    """How a store contradicts itself; None if it does not. `full` reads all of the file."""
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if full:
            for (message,) in connection.execute("PRAGMA quick_check(1)"):
                if message != "ok":
                    return str(message).replace("\n", " ")
        if version < _CHECKED_VERSION:
            return None
        for detail, statement in _QUICK + (_FULL if full else ()):
            ((found,),) = connection.execute(statement).fetchall()
            if found:
                return detail
    except sqlite3.DatabaseError as error:
        if not (full and is_damage(error)):
            raise
        return str(error)
    return None
