"""Who may run beside whom: pure decisions on a thread's active runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from runsvc.core.errors import ThreadBusy, ThreadFull, UnsupportedStrategy
from runsvc.core.model import CancelAction, MultitaskStrategy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runsvc.core.model import RunStatus


class Occupant(Protocol):
    """An active run, as far as a refusal tells of it."""

    @property
    def thread_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def status(self) -> RunStatus: ...


#: What a strategy does to the active runs it displaces; REJECT displaces none.
DISPLACING: Final[Mapping[MultitaskStrategy, CancelAction]] = {
    MultitaskStrategy.INTERRUPT: CancelAction.INTERRUPT,
    MultitaskStrategy.ROLLBACK: CancelAction.ROLLBACK,
}

SUPPORTED: Final = (MultitaskStrategy.REJECT, *DISPLACING)


def check_supported(strategy: MultitaskStrategy) -> None:
    """Refuse a strategy that is not served, before anything is read or written."""
    if strategy not in SUPPORTED:
        raise UnsupportedStrategy(strategy.name, ", ".join(known.name for known in SUPPORTED))


def check_room(thread_id: str, active: int, limit: int) -> None:
    """Refuse a further unconditional run on a thread that is full."""
    if active >= limit:
        raise ThreadFull(thread_id)


def check_free(newest: Occupant | None) -> None:
    """Refuse a run that may not displace any on a thread that has an active one."""
    if newest is not None:
        raise ThreadBusy(newest.thread_id, newest.run_id, newest.status)
