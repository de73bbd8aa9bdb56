"""Events: what a watcher is told."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runsvc.store.base import LogEntry, Record


class StatusEvent(IntEnum):
    """What an event tells; the wire's numbers."""

    SNAPSHOT = 1
    SNAPSHOT_END = 2
    CHANGED = 3
    PROGRESS = 4
    HEARTBEAT = 5
    DELETED = 6


class Event(NamedTuple):
    """One message of a watch."""

    event: StatusEvent
    #: The stream's position; 0 on SNAPSHOT and PROGRESS.
    revision: int = 0
    #: SNAPSHOT and PROGRESS carry a record, CHANGED and DELETED a log entry, the others nothing.
    subject: Record | LogEntry | None = None
    #: On CHANGED: further changes of the same call follow.
    more: bool = False
    #: On SNAPSHOT_END and HEARTBEAT.
    store_id: str = ""


def change(entry: LogEntry, *, more: bool = False) -> Event:
    """The event of a log entry."""
    event = StatusEvent.DELETED if entry.deleted else StatusEvent.CHANGED
    return Event(event, entry.revision, entry, more)
