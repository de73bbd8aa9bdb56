"""The contract of a store: what every engine does, and what a caller may rely on.

A store keeps runs, the log of their changes, and one clock. It searches and carries; it decides nothing. The writing
side is synchronous and belongs to one thread, the writer's. The reading side is asynchronous and sees only what was
committed. A cancelled read leaves nothing open.

Both sides raise StoreUnavailable when the engine cannot do its work now (StoreBusy when another process holds it), and
recover by themselves once the cause is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from runsvc.store.attachments import Abandoned, AnyReleased

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from runsvc.core.model import Request, RequestKey, Run, RunStatus
    from runsvc.store.attachments import AttachmentChange


class Record(NamedTuple):
    """A run as stored: the columns that are searched, and the encoded run that is only carried."""

    run_id: str
    owner: str
    thread_id: str
    assistant_id: str | None
    status: RunStatus
    created_at: datetime
    revision: int
    progress_sequence: int | None
    #: Hash of the spec that its request_id was used with; None when it was created without one.
    spec_hash: bytes | None
    #: The encoded run in two parts (see Encoded); both are empty where a read leaves them out.
    body: bytes
    activity: bytes
    #: None where a read leaves it out.
    kwargs: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of the encoded run, without kwargs."""
        return len(self.body) + len(self.activity)


class LogEntry(NamedTuple):
    """One change as the log holds it."""

    revision: int
    #: Last revision of the call that made this change: changes of one call stay together.
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
    #: The encoded run as of this change; None once the run was removed.
    body: bytes | None


class Encoded(NamedTuple):
    """An encoded run in two parts. Concatenated, they are the whole encoded run."""

    #: Everything but the activity.
    body: bytes
    #: Lease, progress and updated_at: the fields that change without a new revision.
    activity: bytes


class Codec(Protocol):
    """Encodes and decodes runs. A store treats the bytes as opaque."""

    def encode(self, run: Run, before: Run | None = None) -> Encoded:
        """The run without kwargs and without progress_sequence, which have columns of their own.

        If only the activity differs from `before`, the body is the very bytes object of `before`.
        """
        ...

    def split(self, encoded: bytes) -> Encoded:
        """The parts of a whole encoded run. If it cannot be parsed, it is the body, and the activity is empty."""
        ...

    def decode(self, subject: Record | LogEntry) -> Run:
        """The run in a record or in a log entry that has a body.

        CorruptRow when the bytes are no run, or are another run's than the columns say.
        """
        ...


class TopicKind(Enum):
    """What a watcher can follow."""

    RUN = "run"
    THREAD = "thread"
    ASSISTANT = "assistant"
    ALL = "all"


class Topic(NamedTuple):
    """Whose changes a watcher follows: `key` is an id of that kind, empty for ALL."""

    kind: TopicKind
    owner: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class ById:
    """Asks for the run with this id, without kwargs: one record or none."""

    run_id: str


@dataclass(frozen=True, slots=True)
class RawById:
    """Asks for the run with this id, to remove it, even if it is corrupt: then its body is empty, its status ERROR."""

    run_id: str


@dataclass(frozen=True, slots=True)
class ByRequest:
    """Asks for the run that this request created: one record or none."""

    key: RequestKey


@dataclass(frozen=True, slots=True)
class ActiveOnThread:
    """Asks for a thread's active runs, newest first."""

    owner: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class NewestActive:
    """Asks for a thread's active runs, newest first, at most so many, without bodies."""

    owner: str
    thread_id: str
    limit: int


