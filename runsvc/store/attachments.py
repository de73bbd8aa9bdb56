"""Changes of attachments, and the queries for them.

An attachment is a stream that counts as a client of its run. The server that holds the stream keeps the attachment
from expiring. A released attachment has no server, and expires at its time. Attachments are removed with their run.

Several servers may hold attachments in a shared store. There, each server is registered while it is alive, and every
registered server keeps its attachments from expiring.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime


class Server(NamedTuple):
    """A registered server of a shared store."""

    server: str
    #: When it registered last, by the time of the store.
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Attach:
    """Add an attachment to an existing run, or take it over. Only a shared store knows the latter."""

    attachment_id: str
    run_id: str
    #: The server that holds the stream.
    server: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """Release an attachment, if it exists."""

    attachment_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseOthers:
    """Release every attachment that this server does not hold. Those released before get the new expiry too."""

    server: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Renew:
    """Extend every attachment that this server holds. Remove expired attachments of the same runs held elsewhere."""

    server: str
    now: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Detach:
    """Remove all attachments of a run."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Register:
    """Note that a server is alive. Shared stores only."""

    server: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Unregister:
    """Forget servers, and release their attachments. Shared stores only."""

    servers: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Extend:
    """Let every attachment last until this time at least. Shared stores only."""

    expires_at: datetime


AttachmentChange = (
    Attach | Release | ReleaseOthers | Renew | Detach | Register | Unregister | Extend
)


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Runs with attachments that all expired at or before a time, and of which this server holds none.

    Earliest expiry first, at most `limit`. In a shared store, no other registered server holds one either.
    """

    at: datetime
    server: str
    limit: int


@dataclass(frozen=True, slots=True)
class AnyReleased:
    """1 if there are attachments that this server does not hold, otherwise 0.

    In a shared store, those of other registered servers do not count.
    """

    server: str
