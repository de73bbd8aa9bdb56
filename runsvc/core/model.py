"""The values of a run: frozen, without behaviour, used by every package.

protos/runsvc/v1/run.proto documents the meaning, the limits and the writer of each field. The wire and the store share
the numbers of the enums. Times are aware datetimes in UTC with microseconds.
"""

from __future__ import annotations

import functools
from collections import deque
from dataclasses import dataclass, field, fields
from enum import IntEnum
from itertools import repeat
from operator import attrgetter, call
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    Value = TypeVar("Value", "Run", "Progress", "ModelUsage", "Cancellation", "Retry")


class RunStatus(IntEnum):
    """The status of a run."""

    PENDING = 1
    RUNNING = 2
    SUCCESS = 3
    ERROR = 4
    TIMEOUT = 5
    INTERRUPTED = 6
    QUEUED = 7

    @property
    def terminal(self) -> bool:
        """True if a run in this status has ended."""
        return self not in LIVE


#: The statuses of runs that an executor may perform.
ACTIVE = frozenset({RunStatus.PENDING, RunStatus.RUNNING})
#: The statuses of runs that have not ended.
LIVE = ACTIVE | {RunStatus.QUEUED}


class StatusReason(IntEnum):
    """The cause of a status, if the server set it."""

    UNSPECIFIED = 0
    CANCEL_REQUESTED = 1
    SUPERSEDED = 2
    CLIENT_DISCONNECTED = 3
    LEASE_EXPIRED = 4
    ORPHANED = 5
    TIMEOUT_EXCEEDED = 6
    START_TIMEOUT_EXCEEDED = 7
    QUEUE_TIMEOUT_EXCEEDED = 8
    RETRYABLE_ERROR = 9
    RELEASED = 10


class CancelAction(IntEnum):
    """How the executor handles the state of a cancelled run."""

    INTERRUPT = 1
    ROLLBACK = 2


class CancelOutcome(IntEnum):
    """The result of a cancel."""

    CANCELLED = 1
    ALREADY_CANCELLED = 2
    ALREADY_FINISHED = 3


class DisconnectMode(IntEnum):
    """The effect on a run when its last attached watcher leaves."""

    CANCEL = 1
    CONTINUE = 2


class MultitaskStrategy(IntEnum):
    """The effect of a new run on the active and queued runs of its thread."""

    REJECT = 1
    INTERRUPT = 2
    ROLLBACK = 3
    ENQUEUE = 4


class Handover(IntEnum):
    """Whether a run waits for the executors of earlier runs that were cancelled or displaced."""

    IMMEDIATE = 1
    AFTER_STOP = 2


class QueueGate(IntEnum):
    """A condition that a queued run waits for, in the order in which they are checked."""

    TIME = 1
    THREAD = 2
    HANDOVER = 3
    CONCURRENCY = 4


#: The priority of a run that does not name one. A higher number comes first.
DEFAULT_PRIORITY: Final = 3


