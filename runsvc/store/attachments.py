"""What a transaction does to attachments: streams that count as a run's client, each stored for as long as it may.

The server that holds the stream keeps its attachment from ending. Once no server holds it, it is released, and ends
when its time is over. Attachments belong to their run and go with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Attach:
    """Adds one to a run that is there."""

    attachment_id: str
    run_id: str
    #: The server that holds the stream.
    server: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Release:
    """Lets go of one, which may not be there."""

    attachment_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ReleaseOthers:
    """Gives every one that this server does not hold until then, held by another or released before."""

    server: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Renew:
    """Puts off the end of all that this server holds; those that ended by now beside one of them go."""

    server: str
    now: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Detach:
    """Removes all of a run."""

    run_id: str


AttachmentChange = Attach | Release | ReleaseOthers | Renew | Detach


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Asks for runs whose attachments have all ended at or before a time, and of which this server holds none."""

    at: datetime
    server: str
    limit: int


@dataclass(frozen=True, slots=True)
class AnyReleased:
    """Asks whether there are attachments that this server does not hold."""

    server: str
