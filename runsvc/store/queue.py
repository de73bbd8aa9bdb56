"""The reads of queued and claimable runs within a transaction, each as of its start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runsvc.core.queue import Gated, Limit, Waiting
    from runsvc.store.attachments import Server


#: The number up to which the older runs with a concurrency key are counted.
COUNTED: Final = 1_000


class LimitChange(NamedTuple):
    """Sets the concurrency limit of a prefix; removes it if `width` is None."""

    prefix: str
    width: int | None


class Candidate(NamedTuple):
    """A claimable run."""

    run_id: str
    priority: int
    created_at: datetime


class Line(NamedTuple):
    """The claimable runs of an assistant with one priority, as far as the next turn depends on them."""

    #: The lowest turn; 0 without runs.
    head: int
    #: The highest turn of each owner.
    last: Mapping[str, int]


class Wake(NamedTuple):
    """A run whose not_before may have come."""

    at: datetime
    run_id: str


class Waits(NamedTuple):
    """The facts that explain why a run is queued."""

    gated: Gated
    now: datetime
    #: Ids of the thread's active runs, newest first.
    active: Sequence[str]
    #: Ids of its queued runs, oldest first.
    queued: Sequence[str]
    #: Ids of its cancelled runs whose executors may still be at work.
    stopping: Sequence[str]
    #: The number of older runs that wait for the same concurrency key, at most COUNTED.
    ahead: int


class QueueReads(Protocol):
    """Reads of the open transaction. They do not see its changes."""

    def queued_on_thread(self, owner: str, thread_id: str) -> Sequence[Waiting]:
        """The queued runs of a thread, oldest first."""

    def active_on_thread(self, owner: str, thread_id: str) -> int:
        """The number of active runs of a thread."""

    def stopping_on_thread(self, owner: str, thread_id: str) -> Sequence[str]:
        """Ids of the cancelled runs of a thread whose executors may still be at work."""

    def active_with_key(self, owner: str, key: str) -> int:
        """The number of active runs with a concurrency key."""

    def queued_with_key(
        self, owner: str, key: str, by: datetime, after: datetime | None, limit: int
    ) -> Sequence[Waiting]:
        """The queued runs with a key and a not_before of at most `by`, oldest first, created after a time."""

    def keys_with_queued(self, prefix: str) -> Sequence[tuple[str, str]]:
        """Owner and key for every concurrency key with this prefix that has queued runs."""

    def key_of(self, run_id: str) -> str | None:
        """The concurrency key of a run, which may be corrupt."""

    def limits(self) -> Sequence[Limit]:
        """All concurrency limits, in the order of their prefixes."""

    def line(self, assistant_id: str | None, priority: int) -> Line:
        """The claimable runs of an assistant with a priority."""

    def claimable(
        self, assistant_id: str | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        """The runs of an assistant that any worker may claim, first to be claimed first. `owner` None: of any owner."""

    def claimable_assistants(self) -> Sequence[str | None]:
        """The assistants with runs that any worker may claim; None stands for runs without an assistant."""

    def held(
        self, worker_id: str, assistant_ids: Sequence[str] | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        """The PENDING runs that a worker holds, by priority and age. `assistant_ids` None: of any assistant."""

    def claimed(self, claim_id: str) -> Sequence[str]:
        """Ids of the runs that were handed out under a request_id, by any worker, oldest first."""

    def kwargs(self, run_id: str) -> bytes:
        """The kwargs of a run; empty if it does not exist."""

    def waking(self, after: Wake | None, limit: int) -> Sequence[Wake]:
        """The runs that wait for their not_before, earliest first, after a position."""

    def silent(self, by: datetime, limit: int) -> Sequence[str]:
        """Ids of runs without a lease, cancelled at or before a time, whose executors may still be at work."""

    def servers(self) -> Sequence[Server]:
        """The registered servers of a shared store, in the order of their names."""


class NoQueue:
    """The reads of a store without queued and claimable runs."""

    def queued_on_thread(self, owner: str, thread_id: str) -> Sequence[Waiting]:
        return ()

    def active_on_thread(self, owner: str, thread_id: str) -> int:
        return 0

    def stopping_on_thread(self, owner: str, thread_id: str) -> Sequence[str]:
        return ()

    def active_with_key(self, owner: str, key: str) -> int:
        return 0

    def queued_with_key(
        self, owner: str, key: str, by: datetime, after: datetime | None, limit: int
    ) -> Sequence[Waiting]:
        return ()

    def keys_with_queued(self, prefix: str) -> Sequence[tuple[str, str]]:
        return ()

    def key_of(self, run_id: str) -> str | None:
        return None

    def limits(self) -> Sequence[Limit]:
        return ()

    def line(self, assistant_id: str | None, priority: int) -> Line:
        return Line(0, {})

    def claimable(
        self, assistant_id: str | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        return ()

    def claimable_assistants(self) -> Sequence[str | None]:
        return ()

    def held(
        self, worker_id: str, assistant_ids: Sequence[str] | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        return ()

    def claimed(self, claim_id: str) -> Sequence[str]:
        return ()

    def kwargs(self, run_id: str) -> bytes:
        return b""

    def waking(self, after: Wake | None, limit: int) -> Sequence[Wake]:
        return ()

    def silent(self, by: datetime, limit: int) -> Sequence[str]:
        return ()

    def servers(self) -> Sequence[Server]:
        return ()


NO_QUEUE: Final = NoQueue()
