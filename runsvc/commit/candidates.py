"""The runs that the claims of a batch may hand out, in order. Each list is read once for all claims of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runsvc.store.queue import Candidate, QueueReads

#: Candidates that are read at first. Each further read is this many times as long.
CHUNK: Final = 16
_FACTOR: Final = 8


class Wanted(NamedTuple):
    """The runs that a worker asks for."""

    worker_id: str
    #: None: runs of every assistant.
    assistant_ids: tuple[str, ...] | None
    #: None: runs of every owner.
    owner: str | None


class _List:
    """The candidates of one assistant, first to be claimed first."""

    __slots__ = ("_assistant_id", "_found", "_limit", "_owner", "_reads", "_used")

    def __init__(self, reads: QueueReads, assistant_id: str | None, owner: str | None) -> None:
        self._reads = reads
        self._assistant_id = assistant_id
        self._owner = owner
        self._limit = CHUNK
        self._found = reads.claimable(assistant_id, owner, CHUNK)
        self._used = 0

    def first(self) -> Candidate | None:
        """The first candidate that was not dropped."""
        if self._used == len(self._found) == self._limit:
            self._limit *= _FACTOR
            self._found = self._reads.claimable(self._assistant_id, self._owner, self._limit)
        return self._found[self._used] if self._used < len(self._found) else None

    def drop_first(self) -> None:
        """Go on to the next candidate."""
        self._used += 1


class Candidates:
    """The claimable runs of a batch."""

    def __init__(self, reads: QueueReads) -> None:
        self._reads = reads
        self._lists: dict[tuple[str | None, str | None], _List] = {}
        self._assistants: Sequence[str | None] | None = None

    def take(self, wanted: Wanted, limit: int) -> Iterator[str]:
        """Yield ids of runs to hand out. In this batch none is yielded again, except those that the worker holds.

        Across assistants, the first run of a list with a higher priority comes first, then the older one.
        """
        for held in self._reads.held(wanted.worker_id, wanted.assistant_ids, wanted.owner, limit):
            yield held.run_id
        lists = [self._list(each, wanted.owner) for each in self._wanted_assistants(wanted)]
        while heads := [(head, each) for each in lists if (head := each.first()) is not None]:
            head, source = min(heads, key=lambda pair: (-pair[0].priority, pair[0].created_at))
            source.drop_first()
            yield head.run_id

    def _wanted_assistants(self, wanted: Wanted) -> Sequence[str | None]:
        if wanted.assistant_ids is not None:
            return wanted.assistant_ids
        if self._assistants is None:
            self._assistants = self._reads.claimable_assistants()
        return self._assistants

    def _list(self, assistant_id: str | None, owner: str | None) -> _List:
        key = assistant_id, owner
        if (known := self._lists.get(key)) is None:
            known = self._lists[key] = _List(self._reads, assistant_id, owner)
        return known
