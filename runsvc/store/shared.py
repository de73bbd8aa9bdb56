"""The contract of a shared store, which several servers write: how each of them learns of the changes of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.store.values import Clock, LogEntry


class Head(NamedTuple):
    """The end of the log after a revision, at one moment."""

    clock: Clock
    #: The number of the newest progress; 0 without any.
    progress: int
    #: Entries of all owners, oldest first, without a gap. The first is the oldest of the log if the log begins later.
    entries: Sequence[LogEntry]


class Progressed(NamedTuple):
    """A change of a run's progress or metadata that the log does not have. Progress is numbered in commit order."""

    number: int
    run_id: str
    owner: str
    thread_id: str
    assistant_id: str | None


class SharedLog(Protocol):
    """The reads of the tail, and the hints between servers. Lives on the event loop.

    All methods raise StoreUnavailable. A hint says that the log has grown. It may get lost, so the log is also polled.
    """

    async def head(self, revision: int, limit: int) -> Head:
        """The clock, and at most `limit` entries after a revision. One read: its parts are of the same store_id."""

    async def progressed(self, number: int, limit: int) -> Sequence[Progressed] | None:
        """Progress after a number, oldest first, without removed runs; None if some of it is no longer known."""

    async def listen(self) -> bool:
        """Begin to receive hints, and send one to itself. False if it does not arrive, or if there are no hints."""

    async def hinted(self) -> None:
        """Wait for the next hint of another server.

        Raise StoreUnavailable once hints do not arrive any more; then listen again.
        """

    async def hint(self) -> None:
        """Send a hint to the other servers."""

    async def close(self) -> None:
        """Stop receiving hints."""
