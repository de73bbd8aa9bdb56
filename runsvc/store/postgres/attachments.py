"""Attachments in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from runsvc.store import rows
from runsvc.store.attachments import (
    Attach,
    Detach,
    Extend,
    Register,
    Release,
    ReleaseOthers,
    Renew,
    Unregister,
)
from runsvc.store.postgres.values import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.store.attachments import Abandoned, AnyReleased, AttachmentChange

    Pair: TypeAlias = tuple[str, Sequence[Any]]

#: The servers that hold attachments: the one that asks, and all that are registered.
_ALIVE: Final = "ARRAY(SELECT server FROM servers UNION ALL VALUES (%s::text))"
#: The abandoned runs, which have expired attachments and no other, in the order of their first expiry.
ABANDONED: Final = f"""
    (
      SELECT expired.run_id, min(expired.expires_at) AS first FROM attachments AS expired
      WHERE expired.expires_at <= %s AND NOT EXISTS (
        SELECT 1 FROM attachments AS other
        WHERE other.run_id = expired.run_id AND (other.expires_at > %s OR other.server = ANY({_ALIVE}))
      )
      GROUP BY expired.run_id ORDER BY first LIMIT %s
    ) AS abandoned
"""
#: Steps through the index from one server to the next, and so reads one attachment of each.
ANY_RELEASED: Final = f"""
    WITH RECURSIVE holders (server) AS (
      (SELECT server FROM attachments ORDER BY server LIMIT 1)
      UNION ALL
      SELECT (
        SELECT server FROM attachments WHERE server > holders.server ORDER BY server LIMIT 1
      ) FROM holders WHERE holders.server IS NOT NULL
    )
    SELECT EXISTS (
      SELECT 1 FROM holders WHERE server IS NOT NULL AND server <> ALL({_ALIVE})
    )::int
"""
_ATTACH: Final = """
    INSERT INTO attachments VALUES (%s, %s, %s, %s)
    ON CONFLICT (attachment_id)
    DO UPDATE SET server = excluded.server, expires_at = excluded.expires_at
"""
_REGISTER: Final = """
    INSERT INTO servers VALUES (%s, %s) ON CONFLICT (server) DO UPDATE SET seen_at = excluded.seen_at
"""
_UNREGISTER: Final = "DELETE FROM servers WHERE server = ANY(%s::text[])"
_RELEASE_HELD: Final = """
    UPDATE attachments SET server = '', expires_at = %s WHERE server = ANY(%s::text[])
"""
_EXTEND: Final = "UPDATE attachments SET expires_at = %s WHERE expires_at < %s"
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
    return at, at, query.server, query.limit


def any_released_parameters(query: AnyReleased) -> Sequence[Any]:
    """The parameters of ANY_RELEASED."""
    return (query.server,)


def statements(change: AttachmentChange) -> list[Pair]:
    """The statements of a change."""
    match change:
        case Attach(attachment_id, run_id, server, expires_at):
            row = attachment_id, run_id, server, rows.microseconds(expires_at)
            return [(_ATTACH, row)]
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
        case Register(server, seen_at):
            return [(_REGISTER, (server, rows.microseconds(seen_at)))]
        case Unregister(servers, expires_at):
            names = texts(servers)
            return [
                (_UNREGISTER, (names,)),
                (_RELEASE_HELD, (rows.microseconds(expires_at), names)),
            ]
        case Extend(expires_at):
            at = rows.microseconds(expires_at)
            return [(_EXTEND, (at, at))]
