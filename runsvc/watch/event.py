"""The events of a watch."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runsvc.store.values import LogEntry, Record


class StatusEvent(IntEnum):
    """The kind of an event; the values are those of the wire format."""

    SNAPSHOT = 1
    SNAPSHOT_END = 2
    CHANGED = 3
    PROGRESS = 4
    HEARTBEAT = 5
    DELETED = 6


class Event(NamedTuple):
    """One message of a watch."""

    event: StatusEvent
    #: The position of the watch; 0 on SNAPSHOT and PROGRESS.
    revision: int = 0
    #: SNAPSHOT: a record or a log entry; PROGRESS: a record; CHANGED, DELETED: a log entry; otherwise None.
    subject: Record | LogEntry | None = None
    #: On CHANGED: further changes of the same call follow.
    more: bool = False
    #: On SNAPSHOT_END and HEARTBEAT.
    store_id: str = ""


def change(entry: LogEntry, *, more: bool = False) -> Event:
    """The event of a log entry."""
    event = StatusEvent.DELETED if entry.deleted else StatusEvent.CHANGED
    return Event(event, entry.revision, entry, more)
