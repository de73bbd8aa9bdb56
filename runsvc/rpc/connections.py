"""The approximate age of each connection. The transport does not report that it closes a connection for its age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: The peer of every connection over a unix socket: the transport does not distinguish them.
UNIX: Final = "unix:"
#: Connections that are remembered. The age of any other is unknown.
CAPACITY: Final = 20_000
#: The transport varies the maximum age by up to a tenth, so that connections do not all end together.
_JITTER: Final = 0.1


class Connections:
    """The first call of each connection, by the peer's address. Lives on the event loop.

    The end of a connection is not reported either. A call from the same address within the lifetime of a connection is
    taken for the same connection.
    """

    def __init__(
        self, age: float, grace: float, now: Callable[[], float], capacity: int = CAPACITY
    ) -> None:
        """The age at which the transport closes connections, and its grace period; both in seconds."""
        self._least_age = age * (1 - _JITTER)
        self._longest_life = age * (1 + _JITTER) + grace
        self._now = now
        self._capacity = capacity
        #: Oldest first.
        self._first_calls: dict[str, float] = {}

    def note_call(self, peer: str) -> None:
        """Note a call from a peer."""
        now = self._now()
        first = self._first_calls.get(peer)
        if first is not None:
            if now - first <= self._longest_life:
                return
            # No connection lives that long, so this is a new one.
            del self._first_calls[peer]
        self._first_calls[peer] = now
        while len(self._first_calls) > self._capacity or self._oldest() < now - self._longest_life:
            del self._first_calls[next(iter(self._first_calls))]

    def may_be_aged_out(self, peer: str) -> bool:
        """True if the transport may have closed the peer's connection for its age."""
        first = None if peer == UNIX else self._first_calls.get(peer)
        return first is None or self._now() - first >= self._least_age

    def _oldest(self) -> float:
        return next(iter(self._first_calls.values()))
