"""The contract of a store: the duties of every engine, and the guarantees for its callers.

A store holds runs, the log of their changes, and a clock. It searches and returns data, and makes no decisions. It has
two parts. The writing part is synchronous and belongs to the writer's thread. The reading part is asynchronous and
returns committed data only. A cancelled read leaves no resources open.

Both parts raise StoreUnavailable when the engine cannot work, and its subclass StoreBusy when another process holds a
lock. Both recover without help once the cause is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from runsvc.core.model import Run
    from runsvc.core.owners import Scope
    from runsvc.core.queue import Limit
    from runsvc.store.queries import Count, PageQuery, Query
    from runsvc.store.queue import QueueReads, Waits
    from runsvc.store.shared import SharedLog
    from runsvc.store.values import (
        Census,
        Changes,
        Clock,
        Encoded,
        Inflight,
        Loaded,
        LogEntry,
        LogSlice,
        Now,
        Record,
        RunState,
        Snapshot,
        Topic,
    )


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
