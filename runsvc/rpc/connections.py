"""Connections: how old each is, as far as it can be known. The transport tells nobody when it ends one for its age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: Connections that are remembered; of any other it is not known how old it is.
CAPACITY: Final = 20_000
#: The transport puts each age off or forward by up to a tenth, so that connections do not all end together.
_JITTER: Final = 0.1


class Connections:
    """When each was first heard of, by its peer's address. Lives on the event loop.

    The end of a connection is not told either: whoever comes from the same address within one's life is taken for it.
    """

    def __init__(self, age: float, grace: float, now: Callable[[], float]) -> None:
        """The age at which the transport ends connections, and what it leaves them then; all in seconds."""
        self._ripe = age * (1 - _JITTER)
        self._longest = age * (1 + _JITTER) + grace
        self._now = now
        #: Oldest first.
        self._met: dict[str, float] = {}

    def meet(self, peer: str) -> None:
        """A call has come from this peer."""
        now = self._now()
        met = self._met.get(peer)
        if met is not None:
            if now - met <= self._longest:
                return
            # No connection lives that long: this one is another.
            del self._met[peer]
        self._met[peer] = now
        while len(self._met) > CAPACITY or self._oldest() < now - self._longest:
            del self._met[next(iter(self._met))]

    def may_be_ended(self, peer: str) -> bool:
        """Whether what ends on this peer's connection now may have been ended by the transport, for its age."""
        met = self._met.get(peer)
        return met is None or self._now() - met >= self._ripe

    def _oldest(self) -> float:
        return next(iter(self._met.values()))
