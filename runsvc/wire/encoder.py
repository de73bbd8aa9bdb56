"""Events of a watch as the bytes that are sent: a change is encoded once, however many watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.fifo_cache import FifoCache
from runsvc.store.base import LogEntry
from runsvc.wire.convert import to_response

if TYPE_CHECKING:
    from runsvc.watch.event import Event

#: Encoded changes that are kept, and the bytes of the largest that is: some 4 MiB in all.
KEPT: Final = 512
LARGEST: Final = 8 << 10


class _Encoded(NamedTuple):
    event: Event
    response: bytes


class EventEncoder:
    """Encodes events, and remembers the newest changes."""

    def __init__(self) -> None:
        self._encoded: FifoCache[int, _Encoded] = FifoCache(KEPT)

    def encode(self, event: Event) -> bytes:
        """The event's StreamStatusResponse. CorruptRow."""
        if (known := self._encoded.get(event.revision)) is not None and _same(known.event, event):
            return known.response
        response = to_response(event).SerializeToString()
        if event.revision and isinstance(event.subject, LogEntry) and len(response) <= LARGEST:
            self._encoded.keep(event.revision, _Encoded(event, response))
        return response


def _same(one: Event, other: Event) -> bool:
    """Whether two events are of the very same entry: one whose body was removed since is another."""
    return one.subject is other.subject and one.event is other.event and one.more is other.more
