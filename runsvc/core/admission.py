"""Admission: whether a thread accepts a new run beside its active ones. Pure decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from runsvc.core.errors import OwnerFull, ThreadBusy, ThreadFull, UnsupportedStrategy
from runsvc.core.model import CancelAction, MultitaskStrategy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runsvc.core.model import RunStatus


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

SUPPORTED: Final = (MultitaskStrategy.REJECT, *DISPLACING)


def check_supported(strategy: MultitaskStrategy) -> None:
    """Raise UnsupportedStrategy, before anything is read or written."""
    if strategy not in SUPPORTED:
        raise UnsupportedStrategy(strategy.name, ", ".join(known.name for known in SUPPORTED))


def check_room(thread_id: str, active: int, limit: int) -> None:
    """Raise ThreadFull if a thread has reached its limit of active runs."""
    if active >= limit:
        raise ThreadFull(thread_id)


def check_owner_room(owner: str, active: int, limit: int) -> None:
    """Raise OwnerFull if an owner has reached its limit of active runs."""
    if active >= limit:
        raise OwnerFull(owner, limit)


def check_free(newest: ActiveRun | None) -> None:
    """Raise ThreadBusy if a thread has an active run; `newest` is the newest one."""
    if newest is not None:
        raise ThreadBusy(newest.thread_id, newest.run_id, newest.status)
