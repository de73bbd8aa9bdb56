"""The room of owners: how many more active and queued runs each may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runsvc.core import admission
from runsvc.store.queries import OwnerActiveCount

if TYPE_CHECKING:
    from runsvc.commit.transaction import Transaction


@dataclass(frozen=True, slots=True)
class OwnerRoom:
    """Checks creations against the limit of active and queued runs of one owner."""

    #: None for no limit.
    limit: int | None
    #: Most active and queued runs of a thread.
    max_per_thread: int

    def reads(self, owner: str) -> tuple[OwnerActiveCount, ...]:
        """The query that `check` needs; none without a limit."""
        if self.limit is None:
            return ()
        # A creation displaces at most the runs of one thread, so that a higher count makes no difference.
        return (OwnerActiveCount(owner, self.limit + self.max_per_thread),)

    def check(self, tx: Transaction, owner: str, *, freed: int = 0) -> None:
        """Raise OwnerFull if an owner, without the `freed` runs, has as many active and queued runs as the limit."""
        if self.limit is not None:
            (query,) = self.reads(owner)
            active = tx.count_owner_active(query) - freed
            admission.check_owner_room(owner, active, self.limit)
