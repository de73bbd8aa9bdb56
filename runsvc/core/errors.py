"""The errors that runsvc raises.

The first line of a class's docstring is the message for users, a template that its attributes complete.

RunsvcError
├── RunNotFound
├── ThreadBusy · ThreadFull
├── UnsupportedStrategy
├── InvalidTransition
│   └── RunEnded · RunActive · NotCancelled
├── NotHolder
├── RequestIdReused
├── InvalidRequest
├── RevisionCompacted · RevisionUnknown
├── StoreUnavailable
│   └── StoreBusy
├── OutcomeUnknown
├── ServerDraining
├── Overloaded
│   └── OwnerFull · TooManyCalls · TooManyWaiting · TooManyWatches · RateExceeded
├── CorruptRow
├── Unauthenticated · PermissionDenied
└── StoreRefused · ListenRefused · FileRefused
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runsvc.core.model import RunStatus


class RunsvcError(Exception):
    """The run service failed."""

    def __str__(self) -> str:
        first_line = (type(self).__doc__ or "").split("\n", maxsplit=1)[0]
        return first_line.format_map(vars(self))


@dataclass(eq=False)
class RunNotFound(RunsvcError):
    """Run {run_id} does not exist."""

    run_id: str


@dataclass(eq=False)
class ThreadBusy(RunsvcError):
    """Thread {thread_id} already has an active run: {run_id} is {status.name}."""

    thread_id: str
    run_id: str
    status: RunStatus


@dataclass(eq=False)
class ThreadFull(RunsvcError):
    """Thread {thread_id} has reached this server's limit of active or queued runs; end or cancel one of them first."""

    thread_id: str


@dataclass(eq=False)
class UnsupportedStrategy(RunsvcError):
    """Create does not support the multitask strategy {strategy}; use CreateOrReject, or one of {supported}."""

    strategy: str
    supported: str


@dataclass(eq=False)
class InvalidTransition(RunsvcError):
    """Run {run_id} is {from_status.name} and cannot become {to_status.name}."""

    run_id: str
    from_status: RunStatus
    to_status: RunStatus


@dataclass(eq=False)
class RunEnded(InvalidTransition):
    """Run {run_id} has ended as {ending} and can no longer change."""

    ending: str


@dataclass(eq=False)
class RunActive(InvalidTransition):
    """Run {run_id} is {from_status.name}; cancel it first, or wait until it ends."""


@dataclass(eq=False)
class NotCancelled(InvalidTransition):
    """Run {run_id} is {from_status.name} and was not cancelled, so its cancel cannot be acknowledged."""


@dataclass(eq=False)
class NotHolder(RunsvcError):
    """The request does not name the worker that holds run {run_id}, or names another attempt; send its worker_id."""

    run_id: str


@dataclass(eq=False)
class RequestIdReused(RunsvcError):
    """This request_id created run {run_id} from a different spec; use a new request_id."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Violation:
    """An invalid field of a request, and the reason."""

    field: str
    description: str


@dataclass(eq=False)
class InvalidRequest(RunsvcError):
    """The request is invalid: {summary}."""

    violations: tuple[Violation, ...]

    @property
    def summary(self) -> str:
        """The first violations, as text. A hostile request may have thousands."""
        shown = [f"{each.field} {each.description}".strip() for each in self.violations[:3]]
        return "; ".join(shown) + ("; …" if len(self.violations) > len(shown) else "")

    def __str__(self) -> str:
        return f"The request is invalid: {self.summary}."


@dataclass(eq=False)
class RevisionCompacted(RunsvcError):
    """The change log starts at revision {oldest_revision}; start again with a snapshot."""

    oldest_revision: int
    current_revision: int


@dataclass(eq=False)
class RevisionUnknown(RunsvcError):
    """Store {store_id} ends at revision {current_revision} and has no such revision; start again with a snapshot."""

    current_revision: int
    store_id: str


@dataclass(eq=False)
class StoreUnavailable(RunsvcError):
    """The store is unavailable and nothing was changed: {detail}."""

    detail: str


@dataclass(eq=False)
class StoreBusy(StoreUnavailable):
    """The store is locked by another process and nothing was changed: {detail}."""


@dataclass(eq=False)
class OutcomeUnknown(RunsvcError):
    """The outcome of the change is unknown; read the run, or repeat the call with the same request_id."""


@dataclass(eq=False)
class ServerDraining(RunsvcError):
    """The server is shutting down; try again."""


@dataclass(eq=False)
class Overloaded(RunsvcError):
    """The server has too many waiting calls; try again later."""


@dataclass(eq=False)
class OwnerFull(Overloaded):
    """Owner {owner!r} has {limit} active and queued runs, the server's limit; end or cancel one of them first."""

    owner: str
    limit: int


@dataclass(eq=False)
class TooManyCalls(Overloaded):
    """The server has {limit} calls under way, the most that it allows; try again later."""

    limit: int


@dataclass(eq=False)
class TooManyWaiting(Overloaded):
    """Your calls delay those of others, and {limit} of them wait already; make fewer at a time and try again later."""

    limit: int


@dataclass(eq=False)
class TooManyWatches(Overloaded):
    """Owner {owner!r} has {limit} open watches, the most that this server allows; close one of them first."""

    owner: str
    limit: int


@dataclass(eq=False)
class RateExceeded(Overloaded):
    """Owner {owner!r} makes more than {limit} calls per second, the most that this server allows; try again later."""

    owner: str
    limit: int


@dataclass(eq=False)
class PermissionDenied(RunsvcError):
    """The caller may not make this call: {detail}."""

    detail: str


@dataclass(eq=False)
class CorruptRow(RunsvcError):
    """Stored run {run_id} is corrupt and cannot be read; remove it with `runsvc admin delete`."""

    run_id: str


@dataclass(eq=False)
class Unauthenticated(RunsvcError):
    """The call is not authenticated: {detail}."""

    detail: str


@dataclass(eq=False)
class StoreRefused(RunsvcError):
    """Cannot use {path}: {detail}."""

    path: str
    detail: str


@dataclass(eq=False)
class ListenRefused(RunsvcError):
    """Cannot listen on {address}: {detail}."""

    address: str
    detail: str


@dataclass(eq=False)
class FileRefused(RunsvcError):
    """Cannot use {place}: {detail}."""

    #: A file, with a line if one is at fault: tokens.txt:3.
    place: str
    detail: str

    def again(self) -> FileRefused:
        """An equal error. One that was raised holds on to the frames that it passed."""
        return FileRefused(self.place, self.detail)
