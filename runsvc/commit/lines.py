"""The lines of claimable runs: which turn a run gets. A cache of the store, for the writer's thread.

A line is for one assistant and one priority. The store has the truth: a line that is not known is read from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.core.model import StatusReason
from runsvc.core.queue import next_turn

if TYPE_CHECKING:
    from runsvc.core.model import Run
    from runsvc.store.queue import QueueReads

#: Number of lines, and of owners of one line without waiting runs, that are kept.
CAPACITY: Final = 4_096

Key = tuple[str | None, int]


class _Line:
    __slots__ = ("gaps", "head", "last", "limit")

    def __init__(self, head: int, last: dict[str, int]) -> None:
        #: The turn of the run that was handed out last, or of the first that waits.
        self.head = head
        #: The last turn of each owner. One before the head has no meaning any more.
        self.last = last
        #: Owners of whose runs some left from the middle of the line, without being started.
        self.gaps: set[str] = set()
        #: The number of owners above which those without a meaning are removed.
        self.limit = CAPACITY

    def tidy(self) -> None:
        """Remove owners without a meaning. If most have one, the next time comes later."""
        if len(self.last) > self.limit:
            self.last = {owner: last for owner, last in self.last.items() if last >= self.head}
            self.gaps &= self.last.keys()
            self.limit = max(CAPACITY, 2 * len(self.last))


class Lines:
    """Gives turns to runs that become claimable."""

    def __init__(self) -> None:
        self._lines: dict[Key, _Line] = {}
        #: Commits of the store when the lines were right.
        self._commits = -1
        #: The present transaction has changed a line.
        self._is_changed = False

    def begin(self, commits: int) -> None:
        """Forget everything if the store has changed without this cache, or a transaction has failed."""
        if commits != self._commits:
            self._lines.clear()
        self._commits = -1
        self._is_changed = False

    def end_unchanged(self, commits: int) -> None:
        """Note that the transaction has changed nothing in the store.

        The lines stay known: a claim that found no run would otherwise cost a read of every line, however long.
        """
        if not self._is_changed:
            self._commits = commits

    def end(self, commits: int) -> None:
        """Note that the transaction has ended as intended, and the number of the store's commits now."""
        self._commits = commits

    def take_turn(self, run: Run, reads: QueueReads) -> int:
        """The turn of a run that becomes claimable. A released run goes to the front, where it came from."""
        if run.status_reason is StatusReason.RELEASED:
            return self._line(run.assistant_id, run.priority, reads).head
        return self.turn(run.assistant_id, run.priority, run.owner, reads)

    def turn(self, assistant_id: str | None, priority: int, owner: str, reads: QueueReads) -> int:
        """The next turn of an owner in a line."""
        line = self._line(assistant_id, priority, reads)
        self._is_changed = True
        turn = next_turn(line.last.get(owner), line.head)
        line.last[owner] = turn
        line.tidy()
        return turn

    def leave(self, run: Run, *, started: bool) -> None:
        """Note that a run is no longer claimable, because it was started or because it ended."""
        line = self._lines.get((run.assistant_id, run.priority))
        if line is None or run.turn is None:
            return
        self._is_changed = True
        if started:
            line.head = max(line.head, run.turn)
        elif line.last.get(run.owner) != run.turn:
            line.gaps.add(run.owner)
        elif run.owner in line.gaps:
            # The owner's last turn is one that only the store knows.
            del self._lines[run.assistant_id, run.priority]
        else:
            # The next run of the owner gets the same turn.
            line.last[run.owner] = run.turn - 1

    def _line(self, assistant_id: str | None, priority: int, reads: QueueReads) -> _Line:
        known = self._lines.get((assistant_id, priority))
        if known is not None:
            return known
        if len(self._lines) >= CAPACITY:
            self._lines.clear()
        head, last = reads.line(assistant_id, priority)
        line = self._lines[assistant_id, priority] = _Line(head, dict(last))
        return line
