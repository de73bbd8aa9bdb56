"""The effects of one command, kept apart until its decision has succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.queue import LimitChange
    from runsvc.store.values import LogEntry, Saved


class Staged:
    """The effects of the present command."""

    __slots__ = ("attachments", "changes", "forgotten", "keeps_time", "limits", "revision", "time")

    def __init__(self, time: datetime, revision: int) -> None:
        self.time = time
        self.revision = revision
        #: Changed runs, and the log entries of removed ones, in order.
        self.changes: list[Saved | LogEntry] = []
        self.attachments: list[AttachmentChange] = []
        self.limits: list[LimitChange] = []
        self.forgotten = 0
        self.keeps_time = False
