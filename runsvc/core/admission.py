"""Admission: whether a thread accepts a new run beside its active ones. Pure decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from runsvc.core.errors import (
    InvalidRequest,
    OwnerFull,
    ThreadBusy,
    ThreadFull,
    UnsupportedStrategy,
    Violation,
)
from runsvc.core.model import CancelAction, MultitaskStrategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runsvc.core.model import RunStatus
    from runsvc.core.queue import Limit


class ActiveRun(Protocol):
    """The facts of an active run that a ThreadBusy reports."""

    @property
    def thread_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def status(self) -> RunStatus: ...


#: The cancel action for displaced runs, by strategy. REJECT displaces none.
DISPLACING: Final[Mapping[MultitaskStrategy, CancelAction]] = {
    MultitaskStrategy.INTERRUPT: CancelAction.INTERRUPT,
    MultitaskStrategy.ROLLBACK: CancelAction.ROLLBACK,
}

#: The strategies that Create takes: it does not consider the other runs of the thread.
SUPPORTED: Final = (MultitaskStrategy.REJECT, *DISPLACING)

#: Most concurrency limits of a store.
MAX_LIMITS: Final = 1_000


def check_supported(strategy: MultitaskStrategy) -> None:
    """Raise UnsupportedStrategy for a strategy that Create does not take, before anything is read or written."""
    if strategy not in SUPPORTED:
        raise UnsupportedStrategy(strategy.name, ", ".join(known.name for known in SUPPORTED))


def check_room(thread_id: str, active: int, limit: int) -> None:
    """Raise ThreadFull if a thread has reached its limit of active runs."""
    if active >= limit:
        raise ThreadFull(thread_id)


def check_owner_room(owner: str, active: int, limit: int) -> None:
    """Raise OwnerFull if an owner has reached its limit of active and queued runs."""
    if active >= limit:
        raise OwnerFull(owner, limit)


def check_queue(thread_id: str, queued: int, limit: int) -> None:
    """Raise ThreadFull if a thread has reached its limit of queued runs."""
    if queued >= limit:
        raise ThreadFull(thread_id)


def check_limits(limits: Sequence[Limit], prefix: str, width: int | None) -> None:
    """Raise InvalidRequest if a store would have too many concurrency limits."""
    is_known = any(limit.prefix == prefix for limit in limits)
    if width is not None and not is_known and len(limits) >= MAX_LIMITS:
        fault = f"is one more than the {MAX_LIMITS} limits of a store: remove another one first"
        raise InvalidRequest((Violation("prefix", fault),))


def check_free(newest: ActiveRun | None) -> None:
    """Raise ThreadBusy if a run is in the way; `newest` is the newest one."""
    if newest is not None:
        raise ThreadBusy(newest.thread_id, newest.run_id, newest.status)
