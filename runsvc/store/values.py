"""The values that a store takes and returns."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runsvc.core.model import Request, Run, RunStatus
    from runsvc.core.owners import Scope
    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.queries import Count, Query
    from runsvc.store.queue import LimitChange


class Record(NamedTuple):
    """A stored run: the columns for searching, and the encoded run, which the store does not interpret."""

    run_id: str
    owner: str
    thread_id: str
    assistant_id: str | None
    status: RunStatus
    created_at: datetime
    revision: int
    progress_sequence: int | None
    #: Hash of the spec that came with its request_id; None if the run was created without one.
    spec_hash: bytes | None
    #: The encoded run in two parts (see Encoded). Both are empty if a read leaves them out.
    body: bytes
    activity: bytes
    #: None if a read leaves it out.
    kwargs: bytes | None = None
    #: None if the run has none, or if a read leaves it out, as it does with kwargs.
    result: bytes | None = None
    #: As in Run.
    turn: int | None = None
    claim_id: str | None = None

    @property
    def size(self) -> int:
        """Bytes of the encoded run, without kwargs and result."""
        return len(self.body) + len(self.activity)


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


class Encoded(NamedTuple):
    """An encoded run in two parts. Concatenated, they are the whole encoded run."""

    #: Everything but the activity.
    body: bytes
    #: Lease, progress and updated_at: the fields that change without a new revision.
    activity: bytes


#: The fields of a run that are columns only.
COLUMNS: Final = ("progress_sequence", "turn", "claim_id")


class TopicKind(Enum):
    """The kinds of things that a watcher can follow."""

    RUN = "run"
    THREAD = "thread"
    ASSISTANT = "assistant"
    ALL = "all"


class Topic(NamedTuple):
    """The subject of a watch: `key` is an id of the given kind, empty for ALL.

    A THREAD topic has one owner: each owner has threads of its own.
    """

    kind: TopicKind
    scope: Scope
    key: str = ""


class Loaded(NamedTuple):
    """The answers to the queries of a transaction."""

    records: Mapping[Query, Sequence[Record]]
    counts: Mapping[Count, int]
    #: Decoded runs that the engine has at no cost, by id: some or none of the runs in `records`.
    runs: Mapping[str, Run] = {}


class Now(NamedTuple):
    """The clock at the start of a transaction."""

    #: Never before the time of the last change, even if the machine's clock was set back.
    time: datetime
    revision: int
    #: Number of earlier committed transactions.
    commits: int
    #: The store may have queued runs.
    may_have_queued: bool = False
    #: Of a shared store: its identity, as in Clock. Empty otherwise.
    store_id: str = ""


class Creation(NamedTuple):
    """Data that is stored once, when a run is created."""

    kwargs: bytes
    request: Request | None


class Saved(NamedTuple):
    """The final state of a run that a transaction created or changed."""

    run: Run
    encoded: Encoded
    #: None if the run existed before this transaction.
    creation: Creation | None
    #: Only the activity differs from the stored run.
    only_activity: bool = False
    #: Stored once, with the end of the run; None keeps the present state.
    result: bytes | None = None
    #: The run before this transaction. None at its creation, or if it is not known.
    stored: Run | None = None


class Changes(NamedTuple):
    """Everything that one transaction changes in the store."""

    #: The clock after the transaction.
    time: datetime
    revision: int
    #: Each changed run once, in its final state.
    runs: Sequence[Saved] = ()
    log: Sequence[LogEntry] = ()
    #: Ids of runs to remove. Their existing log entries lose the body.
    deleted: Sequence[str] = ()
    #: Log entries up to this revision are dropped.
    forgotten: int = 0
    #: Applied in this order, after the runs.
    attachments: Sequence[AttachmentChange] = ()
    limits: Sequence[LimitChange] = ()
    #: Ids of runs whose progress or metadata changed without a log entry. A shared store numbers them.
    progressed: Sequence[str] = ()


class RunState(NamedTuple):
    """Identifies a run as of one of its revisions."""

    run_id: str
    revision: int


class Snapshot(NamedTuple):
    """The runs that matched a topic at one revision."""

    #: For a RUN topic the run in any status; for other topics the active and queued runs, oldest first.
    states: Sequence[RunState]
    revision: int


class LogSlice(NamedTuple):
    """A part of the log, filtered by a topic."""

    entries: Sequence[LogEntry]
    #: `entries` has every match up to this revision.
    scanned_to: int


class Clock(NamedTuple):
    """The identity of a store, and the range of its log."""

    store_id: str
    revision: int
    #: Oldest revision in the log; revision + 1 if the log is empty.
    oldest_revision: int


class Census(NamedTuple):
    """The clock of a store and the numbers of its active and queued runs, at one moment."""

    clock: Clock
    active_runs: int
    queued_runs: int = 0


class Inflight(NamedTuple):
    """Ids of a thread's runs that have not ended."""

    #: Newest first.
    active: Sequence[str]
    #: Oldest first.
    queued: Sequence[str]
