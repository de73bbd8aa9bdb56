"""The gates of a batch: which queued runs may move on, as of the store and the changes of the batch so far.

Every change that can open a gate is noted, whatever made it. The transaction then settles: the oldest run that waits at
an open gate moves on, until no gate is open with a run behind it.

A batch finishes every thread, but turns to no further run with a concurrency key once it has moved MOVES runs. The keys
that it leaves stay in `keys`, and following commands reconsider them. Until then, runs may wait although their key has
room, and a run that is created with such a key may become active before them. No width is ever exceeded.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core import queue, stopping
from runsvc.core.model import ACTIVE, QueueGate, RunStatus
from runsvc.core.queue import Gated, Limit, ThreadState, Waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from runsvc.core.model import Run
    from runsvc.store.queue import LimitChange, QueueReads
    from runsvc.store.values import Record, Saved

#: Waiting runs that are read at once.
CHUNK: Final = 100

#: Moved runs after which a batch leaves keys to following ones. Other commands wait for tens of milliseconds only.
MOVES: Final = 200

Thread = tuple[str, str]
#: Owner and concurrency key.
Key = tuple[str, str]


class Change(NamedTuple):
    """A run before and after a change; `before` is None at its creation."""

    before: Run | None
    after: Run

    @property
    def growth(self) -> int:
        """By how much the number of active runs grows."""
        before = self.before is not None and self.before.status in ACTIVE
        return (self.after.status in ACTIVE) - before


class Gates:
    """The state of gates. `saved`, `created` and `growth` are those of the transaction, which updates them."""

    def __init__(
        self,
        reads: QueueReads,
        saved: Mapping[str, Saved],
        created: Mapping[Thread, Sequence[str]],
        growth: Mapping[Thread, int],
    ) -> None:
        self._reads = reads
        self._saved = saved
        self._created = created
        self._growth = growth
        self._key_growth: Counter[Key] = Counter()
        self._stopping: dict[Thread, list[str]] = {}
        self._removed: set[str] = set()
        self._limits: Sequence[Limit] | None = None
        #: Gates that may have opened.
        self.threads: set[Thread] = set()
        self.keys: set[Key] = set()
        #: The number of runs that have moved on. The transaction counts.
        self.moved = 0

    def note(self, change: Change) -> None:
        """Note a change of a run, after the transaction has kept it."""
        before, run = change
        thread = run.owner, run.thread_id
        is_stopping = stopping.is_stopping(run)
        if is_stopping:
            self._stopping.setdefault(thread, []).append(run.run_id)
        if run.concurrency_key is not None:
            key = run.owner, run.concurrency_key
            self._key_growth[key] += change.growth
            if change.growth < 0:
                self.keys.add(key)
        if before is not None and _may_free(before, run):
            self.threads.add(thread)

    def remove(self, record: Record) -> None:
        """Note the removal of a run, perhaps of a corrupt one that is active or queued."""
        self._removed.add(record.run_id)
        self.threads.add((record.owner, record.thread_id))
        key = None if record.status.terminal else self._reads.key_of(record.run_id)
        if key is not None:
            self._key_growth[record.owner, key] -= record.status in ACTIVE
            self.keys.add((record.owner, key))

    def change_limit(self, change: LimitChange) -> None:
        """Note a new width."""
        others = [limit for limit in self.limits() if limit.prefix != change.prefix]
        changed = [] if change.width is None else [Limit(change.prefix, change.width)]
        self._limits = sorted(others + changed)
        self.keys.update(self._reads.keys_with_queued(change.prefix))
        self.keys.update(key for key in self._key_growth if key[1].startswith(change.prefix))

    def limits(self) -> Sequence[Limit]:
        """All concurrency limits."""
        if self._limits is None:
            self._limits = self._reads.limits()
        return self._limits

    def queued(self, owner: str, thread_id: str) -> list[Waiting]:
        """The queued runs of a thread, oldest first."""
        stored = filter(self._is_queued, self._reads.queued_on_thread(owner, thread_id))
        return [*stored, *self._created_queued(owner, thread_id)]

    def stopping(self, owner: str, thread_id: str) -> str | None:
        """A cancelled run of a thread whose executor may still be at work."""
        here = self._stopping.get((owner, thread_id), ())
        found = (*reversed(here), *self._reads.stopping_on_thread(owner, thread_id))
        return next(filter(self._is_stopping, found), None)

    def closed(
        self,
        facts: Gated,
        owner: str,
        thread_id: str,
        now: datetime,
        *,
        run_id: str | None = None,
        staged: Collection[Change] = (),
    ) -> QueueGate | None:
        """The first closed gate of a run. `staged` holds further changes of the thread, not yet kept."""
        if not queue.is_time_open(facts, now):
            return QueueGate.TIME
        if facts.in_thread_order or facts.after_stop:
            state = self._thread_state(owner, thread_id, facts, staged)
            if (gate := queue.thread_gate(facts, run_id, state)) is not None:
                return gate
        if facts.concurrency_key is None or self._has_room(owner, facts.concurrency_key, staged):
            return None
        return QueueGate.CONCURRENCY

    def ready(self, now: datetime) -> Iterator[Waiting]:
        """Yield each queued run that may move on. The caller makes it PENDING before it asks for the next."""
        while self.threads or (self.keys and self.moved < MOVES):
            while self.threads:
                owner, thread_id = self.threads.pop()
                for waiting in self.queued(owner, thread_id):
                    if self._is_open(waiting, now):
                        yield waiting
            if self.keys and self.moved < MOVES:
                yield from self._ready_with_key(*self.keys.pop(), now)

    def _ready_with_key(self, owner: str, key: str, now: datetime) -> Iterator[Waiting]:
        after: datetime | None = None
        while self.moved < MOVES and self._has_room(owner, key):
            chunk = self._reads.queued_with_key(owner, key, now, after, CHUNK)
            yield from self._open_ones(filter(self._is_queued, chunk), now)
            if len(chunk) < CHUNK:
                break
            after = chunk[-1].created_at
        created = [
            waiting
            for thread in self._created
            for waiting in self._created_queued(*thread)
            if (waiting.owner, waiting.gated.concurrency_key) == (owner, key)
        ]
        yield from self._open_ones(iter(created), now)
        if self.moved >= MOVES and self._has_room(owner, key):
            self.keys.add((owner, key))

    def _open_ones(self, waiting: Iterator[Waiting], now: datetime) -> Iterator[Waiting]:
        for each in waiting:
            if self.moved >= MOVES:
                return
            if self._is_open(each, now):
                yield each
            elif not self._has_room(each.owner, each.gated.concurrency_key or ""):
                return

    def _is_open(self, waiting: Waiting, now: datetime) -> bool:
        facts, run_id = waiting.gated, waiting.run_id
        return self.closed(facts, waiting.owner, waiting.thread_id, now, run_id=run_id) is None

    def _thread_state(
        self, owner: str, thread_id: str, facts: Gated, staged: Collection[Change]
    ) -> ThreadState:
        active, first_queued = 0, None
        if facts.in_thread_order:
            stored = self._reads.active_on_thread(owner, thread_id)
            growth = self._growth.get((owner, thread_id), 0)
            active = stored + growth + sum(change.growth for change in staged)
            ended = {change.after.run_id for change in staged if change.after.status.terminal}
            queued = (each.run_id for each in self.queued(owner, thread_id))
            first_queued = next((each for each in queued if each not in ended), None)
        is_stopping = facts.after_stop and (
            any(stopping.is_stopping(change.after) for change in staged)
            or self.stopping(owner, thread_id) is not None
        )
        return ThreadState(active, first_queued, is_stopping)

    def _has_room(self, owner: str, key: str, staged: Collection[Change] = ()) -> bool:
        width = queue.width_of(key, self.limits())
        if width is None:
            return True
        growth = self._key_growth[owner, key] + sum(
            change.growth for change in staged if change.after.concurrency_key == key
        )
        return queue.has_room(self._reads.active_with_key(owner, key) + growth, width)

    def _created_queued(self, owner: str, thread_id: str) -> Iterator[Waiting]:
        for run_id in self._created.get((owner, thread_id), ()):
            run = self._saved[run_id].run
            facts = queue.gated(run)
            if run.status is RunStatus.QUEUED and facts is not None:
                yield Waiting(run_id, owner, thread_id, run.created_at, facts)

    def _is_queued(self, waiting: Waiting) -> bool:
        if waiting.run_id in self._removed:
            return False
        saved = self._saved.get(waiting.run_id)
        return saved is None or saved.run.status is RunStatus.QUEUED

    def _is_stopping(self, run_id: str) -> bool:
        saved = self._saved.get(run_id)
        return run_id not in self._removed and (saved is None or stopping.is_stopping(saved.run))


def _may_free(before: Run, after: Run) -> bool:
    """True if a change may open the gate of another run of the thread."""
    if before.status.terminal:
        return stopping.is_stopping(before) and not stopping.is_stopping(after)
    return after.status.terminal