@dataclass(frozen=True, slots=True)
class Stamp:
    """The store-wide revision and the time of a change. Both always increase."""

    revision: int
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """The usage of one model; None means unset."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    reasoning_tokens: int | None = None
    calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The usage and messages that an executor reported; None means unset."""

    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    total_tokens: int | None = None
    llm_call_count: int | None = None
    lead_agent_tokens: int | None = None
    subagent_tokens: int | None = None
    middleware_tokens: int | None = None
    message_count: int | None = None
    last_ai_message: str | None = None
    first_human_message: str | None = None
    #: By the name of the model. Never empty.
    by_model: Mapping[str, ModelUsage] | None = None
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The contents of an executor's report of a status, besides the status; None means unset."""

    worker_id: str | None = None
    #: With RUNNING only. The others are for the end of a run.
    lease_ttl: timedelta | None = None
    error: str | None = None
    stop_reason: str | None = None
    #: The final usage.
    progress: Progress | None = None
    #: An encoded JSON object, opaque below the wire layer; with SUCCESS only.
    result: bytes | None = field(default=None, repr=False)
    attempt: int | None = None
    #: With ERROR only.
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """A holder's promise to send heartbeats."""

    ttl: timedelta
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The cancel or the displacement of a run."""

    action: CancelAction
    note: str | None
    requested_at: datetime
    acknowledged_at: datetime | None = None
    #: Name of the principal whose call it was; empty for the server itself, and without authentication.
    requested_by: str = ""
    #: When the server took the silent executor as stopped.
    presumed_stopped_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Further attempts of a run after a failure."""

    max_attempts: int = 1
    #: The time before the second attempt. It doubles with each further attempt.
    backoff: timedelta | None = None
    #: Attempts that were released, which do not count.
    released: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """A caller's request for a run, after defaults and trimming."""

    thread_id: str
    assistant_id: str | None = None
    on_disconnect: DisconnectMode = DisconnectMode.CANCEL
    multitask_strategy: MultitaskStrategy = MultitaskStrategy.REJECT
    model_name: str | None = None
    worker_id: str | None = None
    lease_ttl: timedelta | None = None
    start_timeout: timedelta | None = None
    timeout: timedelta | None = None
    handover: Handover = Handover.IMMEDIATE
    not_before: datetime | None = None
    concurrency_key: str | None = None
    queue_timeout: timedelta | None = None
    priority: int = DEFAULT_PRIORITY
    retry: Retry | None = None
    #: An encoded JSON object, opaque below the wire layer, like kwargs.
    metadata: bytes = field(default=b"", repr=False)
    kwargs: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The scope in which a request_id is unique."""

    owner: str
    method: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Request:
    """The key of a repeatable creation, and the hash of its canonical spec, which differs for a reused key."""

    key: RequestKey
    spec_hash: bytes


class _Encodable:
    """A value with room for its encoded bytes, as a codec's cache. They are not part of the value or of its copies."""

    __slots__ = ("encoded",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(_Encodable):
    """One execution of an assistant on a thread.

    The store keeps the executor's input (kwargs) and its result separately.
    """

    run_id: str
    owner: str
    thread_id: str
    status: RunStatus
    revision: int
    created_at: datetime
    updated_at: datetime
    on_disconnect: DisconnectMode
    multitask_strategy: MultitaskStrategy
    status_reason: StatusReason = StatusReason.UNSPECIFIED
    assistant_id: str | None = None
    model_name: str | None = None
    error: str | None = None
    stop_reason: str | None = None
    cancellation: Cancellation | None = None
    metadata: bytes = field(default=b"", repr=False)
    progress: Progress | None = None
    #: Sequence of the newest progress report that was applied; None before the first report with a sequence.
    progress_sequence: int | None = None
    worker_id: str | None = None
    lease: Lease | None = None
    start_timeout: timedelta | None = None
    timeout: timedelta | None = None
    superseded_by: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    priority: int = DEFAULT_PRIORITY
    retry: Retry | None = None
    attempt: int = 0
    fencing_token: int = 0
    not_before: datetime | None = None
    concurrency_key: str | None = None
    handover: Handover = Handover.IMMEDIATE
    pending_at: datetime | None = None
    queue_timeout: timedelta | None = None
    #: The place among the runs that Claim hands out; None unless any worker may claim the run now.
    turn: int | None = None
    #: The request_id of the Claim that handed the run out; None unless it is RUNNING by such a call.
    claim_id: str | None = None


def evolve(value: Value, **changes: object) -> Value:
    """Return a copy with changed fields, as dataclasses.replace does, at a third of its cost."""
    kind: Any = type(value)
    contents, setters = _slots(kind)
    evolved: Value = object.__new__(kind)
    # A loop without bytecode.
    deque(map(call, setters.values(), repeat(evolved), contents(value)), maxlen=0)
    for name, content in changes.items():
        setters[name](evolved, content)
    return evolved


@functools.cache
def _slots(
    kind: type,
) -> tuple[Callable[[Any], tuple[Any, ...]], Mapping[str, Callable[..., None]]]:
    """Return a getter of all fields of a slotted class and a setter for each, which works on frozen instances too."""
    names = [each.name for each in fields(kind)]
    return attrgetter(*names), {name: getattr(kind, name).__set__ for name in names}
