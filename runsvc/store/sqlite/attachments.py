"""Attachments in SQL, on the writer's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.store import rows
from runsvc.store.attachments import Attach, Detach, Release, ReleaseOthers, Renew

if TYPE_CHECKING:
    import sqlite3

    from runsvc.store.attachments import Abandoned, AnyReleased, AttachmentChange

#: The condition for abandoned runs, which have expired attachments and no other. It reads each such run once, however
#: many attachments expired, and stops at the limit.
ABANDONED: Final = """
    WHERE run_id IN (
      SELECT run_id FROM (
        SELECT DISTINCT run_id FROM attachments INDEXED BY attachments_by_expiry
        WHERE expires_at <= ? AND server <> ? ORDER BY expires_at
      ) AS expired
      WHERE NOT EXISTS (
        SELECT 1 FROM attachments AS other
        WHERE other.run_id = expired.run_id AND (other.expires_at > ? OR other.server = ?)
      )
      LIMIT ?
    )
"""
#: The plus keeps SQLite from using the index on `server`: a run has few attachments, a server very many.
_DELETE_EXPIRED: Final = """
    DELETE FROM attachments AS expired WHERE expires_at <= ? AND server <> ? AND EXISTS (
      SELECT 1 FROM attachments AS other WHERE other.run_id = expired.run_id AND +other.server = ?
    )
"""
#: Unlike `server <> ?`, this stops at the first match in the index.
_ANY_RELEASED: Final = "SELECT EXISTS (SELECT 1 FROM attachments WHERE server < ? OR server > ?)"


def parameters(query: Abandoned) -> tuple[object, ...]:
    """The parameters of ABANDONED."""
    at = rows.microseconds(query.at)
    return at, query.server, at, query.server, query.limit


def any_released(connection: sqlite3.Connection, query: AnyReleased) -> bool:
    """True if there are attachments that the query's server does not hold."""
    (row,) = connection.execute(_ANY_RELEASED, (query.server, query.server)).fetchall()
    return bool(row[0])


def save(connection: sqlite3.Connection, change: AttachmentChange) -> None:
    """Write a change."""
    run = connection.execute
    match change:
        case Attach(attachment_id, run_id, server, expires_at):
            row = (attachment_id, run_id, server, rows.microseconds(expires_at))
            run("INSERT INTO attachments VALUES (?, ?, ?, ?)", row)
        case Release(attachment_id, expires_at):
            statement = "UPDATE attachments SET server = '', expires_at = ? WHERE attachment_id = ?"
            run(statement, (rows.microseconds(expires_at), attachment_id))
        case ReleaseOthers(server, expires_at):
            statement = "UPDATE attachments SET server = '', expires_at = ? WHERE server <> ?"
            run(statement, (rows.microseconds(expires_at), server))
        case Renew(server, now, expires_at):
            statement = "UPDATE attachments SET expires_at = ? WHERE server = ?"
            run(statement, (rows.microseconds(expires_at), server))
            run(_DELETE_EXPIRED, (rows.microseconds(now), server, server))
        case Detach(run_id):
            run("DELETE FROM attachments WHERE run_id = ?", (run_id,))
