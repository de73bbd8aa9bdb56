"""The transaction of a batch: the store as of its start, plus the effects of the batch's earlier commands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from runsvc.commit.candidates import Candidates
from runsvc.commit.effects import Effects
from runsvc.commit.gates import Change
from runsvc.commit.lines import Lines
from runsvc.commit.staged import Staged
from runsvc.core import admission, lifecycle, queue
from runsvc.core.errors import CorruptRow, RequestIdReused, RunNotFound
from runsvc.core.model import LIVE, RunStatus, Stamp, evolve
from runsvc.core.run_id import new_id
from runsvc.store.queries import ById
from runsvc.store.queue import NO_QUEUE, LimitChange
from runsvc.store.values import Changes, Creation, Saved

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from runsvc.core.model import Request, Run, RunSpec
    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.base import Codec, WritingStore
    from runsvc.store.queries import (
        ActiveCount,
        ActiveOnThread,
        ByRequest,
        NewestActive,
        OwnerActiveCount,
    )
    from runsvc.store.queue import QueueReads
    from runsvc.store.values import Loaded, Now, Record

T = TypeVar("T")

_TICK = timedelta(microseconds=1)
#: A number of queued runs that no thread reaches.
_UNLIMITED = 2**63


class Transaction:
    """The working set of a batch. A command that raises has no effect on it."""

    def __init__(
        self,
        now: Now,
        loaded: Loaded,
        codec: Codec,
        store: WritingStore | None = None,
        lines: Lines | None = None,
    ) -> None:
        #: The time at which the batch began.
        self.begin = now.time
        self._loaded = loaded.records
        self._counts = loaded.counts
        self._codec = codec
        self._decoded = dict(loaded.runs)
        self._store = store
        #: Further reads, as of the start of the transaction.
        self.reads: QueueReads = NO_QUEUE if store is None else store.queue
        self._lines = lines or Lines()
        #: The effects of the commands so far.
        self.effects = Effects(now, self.reads)
        self._gates = self.effects.gates
        self._staged = Staged(now.time, now.revision)
        #: Where the log entries of the present call begin.
        self._call_begin = 0
        #: The runs that claims may hand out.
        self.candidates = Candidates(self.reads)

    def apply(self, decide: Callable[..., T]) -> T:
        """Run a command's decision and keep its effects, unless it raises."""
        staged = self._staged = Staged(self.effects.time, self.effects.revision)
        answer = decide(self)
        self._call_begin = len(self.effects.log)
        self.effects.merge(staged)
        return answer

    def settle(self) -> None:
        """Make the queued runs PENDING whose gates the last command has opened. An error fails the whole batch."""
        gates = self._gates
        if not (gates.threads or gates.keys):
            return
        if not self.effects.may_wait:
            gates.threads.clear()
            gates.keys.clear()
            return
        for waiting in gates.ready(self.effects.time):
            self._promote(waiting.run_id)
        log = self.effects.log
        for number in range(self._call_begin, len(log)):
            log[number] = log[number]._replace(call_end=self.effects.revision)

    def changes(self) -> Changes | None:
        """The changes to save; None if there are none."""
        return self.effects.changes()

    @property
    def time(self) -> datetime:
        """The time at which the current decision is made."""
        return self._staged.time

    def stamp(self) -> Stamp:
        """The revision and time of the next change. Saving a run advances both."""
        return Stamp(self._staged.revision + 1, self._staged.time + _TICK)

    def run(self, query: ById) -> Run:
        """A run in the scope of the query. Raise RunNotFound, also for a run outside it, or CorruptRow."""
        for record in self._loaded[query]:
            return self._current(record)
        raise RunNotFound(query.run_id)

    def active(self, query: ActiveOnThread) -> list[Run]:
        """The active and queued runs of a thread, newest first."""
        stored = map(self._current, self._loaded[query])
        created = self._created_live(query.owner, query.thread_id)
        return [*created, *filter(_is_live, stored)]

    def newest_active(self, query: NewestActive) -> Run | Record | None:
        """The newest active or queued run of a thread, perhaps as a record without a body; None if there is none."""
        for run in self._created_live(query.owner, query.thread_id):
            return run
        for record in self._loaded[query]:
            saved = self.effects.saved.get(record.run_id)
            found = record if saved is None else saved.run
            if found.status in LIVE:
                return found
        return None

    def count_active(self, query: ActiveCount) -> int:
        """The number of a thread's active runs."""
        return self._counts[query] + self.effects.growth[query.owner, query.thread_id]

    def count_owner_active(self, query: OwnerActiveCount) -> int:
        """The number of an owner's active and queued runs, counted up to the limit of the query."""
        return self._counts[query] + self.effects.owner_growth[query.owner]

    def replay(self, query: ByRequest, spec_hash: bytes) -> Run | None:
        """The run that an earlier call with this request_id created, if any. Raise RequestIdReused."""
        if (created := self.effects.requests.get(query.key)) is not None:
            run_id, known_hash = created
            return _same_spec(self.effects.saved[run_id].run, known_hash, spec_hash)
        for record in self._loaded[query]:
            return _same_spec(self._current(record), record.spec_hash, spec_hash)
        return None

    def new_run_id(self) -> str:
        """A new run_id with the time of the next change."""
        return new_id(self._staged.time + _TICK)

    def create(
        self,
        spec: RunSpec,
        *,
        run_id: str,
        owner: str,
        request: Request | None,
        max_queued: int = _UNLIMITED,
    ) -> Run:
        """Save a new run: PENDING, or QUEUED if one of its gates is closed.

        Raise ThreadFull if its thread has `max_queued` queued runs already.
        """
        status, turn = RunStatus.PENDING, None
        if self._must_wait(spec, owner):
            queued = self._gates.queued(owner, spec.thread_id)
            admission.check_queue(spec.thread_id, len(queued), max_queued)
            status = RunStatus.QUEUED
        elif spec.worker_id is None:
            turn = self._lines.turn(spec.assistant_id, spec.priority, owner, self.reads)
        run = lifecycle.create(
            spec, run_id=run_id, owner=owner, at=self.stamp(), status=status, turn=turn
        )
        self._stage(run, None, Creation(spec.kwargs, request))
        return run

    def save(self, before: Run, after: Run, result: bytes | None = None) -> Run:
        """Save a run if it changed, with its result if it has ended with one.

        A run that any worker may claim now gets its turn.
        """
        if after is not before:
            if after.status is not before.status:
                if before.turn is not None:
                    self._lines.leave(before, started=after.status is RunStatus.RUNNING)
                after = self.with_turn(after)
            self._stage(after, before, None, result)
        return after

    def with_turn(self, run: Run) -> Run:
        """A run with its turn, if any worker may claim it now."""
        if run.status is not RunStatus.PENDING or run.worker_id is not None or run.turn is not None:
            return run
        if run.not_before is not None and run.not_before > self._staged.time:
            return run
        return evolve(run, turn=self._lines.take_turn(run, self.reads))

    def stopping(self, owner: str, thread_id: str) -> Run | None:
        """A cancelled run of a thread whose executor may still be at work."""
        run_id = self._gates.stopping(owner, thread_id)
        return None if run_id is None else self.find(run_id)

    def find(self, run_id: str) -> Run | None:
        """A run that the command did not know beforehand; None if it does not exist. Raise CorruptRow."""
        if (saved := self.effects.saved.get(run_id)) is not None:
            return saved.run
        if self._store is None:
            return None
        query = ById(run_id, None)
        loaded = self._store.load([query])
        self._decoded.update(loaded.runs)
        for record in loaded.records[query]:
            return self._current(record)
        return None

    def kwargs(self, run_id: str) -> bytes:
        """The kwargs of a run."""
        saved = self.effects.saved.get(run_id)
        created = saved.creation if saved else None
        return self.reads.kwargs(run_id) if created is None else created.kwargs

    def claimed(self, claim_id: str) -> list[str]:
        """Ids of the runs that were handed out under a request_id, by any worker."""
        saved = self.effects.saved
        here = (run_id for run_id, each in saved.items() if each.run.claim_id == claim_id)
        return list(dict.fromkeys((*self.reads.claimed(claim_id), *here)))

    def reconsider(self, owner: str, thread_id: str) -> None:
        """Check the gates of a thread's queued runs after this command."""
        self._gates.threads.add((owner, thread_id))

    def reconsider_keys(self, keys: Collection[tuple[str, str]]) -> None:
        """Check the gates of the queued runs with these keys, each with its owner, after this command."""
        self._gates.keys.update(keys)

    def set_limit(self, change: LimitChange) -> None:
        """Set or remove a concurrency limit."""
        self._staged.limits.append(change)

    def _must_wait(self, spec: RunSpec, owner: str) -> bool:
        facts = queue.gated(spec)
        if facts is None:
            return False
        changes = self._staged.changes
        staged = [Change(each.stored, each.run) for each in changes if isinstance(each, Saved)]
        gate = self._gates.closed(facts, owner, spec.thread_id, self._staged.time, staged=staged)
        return gate is not None

    def _promote(self, run_id: str) -> None:
        try:
            run = self.find(run_id)
        except CorruptRow:
            # It waits until an operator removes it.
            return
        if run is None or run.status is not RunStatus.QUEUED:
            return
        staged = self._staged = Staged(self.effects.time, self.effects.revision)
        self.save(run, queue.promote(run, self.stamp()))
        self.effects.merge(staged)
        self._gates.moved += 1

    def attach(self, *changes: AttachmentChange) -> None:
        """Change attachments. Queries of this transaction do not see the change."""
        self._staged.attachments += changes

    def _stage(
        self,
        run: Run,
        before: Run | None,
        creation: Creation | None,
        result: bytes | None = None,
    ) -> None:
        staged = self._staged
        encoded = self._codec.encode(run, before)
        # A body is shared only by states of one revision.
        only_activity = (
            before is not None
            and run.revision == before.revision
            and encoded.body is self._codec.encode(before).body
            and run.turn == before.turn
            and run.claim_id == before.claim_id
        )
        staged.changes.append(Saved(run, encoded, creation, only_activity, result, before))
        # Comparisons cost half of max().
        if run.revision > staged.revision:
            staged.revision = run.revision
        if run.updated_at > staged.time:
            staged.time = run.updated_at

    def _current(self, record: Record) -> Run:
        if (saved := self.effects.saved.get(record.run_id)) is not None:
            return saved.run
        if (run := self._decoded.get(record.run_id)) is None:
            run = self._decoded[record.run_id] = self._codec.decode(record)
        return run

    def _created_live(self, owner: str, thread_id: str) -> Iterator[Run]:
        created = reversed(self.effects.created.get((owner, thread_id), []))
        return filter(_is_live, (self.effects.saved[run_id].run for run_id in created))


def _same_spec(run: Run, known_hash: bytes | None, spec_hash: bytes) -> Run:
    if known_hash != spec_hash:
        raise RequestIdReused(run.run_id)
    return run


def _is_live(run: Run) -> bool:
    return run.status in LIVE
