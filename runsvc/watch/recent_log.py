"""The ring: the newest entries of the log in memory, bounded in bytes, each findable by every topic it belongs to."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final

from runsvc.store.base import TopicKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runsvc.core.model import Run
    from runsvc.store.base import LogEntry, Topic

#: Bytes that the ring may hold.
CAPACITY: Final = 16 << 20
#: What an entry costs beside its body, in bytes: the tuple, its strings, its places in the index.
ENTRY_COST: Final = 1_000
#: Revisions of a topic that are kept as a tuple.
_FEW: Final = 16


def name_of(topic: Topic) -> str:
    """A topic as one string: of the many that are kept, the garbage collector need not visit any."""
    return _name(topic.kind, topic.owner, topic.key)


def names_of(subject: LogEntry | Run) -> list[str]:
    """The name of every topic that a change of this run belongs to."""
    owner = subject.owner
    names = [
        _name(TopicKind.RUN, owner, subject.run_id),
        _name(TopicKind.THREAD, owner, subject.thread_id),
        _name(TopicKind.ALL, owner),
    ]
    if subject.assistant_id is not None:
        names.append(_name(TopicKind.ASSISTANT, owner, subject.assistant_id))
    return names


def _name(kind: TopicKind, owner: str, key: str = "") -> str:
    return f"{kind.value}\0{owner}\0{key}"


class Ring:
    """The newest entries of the log, without a gap, each findable by every topic it belongs to."""

    def __init__(self, revision: int, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._entries: dict[int, LogEntry] = {}
        #: Revisions by topic. The few of most topics are tuples, which cost less than any other sequence.
        self._index: dict[str, tuple[int, ...] | deque[int]] = {}
        #: The ring holds every entry after `floor`, up to `revision`.
        self.floor = revision
        self.revision = revision

    def extend(self, entries: Iterable[LogEntry]) -> None:
        """Add newer entries; the oldest make room. After a gap the ring starts anew."""
        for entry in entries:
            if entry.revision != self.revision + 1:
                self.restart(entry.revision - 1)
            self._append(entry)
        while self._size > self._capacity and self._entries:
            self._evict()

    def restart(self, revision: int) -> None:
        """Empty the ring; whoever is behind reads the store."""
        self._entries.clear()
        self._index.clear()
        self._size = 0
        self.floor = self.revision = revision

    def after(self, name: str, revision: int, limit: int) -> Sequence[LogEntry]:
        """A topic's entries after a revision at or above the floor."""
        places = self._index.get(name, ())
        if not places or places[-1] <= revision:
            return ()
        start = bisect_right(places, revision)
        end = min(start + limit, len(places))
        return [self._entries[places[at]] for at in range(start, end)]

    def redact(self, name: str) -> None:
        """Take the bodies out of a removed run's entries."""
        for revision in self._index.get(name, ()):
            entry = self._entries[revision]
            self._size -= len(entry.body or b"")
            self._entries[revision] = entry._replace(body=None)

    def _append(self, entry: LogEntry) -> None:
        revision = self.revision = entry.revision
        self._entries[revision] = entry
        self._size += _cost(entry)
        for name in names_of(entry):
            places = self._index.get(name, ())
            if isinstance(places, deque):
                places.append(revision)
            elif len(places) < _FEW:
                self._index[name] = (*places, revision)
            else:
                self._index[name] = deque((*places, revision))

    def _evict(self) -> None:
        self.floor += 1
        entry = self._entries.pop(self.floor)
        self._size -= _cost(entry)
        for name in names_of(entry):
            places = self._index[name]
            if len(places) == 1:
                del self._index[name]
            elif isinstance(places, deque):
                places.popleft()
            else:
                self._index[name] = places[1:]


def _cost(entry: LogEntry) -> int:
    return ENTRY_COST + len(entry.body or b"")
