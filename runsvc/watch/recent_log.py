"""The recent log: the newest log entries in memory, bounded in bytes and indexed by topic."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final

from runsvc.store.values import TopicKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runsvc.core.model import Run
    from runsvc.store.shared import Progressed
    from runsvc.store.values import LogEntry, Topic

#: Largest size of the recent log, in bytes.
CAPACITY: Final = 16 << 20
#: Bytes charged for an entry in addition to its body: the tuple, its strings, its places in the index.
ENTRY_COST: Final = 1_000
#: A topic with up to this many entries keeps their revisions in a tuple.
_FEW: Final = 16


def name_of(topic: Topic) -> str:
    """A topic as one string. The garbage collector does not track strings, and there are many topics.

    A run has one name in every scope: a watch reads its changes only once the run was found in the scope.
    """
    scope = None if topic.kind is TopicKind.RUN else topic.scope
    return f"{topic.kind.value}\0{topic.key}" + ("" if scope is None else f"\0{scope}")


def names_of(subject: LogEntry | Run | Progressed) -> list[str]:
    """The names of all topics that a change of this run belongs to."""
    owner, assistant_id = subject.owner, subject.assistant_id
    names = [
        f"run\0{subject.run_id}",
        f"thread\0{subject.thread_id}\0{owner}",
        f"all\0\0{owner}",
        "all\0",
    ]
    if assistant_id is not None:
        names += (f"assistant\0{assistant_id}\0{owner}", f"assistant\0{assistant_id}")
    return names


class RecentLog:
    """The newest entries of the log, without a gap. It holds every entry after `floor`, up to `revision`."""

    def __init__(self, revision: int, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._entries: dict[int, LogEntry] = {}
        #: Revisions by topic. Most topics have few entries, and a tuple is the smallest sequence.
        self._index: dict[str, tuple[int, ...] | deque[int]] = {}
        self.floor = revision
        self.revision = revision

    def extend(self, entries: Iterable[LogEntry]) -> None:
        """Append newer entries and evict the oldest to make room. A gap empties the recent log first."""
        for entry in entries:
            if entry.revision != self.revision + 1:
                self.restart(entry.revision - 1)
            self._append(entry)
        while self._size > self._capacity and self._entries:
            self._evict()

    def restart(self, revision: int) -> None:
        """Remove all entries and continue after this revision. Cursors before it read the store."""
        self._entries.clear()
        self._index.clear()
        self._size = 0
        self.floor = self.revision = revision

    def after(self, name: str, revision: int, limit: int) -> Sequence[LogEntry]:
        """A topic's entries after a revision, oldest first. The revision must not be below `floor`."""
        revisions = self._index.get(name, ())
        if not revisions or revisions[-1] <= revision:
            return ()
        start = bisect_right(revisions, revision)
        end = min(start + limit, len(revisions))
        return [self._entries[revisions[at]] for at in range(start, end)]

    def redact(self, name: str) -> None:
        """Remove the bodies from the entries of a topic, which is that of a removed run."""
        for revision in self._index.get(name, ()):
            entry = self._entries[revision]
            self._size -= len(entry.body or b"")
            self._entries[revision] = entry._replace(body=None)

    def _append(self, entry: LogEntry) -> None:
        revision = self.revision = entry.revision
        self._entries[revision] = entry
        self._size += _cost(entry)
        for name in names_of(entry):
            revisions = self._index.get(name, ())
            if isinstance(revisions, deque):
                revisions.append(revision)
            elif len(revisions) < _FEW:
                self._index[name] = (*revisions, revision)
            else:
                self._index[name] = deque((*revisions, revision))

    def _evict(self) -> None:
        self.floor += 1
        entry = self._entries.pop(self.floor)
        self._size -= _cost(entry)
        for name in names_of(entry):
            revisions = self._index[name]
            if len(revisions) == 1:
                del self._index[name]
            elif isinstance(revisions, deque):
                revisions.popleft()
            else:
                self._index[name] = revisions[1:]


def _cost(entry: LogEntry) -> int:
    return ENTRY_COST + len(entry.body or b"")