@dataclass(frozen=True, slots=True)
class DueLeases:
    """Asks for active runs whose lease has a ttl of at most `longest` and ran out at or before a time, first first.

    At most `limit`, behind the first `skip`.
    """

    at: datetime
    longest: timedelta
    limit: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class DueTimeouts:
    """Asks for active runs whose present timeout ends at or before a time, first first.

    That of a PENDING run is its start_timeout, counted from created_at; of a RUNNING one its timeout, from started_at.
    At most `limit`, behind the first `skip`.
    """

    at: datetime
    limit: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Which leases are over: those with a ttl of at most `longest` that ran out at or before a time."""

    at: datetime
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Orphans:
    """Asks for active runs created at or before a time (None: at any), oldest first, that nobody holds.

    Those without a lease, and those whose lease lapsed; without `lapsed` only the former.
    """

    before: datetime | None
    limit: int
    lapsed: Lapsed | None = None


Query = (
    ById
    | RawById
    | ByRequest
    | ActiveOnThread
    | NewestActive
    | DueLeases
    | DueTimeouts
    | Orphans
    | Abandoned
)


@dataclass(frozen=True, slots=True)
class ActiveCount:
    """Asks how many active runs a thread has."""

    owner: str
    thread_id: str


Count = ActiveCount | AnyReleased


class Loaded(NamedTuple):
    """What a transaction found."""

    records: Mapping[Query, Sequence[Record]]
    counts: Mapping[Count, int]
    #: By id, those of the runs whose bodies need no decoding, because the engine has kept what it was given.
    runs: Mapping[str, Run] = {}


class Now(NamedTuple):
    """The clock as a transaction finds it."""

    #: Never before the time of the last change, whatever the machine's clock does.
    time: datetime
    revision: int
    #: How many transactions were committed before this one.
    commits: int


class Saved(NamedTuple):
    """The newest state of a run that a transaction created or changed."""

    run: Run
    encoded: Encoded
    #: Set when this transaction created the run.
    creation: Creation | None
    #: The stored run differs in its activity alone.
    only_activity: bool = False


class Creation(NamedTuple):
    """What is stored with a run once, when it is created."""

    kwargs: bytes
    request: Request | None


class Changes(NamedTuple):
    """All that one transaction does to the store."""

    #: The clock after it.
    time: datetime
    revision: int
    #: Each changed run once, as it is in the end.
    runs: Sequence[Saved] = ()
    log: Sequence[LogEntry] = ()
    #: Runs to remove; the log entries they had before lose the body.
    deleted: Sequence[str] = ()
    #: Log entries at or below this revision go.
    forgotten: int = 0
    #: In this order, after the runs.
    attachments: Sequence[AttachmentChange] = ()


class RunState(NamedTuple):
    """A run as of one of its revisions: enough to find the rest by."""

    run_id: str
    revision: int


class Snapshot(NamedTuple):
    """What matched a topic at one revision."""

    #: The run of a RUN topic, in any status; of other topics the active runs, oldest first.
    states: Sequence[RunState]
    revision: int


class LogSlice(NamedTuple):
    """A stretch of the log, filtered by a topic."""

    entries: Sequence[LogEntry]
    #: No further entry at or below this revision matches.
    scanned_to: int


class Clock(NamedTuple):
    """Where a store stands."""

    store_id: str
    revision: int
    #: Oldest revision in the log; revision + 1 when the log is empty.
    oldest_revision: int


class PageKey(NamedTuple):
    """Position of a run in its thread's list."""

    created_at: datetime
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """Which of a thread's runs to list."""

    owner: str
    thread_id: str
    #: Empty: all.
    statuses: frozenset[RunStatus] = field(default_factory=frozenset)
    #: The last run of the page before.
    after: PageKey | None = None
    limit: int
    #: The page ends with the record that brings its bodies beyond this many bytes.
    max_bytes: int


class WritingStore(Protocol):
    """The writer thread's side: one transaction at a time, begin to commit or rollback."""

    def begin(self) -> Now:
        """Open a transaction, holding the write lock of the whole store. Afterwards none is open when it raises."""
        ...

    def load(self, queries: Collection[Query | Count]) -> Loaded:
        """Answer each query, as of this transaction."""
        ...

    def save(self, changes: Changes) -> None:
        """Stage the changes. Nothing of them may be committed after it raises: roll back."""
        ...

    def commit(self) -> None:
        """Make it durable. StoreUnavailable: it did not happen. OutcomeUnknown: that could not be found out."""
        ...

    def rollback(self) -> None:
        """Drop the open transaction, if there is one. Never raises."""
        ...


class ReadingStore(Protocol):
    """Everyone's side: reads of what was committed. What one read returns is as of one moment, unless it says more."""

    async def get(self, run_id: str) -> Record | None:
        """The run with its kwargs."""
        ...

    async def look_up(self, run_id: str) -> Record | None:
        """The run without its kwargs."""
        ...

    async def active_on_thread(self, owner: str, thread_id: str) -> Sequence[str]:
        """Ids of the thread's active runs, newest first."""
        ...

    async def page(self, query: PageQuery) -> Sequence[Record]:
        """Runs of a thread, newest first by (created_at, run_id). Each as of its own moment within the read."""
        ...

    async def displaced_by(self, run_id: str) -> Sequence[Record]:
        """The runs whose superseded_by is this one, oldest first."""
        ...

    async def ended(self, by: datetime, after: str, limit: int) -> Sequence[str]:
        """Ids of runs that ended at or before a time, in the order of their creation, after this one (empty: all)."""
        ...

    async def snapshot(self, topic: Topic) -> Snapshot:
        """What matches, and the revision it is as of."""
        ...

    async def recall(self, states: Sequence[RunState]) -> Sequence[Record | LogEntry]:
        """The runs as of these revisions, in this order; a run that was removed since is left out.

        A run that has not changed since is its record, without kwargs; another one is its log entry. RevisionCompacted
        when the log no longer holds that of a run that is there.
        """
        ...

    async def log_since(self, topic: Topic, revision: int, limit: int) -> LogSlice:
        """Entries after a revision, oldest first. RevisionCompacted when the log starts later than that."""
        ...

    async def log_tail(self, limit: int, max_bytes: int) -> Sequence[LogEntry]:
        """The newest entries of every owner, oldest first, up to the one whose body goes beyond so many bytes."""
        ...

    async def log_begin(self, time: datetime) -> int:
        """Revision of the oldest entry that was committed after this time; the next one when there is none."""
        ...

    async def clock(self) -> Clock:
        """Where the store stands."""
        ...

    async def count_active(self) -> int:
        """How many runs are active."""
        ...


class Store(WritingStore, ReadingStore, Protocol):
    """A whole engine."""

    #: Name of the engine, such as sqlite.
    kind: str

    async def open(self) -> None:
        """Make ready, creating or migrating what is stored. StoreRefused when this is not a store for us."""
        ...

    async def close(self) -> None:
        """Let go of everything; only after the writer has stopped. A closed store is StoreUnavailable."""
        ...
