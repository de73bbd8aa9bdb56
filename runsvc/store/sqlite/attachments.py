"""Attachments in SQL, on the one connection that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.store import _rows
from runsvc.store.attachments import Attach, Detach, Release, ReleaseOthers, Renew

if TYPE_CHECKING:
    import sqlite3

    from runsvc.store.attachments import Abandoned, AttachmentChange, ReleasedCount

#: Of a run of which all have ended and none is held: `gone` is each of them.
_ALL_GONE: Final = """
    gone.expires_at <= ? AND gone.server <> ? AND NOT EXISTS (
      SELECT 1 FROM attachments AS other
      WHERE other.run_id = gone.run_id AND (other.expires_at > ? OR other.server = ?)
    )
"""
#: The end of a query for abandoned runs.
ABANDONED: Final = f"""
    WHERE run_id IN (
      SELECT gone.run_id FROM attachments AS gone WHERE {_ALL_GONE} ORDER BY gone.expires_at LIMIT ?
    )
"""
_OUTLIVED: Final = """
    DELETE FROM attachments AS gone WHERE expires_at <= ? AND server <> ? AND EXISTS (
      SELECT 1 FROM attachments AS other WHERE other.run_id = gone.run_id AND other.server = ?
    )
"""


def parameters(query: Abandoned) -> tuple[object, ...]:
    """What ABANDONED is asked with."""
    at = _rows.microseconds(query.at)
    return at, query.server, at, query.server, query.limit


def count(connection: sqlite3.Connection, query: ReleasedCount) -> int:
    """How many attachments others hold, or nobody."""
    statement = "SELECT count(*) FROM attachments WHERE server <> ?"
    (row,) = connection.execute(statement, (query.server,)).fetchall()
    return int(row[0])


def save(connection: sqlite3.Connection, change: AttachmentChange) -> None:
    """Make a change."""
    run = connection.execute
    match change:
        case Attach(attachment_id, run_id, server, expires_at):
            row = (attachment_id, run_id, server, _rows.microseconds(expires_at))
            run("INSERT INTO attachments VALUES (?, ?, ?, ?)", row)
        case Release(attachment_id, expires_at):
            statement = "UPDATE attachments SET server = '', expires_at = ? WHERE attachment_id = ?"
            run(statement, (_rows.microseconds(expires_at), attachment_id))
        case ReleaseOthers(server, expires_at):
            statement = "UPDATE attachments SET server = '', expires_at = ? WHERE server <> ?"
            run(statement, (_rows.microseconds(expires_at), server))
        case Renew(server, now, expires_at):
            statement = "UPDATE attachments SET expires_at = ? WHERE server = ?"
            run(statement, (_rows.microseconds(expires_at), server))
            run(_OUTLIVED, (_rows.microseconds(now), server, server))
        case Detach(run_id):
            run("DELETE FROM attachments WHERE run_id = ?", (run_id,))
