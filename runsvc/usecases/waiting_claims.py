"""The claims that wait for a run: which of them a run wakes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runsvc.commit.candidates import Wanted
    from runsvc.commit.effects import Claimable


class WaitingClaim:
    """One claim under way. Use it in a with block, which passes an unused wake-up on."""

    __slots__ = ("_all", "_is_trying", "_reason", "wanted", "woken")

    def __init__(self, every: WaitingClaims, wanted: Wanted) -> None:
        self._all = every
        self.wanted = wanted
        self.woken = asyncio.Event()
        #: The run that has woken the claim, until a command has searched for it.
        self._reason: Claimable | None = None
        self._is_trying = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._all.leave(self)
        if self._reason is not None:
            self._all.wake_one(self._reason)

    def begin_attempt(self) -> None:
        """A command will search for runs now. A run that wakes the claim from now on may come too late for it."""
        self._is_trying = True
        self.woken.clear()

    def end_attempt(self) -> None:
        """The command has searched."""
        self._is_trying = False
        if not self.woken.is_set():
            self._reason = None

    @property
    def is_idle(self) -> bool:
        """True if the claim waits, and was not woken."""
        return not self._is_trying and not self.woken.is_set()

    def wake(self, reason: Claimable | None) -> None:
        """Let the claim try again."""
        self.woken.set()
        self._reason = reason


class WaitingClaims:
    """All claims under way, in the order of their arrival."""

    def __init__(self) -> None:
        #: By assistant; under None those that take runs of every assistant. The values keep the order.
        self._by_assistant: dict[str | None, dict[WaitingClaim, int]] = {}
        self._arrived = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, wanted: Wanted) -> WaitingClaim:
        """A place for a claim, behind all others."""
        claim = WaitingClaim(self, wanted)
        self._arrived += 1
        self._count += 1
        for assistant_id in wanted.assistant_ids or (None,):
            self._by_assistant.setdefault(assistant_id, {})[claim] = self._arrived
        return claim

    def leave(self, claim: WaitingClaim) -> None:
        """Forget a claim."""
        self._count -= 1
        for assistant_id in claim.wanted.assistant_ids or (None,):
            waiting = self._by_assistant[assistant_id]
            del waiting[claim]
            if not waiting:
                del self._by_assistant[assistant_id]

    def has_fitting(self, run: Claimable) -> bool:
        """Return True if a claim under way would take such a run."""
        return any(self._fitting(run))

    def wake_one(self, run: Claimable) -> None:
        """Wake the claim that waits longest for such a run; if all are trying, let the first try once more."""
        if not self._by_assistant:
            return
        fitting = sorted(self._fitting(run), key=lambda pair: pair[1])
        chosen = next((claim for claim, _ in fitting if claim.is_idle), None)
        if chosen is None and fitting:
            chosen = next((claim for claim, _ in fitting if not claim.woken.is_set()), None)
        if chosen is not None:
            chosen.wake(run)

    def wake_all(self) -> None:
        """Let every claim try again."""
        for waiting in self._by_assistant.values():
            for claim in waiting:
                claim.wake(None)

    def _fitting(self, run: Claimable) -> Iterator[tuple[WaitingClaim, int]]:
        keys = [None] if run.assistant_id is None else [run.assistant_id, None]
        for key in keys:
            for claim, order in self._by_assistant.get(key, {}).items():
                wanted = claim.wanted
                if wanted.owner in (None, run.owner) and run.worker_id in (None, wanted.worker_id):
                    yield claim, order
