"""How cursors read the log: from the recent log, or from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runsvc.core.errors import RunsvcError
    from runsvc.store.base import ReadingStore
    from runsvc.store.values import LogEntry, Topic
    from runsvc.watch.event import Event
    from runsvc.watch.recent_log import RecentLog

#: Entries that a cursor reads at once.
CHUNK_SIZE: Final = 32


class Chunk(NamedTuple):
    """Consecutive events of a topic, read from the recent log."""

    topic_name: str
    #: The position of the cursor before and after.
    begin: int
    end: int
    events: Sequence[Event]


class LogReader:
    """Reads the log for all cursors and keeps the last chunk.

    Watchers of one topic are woken together and mostly stand at the same position: the first one reads for all. Only
    one chunk is kept: a chunk per topic would hold entries in memory beyond the bound of the recent log.
    """

    __slots__ = ("_chunk_size", "_last_chunk", "_store", "recent_log", "refusal")

    def __init__(
        self, recent_log: RecentLog, store: ReadingStore, *, chunk_size: int = CHUNK_SIZE
    ) -> None:
        self.recent_log = recent_log
        self._store = store
        self._chunk_size = chunk_size
        self._last_chunk: Chunk | None = None
        #: Cursors raise it: the server is draining, or the store is another one.
        self.refusal: RunsvcError | None = None

    async def read(self, topic: Topic, name: str, position: int) -> tuple[Sequence[LogEntry], int]:
        """The next entries of a topic after a position, and the position up to which the log has been read."""
        recent_log, size = self.recent_log, self._chunk_size
        if not recent_log.floor <= position <= recent_log.revision:
            # The cursor fell behind the recent log. Or it is ahead of it, after a snapshot or in the middle of a call.
            found = await self._store.log_since(topic, position, size)
            return found.entries, found.scanned_to
        entries = recent_log.after(name, position, size)
        return entries, entries[-1].revision if len(entries) == size else recent_log.revision

    def close(self, refusal: RunsvcError) -> None:
        """Refuse all further reads."""
        self.refusal = refusal

    def chunk_after(self, name: str, position: int) -> Chunk | None:
        """The last chunk, if it is of this topic and begins at this position."""
        chunk = self._last_chunk
        if chunk is None or chunk.begin != position or chunk.topic_name != name:
            return None
        return chunk

    def keep(self, chunk: Chunk) -> None:
        """Keep a chunk for other cursors, until the next commit."""
        self._last_chunk = chunk

    def discard_chunk(self) -> None:
        """Discard the last chunk, because the recent log changes."""
        self._last_chunk = None
