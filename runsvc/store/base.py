"""The contract of a store: the duties of every engine, and the guarantees for its callers.

A store holds runs, the log of their changes, and a clock. It searches and returns data, and makes no decisions. It has
two parts. The writing part is synchronous and belongs to the writer's thread. The reading part is asynchronous and
returns committed data only. A cancelled read leaves no resources open.

Both parts raise StoreUnavailable when the engine cannot work, and its subclass StoreBusy when another process holds a
lock. Both recover without help once the cause is gone.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from runsvc.store.log import Clock as Clock  # noqa: TC001 - other modules import it from here.
from runsvc.store.log import LogEntry as LogEntry  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from runsvc.core.model import Request, Run, RunStatus
    from runsvc.core.owners import Scope
    from runsvc.core.queue import Limit
    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.queries import Count, PageQuery, Query
    from runsvc.store.queue import LimitChange, QueueReads, Waits
    from runsvc.store.shared import SharedLog


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


class Encoded(NamedTuple):
    """An encoded run in two parts. Concatenated, they are the whole encoded run."""

    #: Everything but the activity.
    body: bytes
    #: Lease, progress and updated_at: the fields that change without a new revision.
    activity: bytes


#: The fields of a run that are columns only.
COLUMNS: Final = ("progress_sequence", "turn", "claim_id")


class Codec(Protocol):
    """Encodes and decodes runs. A store treats the bytes as opaque."""

    def encode(self, run: Run, before: Run | None = None) -> Encoded:
        """Encode a run without kwargs, result and the fields that have columns of their own (COLUMNS).

        If only the activity differs from `before`, the body is the same bytes object as the body of `before`.
        """

    def split(self, encoded: bytes) -> Encoded:
        """Split a whole encoded run. Bytes that cannot be parsed become the body, with an empty activity."""

    def decode(self, subject: Record | LogEntry) -> Run:
        """Decode the run of a record, or of a log entry that has a body.

        Raise CorruptRow if the bytes cannot be decoded, or do not match the columns.
        """

    def check(self, record: Record) -> None:
        """Raise CorruptRow if the run, its kwargs or its result cannot be parsed, or do not match the columns."""


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
    progressed: Collection[str] = ()


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


class WritingStore(Protocol):
    """The part for the writer's thread: one transaction at a time, from begin to commit or rollback."""

    @property
    def queue(self) -> QueueReads:
        """Further reads of the open transaction."""

    def begin(self) -> Now:
        """Open a transaction with the write lock of the whole store. If it raises, no transaction is open."""

    def load(self, queries: Collection[Query | Count]) -> Loaded:
        """Answer each query as of the start of this transaction."""

    def save(self, changes: Changes) -> None:
        """Stage the changes. If it raises, the caller must roll back."""

    def commit(self) -> None:
        """Make the changes durable.

        Raise StoreUnavailable if they were not committed, and OutcomeUnknown if they may have been.
        """

    def rollback(self) -> None:
        """Drop the open transaction, if any. Never raises."""


class ReadingStore(Protocol):
    """The part for everyone else.

    Each answer is the state after one commit: no commit is seen in part, and none that ended before the read is missed.
    """

    async def get(self, run_id: str, scope: Scope) -> Record | None:
        """The run with its kwargs and its result, if its owner is in the scope.

        Raise CorruptRow if the record does not pass Codec.check. A run outside the scope takes the same reads as an id
        that does not exist, also if it is corrupt.
        """

    async def get_without_kwargs(self, run_id: str, scope: Scope) -> Record | None:
        """The run without its kwargs and result, if its owner is in the scope."""

    async def inflight(self, owner: str, thread_id: str) -> Inflight:
        """Ids of the thread's active and queued runs."""

    async def waits(self, records: Sequence[Record]) -> Mapping[str, Waits]:
        """The facts that explain why these runs are queued, by id. A run that is no longer queued is left out."""

    async def limits(self) -> Sequence[Limit]:
        """All concurrency limits, in the order of their prefixes."""

    async def page(self, query: PageQuery) -> Sequence[Record]:
        """Runs of a thread, newest first by (created_at, run_id).

        Raise CorruptRow if a record does not pass Codec.check.
        """

    async def with_displaced(self, run_id: str) -> Sequence[Record]:
        """The run, unless it was removed, then the runs that it superseded, oldest change first."""

    async def ended(self, by: datetime, after: str, limit: int) -> Sequence[str]:
        """Ids of runs that ended at or before a time, in order of creation, after this id (empty: from the first)."""

    async def snapshot(self, topic: Topic) -> Snapshot:
        """The runs that match a topic, and the revision of that state."""

    async def recall(self, states: Sequence[RunState]) -> Sequence[Record | LogEntry]:
        """The runs as of these revisions, in this order, without those removed since.

        A run that has not changed since is its record, without kwargs and result; any other is its log entry. Raise
        RevisionCompacted if the log no longer has the entry of a run that still exists.
        """

    async def log_since(self, topic: Topic, revision: int, limit: int) -> LogSlice:
        """The entries after a revision, oldest first. Raise RevisionCompacted if the log starts later."""

    async def log_tail(self, limit: int, max_bytes: int) -> Sequence[LogEntry]:
        """The newest entries of all owners, oldest first. The oldest may take the sum of bodies over `max_bytes`."""

    async def log_begin(self, time: datetime) -> int:
        """Revision of the oldest entry committed after a time; the next revision if there is none."""

    async def clock(self) -> Clock:
        """The identity of the store, and the range of its log."""

    async def count_active(self) -> int:
        """The number of active runs."""

    async def census(self) -> Census:
        """The clock and the numbers of active and queued runs."""


class Store(Protocol):
    """An engine."""

    #: Name of the engine, such as sqlite.
    kind: str
    #: None if this process is the only one that writes the store.
    shared: SharedLog | None

    @property
    def reading(self) -> ReadingStore:
        """The part for reading. Raise StoreUnavailable while the store is closed."""

    @property
    def writing(self) -> WritingStore:
        """The part for writing. Raise StoreUnavailable while the store is closed."""

    def log_bytes(self) -> int:
        """Size in bytes of the engine's write-ahead log, 0 without one."""

    async def open(self) -> None:
        """Open the store; create or migrate it if needed. Raise StoreRefused if it is unusable, StoreUnavailable."""

    async def close(self) -> None:
        """Close both parts, after the writer has stopped. A closed store can be opened again."""
