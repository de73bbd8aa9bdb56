"""Attachments in SQL, on the one connection that writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.store import _rows
from runsvc.store.attachments import Attach, Detach, Release, ReleaseOthers, Renew

if TYPE_CHECKING:
    import sqlite3

    from runsvc.store.attachments import Abandoned, AnyReleased, AttachmentChange

#: The end of a query for abandoned runs: of those that have lost one, first lost first, which have no other. Each is
#: looked at once, however many it has lost, and no more than it takes to find as many as were asked for.
ABANDONED: Final = """
    WHERE run_id IN (
      SELECT run_id FROM (
        SELECT DISTINCT run_id FROM attachments INDEXED BY attachments_by_expiry
        WHERE expires_at <= ? AND server <> ? ORDER BY expires_at
      ) AS lost
      WHERE NOT EXISTS (
        SELECT 1 FROM attachments AS other
        WHERE other.run_id = lost.run_id AND (other.expires_at > ? OR other.server = ?)
      )
      LIMIT ?
    )
"""
#: The plus keeps SQLite from going through all that the server holds for each: a run has few, a server very many.
_OUTLIVED: Final = """
    DELETE FROM attachments AS gone WHERE expires_at <= ? AND server <> ? AND EXISTS (
      SELECT 1 FROM attachments AS other WHERE other.run_id = gone.run_id AND +other.server = ?
    )
"""
#: Unlike `server <> ?`, this is answered by the first one that the index has.
_RELEASED: Final = "SELECT EXISTS (SELECT 1 FROM attachments WHERE server < ? OR server > ?)"


def parameters(query: Abandoned) -> tuple[object, ...]:
    """What ABANDONED is asked with."""
    at = _rows.microseconds(query.at)
    return at, query.server, at, query.server, query.limit


def any_released(connection: sqlite3.Connection, query: AnyReleased) -> bool:
    """Whether others hold attachments, or nobody."""
    (row,) = connection.execute(_RELEASED, (query.server, query.server)).fetchall()
    return bool(row[0])


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
