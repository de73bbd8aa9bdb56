"""Every failure that runsvc itself can tell apart.

The first line of a class's docstring is its message, with the facts filled in; the facts are attributes.

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
├── CorruptRow
└── StoreRefused · ListenRefused
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
    """There is no run {run_id}."""

    run_id: str


@dataclass(eq=False)
class ThreadBusy(RunsvcError):
    """Thread {thread_id} already has an active run: {run_id} is {status.name}."""

    thread_id: str
    run_id: str
    status: RunStatus


@dataclass(eq=False)
class ThreadFull(RunsvcError):
    """Thread {thread_id} has as many active runs as this server allows."""

    thread_id: str


@dataclass(eq=False)
class UnsupportedStrategy(RunsvcError):
    """Multitask strategy {strategy} is not supported; use one of {supported}."""

    strategy: str
    supported: str


@dataclass(eq=False)
class InvalidTransition(RunsvcError):
    """Run {run_id} is {from_status.name}: it cannot become {to_status.name}."""

    run_id: str
    from_status: RunStatus
    to_status: RunStatus


@dataclass(eq=False)
class RunEnded(InvalidTransition):
    """Run {run_id} has ended as {ending}: it no longer changes."""

    ending: str


@dataclass(eq=False)
class RunActive(InvalidTransition):
    """Run {run_id} is {from_status.name}: cancel it or let it end first."""


@dataclass(eq=False)
class NotCancelled(InvalidTransition):
    """Run {run_id} is {from_status.name}: it was not cancelled, so there is nothing to acknowledge."""


@dataclass(eq=False)
class NotHolder(RunsvcError):
    """Run {run_id} is held by another worker, or no worker was named."""

    run_id: str


@dataclass(eq=False)
class RequestIdReused(RunsvcError):
    """This request_id created run {run_id} with another spec; use a new request_id."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that is at fault, and what is wrong with it."""

    field: str
    description: str


@dataclass(eq=False)
class InvalidRequest(RunsvcError):
    """The request is invalid: {summary}."""

    violations: tuple[Violation, ...]

    @property
    def summary(self) -> str:
        """The first faults in words; a hostile request may have thousands."""
        named = [f"{fault.field} {fault.description}".strip() for fault in self.violations[:3]]
        return "; ".join(named) + ("; …" if len(self.violations) > len(named) else "")

    def __str__(self) -> str:
        return f"The request is invalid: {self.summary}."


@dataclass(eq=False)
class RevisionCompacted(RunsvcError):
    """The log starts at revision {oldest_revision}: start over with a snapshot."""

    oldest_revision: int
    current_revision: int


@dataclass(eq=False)
class RevisionUnknown(RunsvcError):
    """Store {store_id} is at revision {current_revision} and does not know the revision asked for."""

    current_revision: int
    store_id: str


@dataclass(eq=False)
class StoreUnavailable(RunsvcError):
    """The store is unavailable, nothing changed: {detail}."""

    detail: str


@dataclass(eq=False)
class StoreBusy(StoreUnavailable):
    """The store stayed locked by another process, nothing changed: {detail}."""


@dataclass(eq=False)
class OutcomeUnknown(RunsvcError):
    """The store did not say whether the change happened: repeat with the same request_id, or read."""


@dataclass(eq=False)
class ServerDraining(RunsvcError):
    """The server is shutting down; try again."""


@dataclass(eq=False)
class Overloaded(RunsvcError):
    """More calls are waiting than this server takes on; try again later."""


@dataclass(eq=False)
class CorruptRow(RunsvcError):
    """Stored run {run_id} cannot be read; `runsvc admin delete` removes it."""

    run_id: str


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
