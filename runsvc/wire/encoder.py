"""Events of a watch as bytes. A change is encoded once for all of its watchers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.fifo_cache import FifoCache
from runsvc.store.values import LogEntry
from runsvc.wire.convert import to_response

if TYPE_CHECKING:
    from runsvc.watch.event import Event

#: Number of encoded changes that are cached, and the bytes of the largest: some 4 MiB in all.
KEPT: Final = 512
LARGEST: Final = 8 << 10


class _Encoded(NamedTuple):
    event: Event
    response: bytes


class EventEncoder:
    """Encodes events, and caches the newest changes."""

    def __init__(self) -> None:
        self._encoded: FifoCache[int, _Encoded] = FifoCache(KEPT)

    def encode(self, event: Event) -> bytes:
        """The encoded StreamStatusResponse of an event. Raise CorruptRow."""
        if (known := self._encoded.get(event.revision)) is not None and _same(known.event, event):
            return known.response
        response = to_response(event).SerializeToString()
        if event.revision and isinstance(event.subject, LogEntry) and len(response) <= LARGEST:
            self._encoded.keep(event.revision, _Encoded(event, response))
        return response


def _same(one: Event, other: Event) -> bool:
    """True if both events hold the same entry object: an entry that has lost its body is another one."""
    return one.subject is other.subject and one.event is other.event and one.more is other.more
