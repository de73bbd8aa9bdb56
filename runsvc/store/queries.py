"""The queries of a store: the reads of a transaction, and the pages of a thread.

A query is a value. A transaction finds an answer under the query object that asked for it, or an equal one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from runsvc.core.model import ACTIVE
from runsvc.store.attachments import Abandoned, AnyReleased

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from runsvc.core.model import RequestKey, RunStatus
    from runsvc.core.owners import Scope


@dataclass(frozen=True, slots=True)
class ById:
    """The run with this id, without kwargs, if its owner is in the scope: one record or none.

    A run outside the scope takes the same reads as an id that does not exist.
    """

    run_id: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class RawById:
    """The run with this id, for removal, even if it is corrupt: then its parts are empty and its status is ERROR."""

    run_id: str


@dataclass(frozen=True, slots=True)
class ByRequest:
    """The run that this request created: one record or none."""

    key: RequestKey


@dataclass(frozen=True, slots=True)
class ActiveOnThread:
    """The active runs of a thread, newest first."""

    owner: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class NewestActive:
    """The newest active runs of a thread, newest first, without body, activity and progress_sequence."""

    owner: str
    thread_id: str
    limit: int


@dataclass(frozen=True, slots=True)
class DueLeases:
    """Active runs with a lease of at most `longest` that expired at or before a time, earliest expiry first.

    At most `limit`, after the first `skip`.
    """

    at: datetime
    longest: timedelta
    limit: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class DueTimeouts:
    """Active runs whose current timeout ended at or before a time, earliest end first.

    The start_timeout of a PENDING run counts from created_at, the timeout of a RUNNING run from started_at.
    At most `limit`, after the first `skip`.
    """

    at: datetime
    limit: int
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Lapsed:
    """The condition that a lease of at most `longest` expired at or before a time."""

    at: datetime
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Orphans:
    """Active runs without a holder, created at or before a time (None: at any time), oldest first.

    These are the runs without a lease and, with `lapsed`, the runs with a lapsed lease.
    """

    before: datetime | None
    limit: int
    lapsed: Lapsed | None = None
    statuses: frozenset[RunStatus] = ACTIVE
    #: None: of every assistant, or of none.
    assistant_id: str | None = None
    scope: Scope = None


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
    """The number of active runs of a thread."""

    owner: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class OwnerActiveCount:
    """The number of active and queued runs of an owner, counted up to a limit."""

    owner: str
    limit: int


#: Queries with a number as the answer.
Count = ActiveCount | OwnerActiveCount | AnyReleased


class PageKey(NamedTuple):
    """The position of a run in the list of its thread."""

    created_at: datetime
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """A page of a thread's runs."""

    owner: str
    thread_id: str
    #: Empty: all.
    statuses: frozenset[RunStatus] = field(default_factory=frozenset)
    #: The last run of the previous page.
    after: PageKey | None = None
    limit: int
    #: The page ends with the record that takes the sum of its sizes over this many bytes.
    max_bytes: int
