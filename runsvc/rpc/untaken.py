"""A bound on answers that clients do not take. The transport keeps them in memory as long as the connection lives."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from runsvc.core.errors import Overloaded
from runsvc.rpc.connections import UNIX

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Methods that may be refused after their work, because it has no effect.
READS: Final = frozenset(f"/runsvc.v1.RunService/{name}" for name in ("Get", "ListByThread"))
#: Answers up to this many bytes do not count: the number of calls bounds them.
SMALL: Final = 64 << 10
#: Most bytes of larger answers that one connection, and all together, may leave untaken.
PER_CONNECTION: Final = 16 << 20
IN_TOTAL: Final = 256 << 20


class Untaken:
    """Counts the bytes of large answers until the transport has sent them. Lives on the event loop."""

    def __init__(self, per_connection: int = PER_CONNECTION, in_total: int = IN_TOTAL) -> None:
        self._per_connection = per_connection
        self._in_total = in_total
        self._bytes: Counter[str] = Counter()
        self._total = 0

    @property
    def by_connection(self) -> Mapping[str, int]:
        """Bytes that each connection has left untaken, by the peer's address."""
        return self._bytes

    def check(self, peer: str, size: int = 0) -> None:
        """Raise Overloaded if the connection leaves too much untaken to get `size` more bytes."""
        limit = self._in_total if peer == UNIX else self._per_connection
        if self._bytes[peer] + size > limit or (size and self._total + size > self._in_total):
            if not self._bytes[peer]:
                del self._bytes[peer]
            raise Overloaded

    def add(self, context: Any, size: int) -> None:
        """Count an answer until its call has ended."""
        peer = context.peer()
        self._bytes[peer] += size
        self._total += size
        context.add_done_callback(partial(self._taken, peer, size))

    def _taken(self, peer: str, size: int, _: object) -> None:
        self._total -= size
        self._bytes[peer] -= size
        if self._bytes[peer] <= 0:
            del self._bytes[peer]
