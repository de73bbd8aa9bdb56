"""Who may run beside whom: pure decisions on a thread's active runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.errors import ThreadBusy, ThreadFull, UnsupportedStrategy
from runsvc.model import CancelAction, MultitaskStrategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runsvc.model import Run

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


def displaced(
    strategy: MultitaskStrategy, active: Sequence[Run]
) -> Sequence[tuple[Run, CancelAction]]:
    """The active runs (newest first) that a new run displaces, oldest first, and how; ThreadBusy when it may not."""
    if not active:
        return ()
    if strategy not in DISPLACING:
        newest = active[0]
        raise ThreadBusy(newest.thread_id, newest.run_id, newest.status)
    return [(run, DISPLACING[strategy]) for run in reversed(active)]
