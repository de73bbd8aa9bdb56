"""The transaction of a batch: the store as of its start, plus the effects of the batch's earlier commands."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runsvc.core import lifecycle
from runsvc.core.errors import RequestIdReused, RunNotFound
from runsvc.core.model import ACTIVE, Stamp
from runsvc.core.run_id import new_id
from runsvc.store.base import Changes, Creation, LogEntry, Saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from runsvc.core.model import Request, RequestKey, Run, RunSpec, RunStatus
    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.base import Codec, Encoded, Loaded, Now, Record
    from runsvc.store.queries import (
        ActiveCount,
        ActiveOnThread,
        ById,
        ByRequest,
        NewestActive,
        OwnerActiveCount,
    )

T = TypeVar("T")

_TICK = timedelta(microseconds=1)


class _Change(NamedTuple):
    saved: Saved
    before: Run | None


class _Staged:
    """The effects of one command, kept apart until its decision has succeeded."""

    __slots__ = ("attachments", "changes", "forgotten", "keeps_time", "revision", "time")

    def __init__(self, time: datetime, revision: int) -> None:
        self.time = time
        self.revision = revision
        #: Changed runs, and the log entries of removed ones, in order.
        self.changes: list[_Change | LogEntry] = []
        self.attachments: list[AttachmentChange] = []
        self.forgotten = 0
        self.keeps_time = False


class Transaction:
    """The working set of a batch. A command that raises has no effect on it."""

    def __init__(self, now: Now, loaded: Loaded, codec: Codec) -> None:
        self._time = now.time
        self._revision = now.revision
        self._loaded = loaded.records
        self._counts = loaded.counts
        self._codec = codec
        self._decoded = dict(loaded.runs)
        self._saved: dict[str, Saved] = {}
        self._created: dict[tuple[str, str], list[str]] = {}
        #: Growth in active runs, by thread.
        self._growth: Counter[tuple[str, str]] = Counter()
        #: The same by owner.
        self._owner_growth: Counter[str] = Counter()
        self._requests: dict[RequestKey, tuple[str, bytes]] = {}
        self._log: list[LogEntry] = []
        self._deleted: list[str] = []
        self._forgotten = 0
        self._keeps_time = False
        self._attachments: list[AttachmentChange] = []
        self._staged = _Staged(now.time, now.revision)
        #: Runs whose progress or metadata changed without a log entry.
        self.progressed: dict[str, Run] = {}

    def apply(self, decide: Callable[..., T]) -> T:
        """Run a command's decision and keep its effects, unless it raises."""
        staged = self._staged = _Staged(self._time, self._revision)
        answer = decide(self)
        self._merge(staged)
        return answer

    def changes(self) -> Changes | None:
        """The changes to save; None if there are none."""
        if not (
            self._saved or self._log or self._forgotten or self._keeps_time or self._attachments
        ):
            return None
        return Changes(
            time=self._time,
            revision=self._revision,
            runs=list(self._saved.values()),
            log=self._log,
            deleted=self._deleted,
            forgotten=self._forgotten,
            attachments=self._attachments,
        )

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
        """The active runs of a thread, newest first."""
        stored = map(self._current, self._loaded[query])
        created = self._created_active(query.owner, query.thread_id)
        return [*created, *filter(_is_active, stored)]

    def newest_active(self, query: NewestActive) -> Run | Record | None:
        """The newest active run of a thread, perhaps as a record without a body; None if there is none."""
        for run in self._created_active(query.owner, query.thread_id):
            return run
        for record in self._loaded[query]:
            saved = self._saved.get(record.run_id)
            found = record if saved is None else saved.run
            if found.status in ACTIVE:
                return found
        return None

    def count_active(self, query: ActiveCount) -> int:
        """The number of a thread's active runs."""
        return self._counts[query] + self._growth[query.owner, query.thread_id]

    def count_owner_active(self, query: OwnerActiveCount) -> int:
        """The number of an owner's active runs, counted up to the limit of the query."""
        return self._counts[query] + self._owner_growth[query.owner]

    def replay(self, query: ByRequest, spec_hash: bytes) -> Run | None:
        """The run that an earlier call with this request_id created, if any. Raise RequestIdReused."""
        if (created := self._requests.get(query.key)) is not None:
            run_id, known_hash = created
            return _same_spec(self._saved[run_id].run, known_hash, spec_hash)
        for record in self._loaded[query]:
            return _same_spec(self._current(record), record.spec_hash, spec_hash)
        return None

    def new_run_id(self) -> str:
        """A new run_id with the time of the next change."""
        return new_id(self._staged.time + _TICK)

    def create(self, spec: RunSpec, *, run_id: str, owner: str, request: Request | None) -> Run:
        """Save a new run."""
        run = lifecycle.create(spec, run_id=run_id, owner=owner, at=self.stamp())
        self._stage(run, None, Creation(spec.kwargs, request))
        return run

    def save(self, before: Run, after: Run, result: bytes | None = None) -> Run:
        """Save a run if it changed, with its result if it has ended with one."""
        if after is not before:
            self._stage(after, before, None, result)
        return after

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
        only_activity = before is not None and encoded.body is self._codec.encode(before).body
        saved = Saved(run, encoded, creation, only_activity, result)
        staged.changes.append(_Change(saved, before))
        staged.revision = max(staged.revision, run.revision)
        staged.time = max(staged.time, run.updated_at)

    def _merge(self, staged: _Staged) -> None:
        self._time, self._revision = staged.time, staged.revision
        self._forgotten = max(self._forgotten, staged.forgotten)
        self._keeps_time |= staged.keeps_time
        self._attachments += staged.attachments
        for change in staged.changes:
            if isinstance(change, LogEntry):
                self._deleted.append(change.run_id)
                self._log.append(change)
            else:
                self._keep(change)

    def _keep(self, change: _Change) -> None:
        (run, encoded, creation, only_activity, result), before = change
        previous_status = before.status if before else None
        growth = (run.status in ACTIVE) - (previous_status in ACTIVE)
        self._growth[run.owner, run.thread_id] += growth
        self._owner_growth[run.owner] += growth
        if before is None or run.revision != before.revision:
            self._log.append(self._entry(run, encoded, previous_status))
        elif run.progress != before.progress or run.metadata != before.metadata:
            self.progressed[run.run_id] = run
        if creation is not None:
            self._created.setdefault((run.owner, run.thread_id), []).append(run.run_id)
            if creation.request is not None:
                self._requests[creation.request.key] = run.run_id, creation.request.spec_hash
        elif (earlier := self._saved.get(run.run_id)) is not None:
            creation = earlier.creation
            only_activity &= earlier.only_activity
            result = earlier.result if result is None else result
        self._saved[run.run_id] = Saved(run, encoded, creation, only_activity, result)

    def _entry(self, run: Run, encoded: Encoded, previous_status: RunStatus | None) -> LogEntry:
        return LogEntry(
            revision=run.revision,
            call_end=self._revision,
            run_id=run.run_id,
            owner=run.owner,
            thread_id=run.thread_id,
            assistant_id=run.assistant_id,
            status=run.status,
            previous_status=previous_status,
            deleted=False,
            body=b"".join(encoded),
        )

    def _current(self, record: Record) -> Run:
        if (saved := self._saved.get(record.run_id)) is not None:
            return saved.run
        if (run := self._decoded.get(record.run_id)) is None:
            run = self._decoded[record.run_id] = self._codec.decode(record)
        return run

    def _created_active(self, owner: str, thread_id: str) -> Iterator[Run]:
        created = reversed(self._created.get((owner, thread_id), []))
        return filter(_is_active, (self._saved[run_id].run for run_id in created))


def _same_spec(run: Run, known_hash: bytes | None, spec_hash: bytes) -> Run:
    if known_hash != spec_hash:
        raise RequestIdReused(run.run_id)
    return run


def _is_active(run: Run) -> bool:
    return run.status in ACTIVE
