"""The contents of the memory store, which its two parts share."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

from runsvc.core.errors import StoreUnavailable
from runsvc.core.model import ACTIVE, LIVE
from runsvc.store import rows
from runsvc.store.memory.attachments import MemoryAttachments
from runsvc.store.values import Clock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from runsvc.core.model import Request, Run
    from runsvc.store.values import LogEntry, Record


#: Numbers of progress that are kept.
KEPT_PROGRESS: Final = 1_024


class MemoryRow(NamedTuple):
    """A stored run, with the values that queries need besides the record."""

    record: Record
    run: Run
    request: Request | None


def without_large(record: Record) -> Record:
    """The record without kwargs and result."""
    return record._replace(kwargs=None, result=None)


class MemoryData:
    """Runs, log, attachments and clock, with the searches that both parts use."""

    def __init__(self) -> None:
        #: Held while the writer's thread changes data that the loop's thread reads.
        self.lock = threading.RLock()
        self.is_open = False
        #: By run_id.
        self.rows: dict[str, MemoryRow] = {}
        self.log: list[LogEntry] = []
        #: When each log entry was committed, by revision.
        self.times: dict[int, datetime] = {}
        self.attachments = MemoryAttachments()
        #: Widths of concurrency keys, by prefix.
        self.limits: dict[str, int] = {}
        self.store_id = str(uuid4())
        self.time = rows.from_microseconds(0)
        self.revision = 0
        self.commits = 0
        #: Held for the whole transaction of one of several servers.
        self.write_lock = threading.Lock()
        #: The number of the newest progress, and the newest numbers with their run ids.
        self.progress = 0
        self.progressed: deque[tuple[int, str]] = deque(maxlen=KEPT_PROGRESS)
        #: Set by hints.
        self.listeners: set[asyncio.Event] = set()

    def check_open(self) -> None:
        """Raise StoreUnavailable if the store is closed."""
        if not self.is_open:
            raise StoreUnavailable("it is closed")

    def clock(self) -> Clock:
        """The identity of the store, and the range of its log."""
        oldest = self.log[0].revision if self.log else self.revision + 1
        return Clock(self.store_id, self.revision, oldest)

    def search(self, matches: Callable[[Run], bool]) -> Sequence[Record]:
        """The runs that match, oldest first, without kwargs and result."""
        self.check_open()
        with self.lock:
            found = [row.record for row in self.rows.values() if matches(row.run)]
        found.sort(key=lambda record: (record.created_at, record.run_id))
        return list(map(without_large, found))

    def active_on_thread(self, owner: str, thread_id: str) -> Sequence[Record]:
        """The active runs of a thread, newest first, without kwargs."""
        return self.search(
            lambda run: run.status in ACTIVE and (run.owner, run.thread_id) == (owner, thread_id)
        )[::-1]

    def live_on_thread(self, owner: str, thread_id: str) -> Sequence[Record]:
        """The active and queued runs of a thread, newest first, without kwargs."""
        return self.search(
            lambda run: run.status in LIVE and (run.owner, run.thread_id) == (owner, thread_id)
        )[::-1]
