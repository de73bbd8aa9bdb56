"""The entries of the log, and its range."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runsvc.core.model import RunStatus


class LogEntry(NamedTuple):
    """One change, as stored in the log."""

    revision: int
    #: Last revision of the call that made this change. Changes of one call stay together.
    call_end: int
    run_id: str
    owner: str
    thread_id: str
    assistant_id: str | None
    status: RunStatus
    #: None at creation and at removal.
    previous_status: RunStatus | None
    #: The run was removed by this change.
    deleted: bool
    #: The whole encoded run as of this change; None once the run was removed.
    body: bytes | None


class Clock(NamedTuple):
    """The identity of a store, and the range of its log."""

    store_id: str
    revision: int
    #: Oldest revision in the log; revision + 1 if the log is empty.
    oldest_revision: int
