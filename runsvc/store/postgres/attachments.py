"""Attachments in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from runsvc.store import rows
from runsvc.store.attachments import Attach, Detach, Release, ReleaseOthers, Renew

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.store.attachments import Abandoned, AnyReleased, AttachmentChange

    Pair: TypeAlias = tuple[str, Sequence[Any]]

#: The abandoned runs, which have expired attachments and no other, in the order of their first expiry.
ABANDONED: Final = """
    (
      SELECT expired.run_id, min(expired.expires_at) AS first FROM attachments AS expired
      WHERE expired.expires_at <= %s AND expired.server <> %s AND NOT EXISTS (
        SELECT 1 FROM attachments AS other
        WHERE other.run_id = expired.run_id AND (other.expires_at > %s OR other.server = %s)
      )
      GROUP BY expired.run_id ORDER BY first LIMIT %s
    ) AS abandoned
"""
#: Stops at the first match in the index.
ANY_RELEASED: Final = """
    SELECT (
      EXISTS (SELECT 1 FROM attachments WHERE server < %s)
      OR EXISTS (SELECT 1 FROM attachments WHERE server > %s)
    )::int
"""
_RELEASE: Final = "UPDATE attachments SET server = '', expires_at = %s WHERE attachment_id = %s"
_RELEASE_OTHERS: Final = "UPDATE attachments SET server = '', expires_at = %s WHERE server <> %s"
_RENEW: Final = "UPDATE attachments SET expires_at = %s WHERE server = %s"
_DELETE_EXPIRED: Final = """
    DELETE FROM attachments AS expired WHERE expires_at <= %s AND server <> %s AND EXISTS (
      SELECT 1 FROM attachments AS other WHERE other.run_id = expired.run_id AND other.server = %s
    )
"""


def abandoned_parameters(query: Abandoned) -> Sequence[Any]:
    """The parameters of ABANDONED."""
    at = rows.microseconds(query.at)
    return at, query.server, at, query.server, query.limit


def any_released_parameters(query: AnyReleased) -> Sequence[Any]:
    """The parameters of ANY_RELEASED."""
    return query.server, query.server


def statements(change: AttachmentChange) -> list[Pair]:
    """The statements of a change."""
    match change:
        case Attach(attachment_id, run_id, server, expires_at):
            row = attachment_id, run_id, server, rows.microseconds(expires_at)
            return [("INSERT INTO attachments VALUES (%s, %s, %s, %s)", row)]
        case Release(attachment_id, expires_at):
            return [(_RELEASE, (rows.microseconds(expires_at), attachment_id))]
        case ReleaseOthers(server, expires_at):
            return [(_RELEASE_OTHERS, (rows.microseconds(expires_at), server))]
        case Renew(server, now, expires_at):
            return [
                (_RENEW, (rows.microseconds(expires_at), server)),
                (_DELETE_EXPIRED, (rows.microseconds(now), server, server)),
            ]
        case Detach(run_id):
            return [("DELETE FROM attachments WHERE run_id = %s", (run_id,))]
