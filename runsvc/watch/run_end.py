"""When a watch of one run is complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core import stopping
from runsvc.store.values import LogEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.core.model import Lease
    from runsvc.store.base import Codec
    from runsvc.store.values import Record
    from runsvc.watch.event import Event


class Outlook(NamedTuple):
    """Whether further events can follow a state of a run."""

    #: No further event can follow.
    is_final: bool
    #: The holder's lease, while an acknowledgement is expected: it can come until the lease expires, or at any time if
    #: there is no lease.
    lease: Lease | None = None


OPEN: Final = Outlook(is_final=False)
FINAL: Final = Outlook(is_final=True)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """Decides when a watch of one run is complete: at its terminal state, or on request at the acknowledgement."""

    codec: Codec
    until_acknowledged: bool

    def outlook(self, state: Record | LogEntry) -> Outlook:
        """Whether further events can follow this state. Raise CorruptRow."""
        if isinstance(state, LogEntry) and (state.deleted or state.body is None):
            # The entries of a removed run have no body, and its DELETED follows them.
            return FINAL if state.deleted else OPEN
        if not state.status.terminal:
            return OPEN
        if not self.until_acknowledged:
            return FINAL
        run = self.codec.decode(state)
        return Outlook(False, run.lease) if stopping.awaits_acknowledgement(run) else FINAL

    def cut(self, changes: Sequence[Event]) -> tuple[Sequence[Event], Outlook]:
        """The changes up to the one that completes the watch, and the outlook after them. Raise CorruptRow."""
        outlook = OPEN
        for number, event in enumerate(changes, 1):
            if event.subject is not None and (outlook := self.outlook(event.subject)).is_final:
                return changes[:number], outlook
        return changes, outlook
