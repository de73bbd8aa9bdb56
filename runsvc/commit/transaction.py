"""What the commands of one batch see and do: the store as of its start, plus what earlier commands of the batch did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from runsvc.core import lifecycle
from runsvc.core.errors import CorruptRow, RequestIdReused, RunNotFound
from runsvc.core.model import ACTIVE, Stamp
from runsvc.core.run_id import new_id
from runsvc.store.base import (
    ActiveCount,
    ActiveOnThread,
    ByRequest,
    Changes,
    Creation,
    LogEntry,
    NewestActive,
    RawById,
    Saved,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from runsvc.core.model import Request, RequestKey, Run, RunSpec, RunStatus
    from runsvc.store.attachments import Abandoned, AnyReleased, AttachmentChange
    from runsvc.store.base import (
        Codec,
        Count,
        DueLeases,
        DueTimeouts,
        Loaded,
        Now,
        Orphans,
        Query,
        Record,
    )

T = TypeVar("T")

_TICK = timedelta(microseconds=1)

#: Most commands that share a transaction.
MAX_COMMANDS: Final = 64


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """A decision and what it must read. It may be made several times, so it does nothing but decide."""

    decide: Callable[[Transaction], T]
    reads: tuple[Query | Count, ...] = ()
    #: Bytes that it adds to a batch, roughly.
    size: int = 0
    #: Shares its batch with no other command: its reads do not see what others of the batch do.
    alone: bool = False
    #: Nobody is held up by it: it may wait a little longer for others, to share a flush with.
    can_wait: bool = False
    #: Carried out even if its caller gave up before its turn came.
    outlives_caller: bool = False


class _Change(NamedTuple):
    saved: Saved
    before: Run | None


class Transaction:
    """The working set of a batch. A command that raises leaves no trace in it."""

    def __init__(self, now: Now, loaded: Loaded, codec: Codec) -> None:
        self._time = now.time
        self._revision = now.revision
        self._loaded = loaded.records
        self._counts = loaded.counts
        self._codec = codec
        #: Runs that a decision may change, each with its body.
        self._records = {
            record.run_id: record
            for query, found in loaded.records.items()
            if not isinstance(query, NewestActive)
            for record in found
        }
        self._decoded = dict(loaded.runs)
        self._saved: dict[str, Saved] = {}
        self._created: dict[tuple[str, str], list[str]] = {}
        #: By how many the active runs of a thread have grown.
        self._grown: Counter[tuple[str, str]] = Counter()
        self._requests: dict[RequestKey, tuple[str, bytes]] = {}
        self._log: list[LogEntry] = []
        self._deleted: list[str] = []
        self._forgotten = 0
        self._time_kept = False
        self._attaching: list[AttachmentChange] = []
        self._staged: list[_Change] = []
        #: Runs whose progress moved without a log entry.
        self.touched: dict[str, Run] = {}

    def apply(self, command: Command[T]) -> T:
        """Make a command's decision and keep what it saved, or, when it raises, nothing."""
        time, revision = self._time, self._revision
        logged, deleted, forgotten = len(self._log), len(self._deleted), self._forgotten
        time_kept = self._time_kept
        attaching = len(self._attaching)
        self._staged = []
        try:
            answer = command.decide(self)
        except BaseException:
            self._time, self._revision = time, revision
            del self._log[logged:], self._deleted[deleted:], self._attaching[attaching:]
            self._forgotten, self._time_kept = forgotten, time_kept
            raise
        for change in self._staged:
            self._keep(change)
        return answer

    def changes(self) -> Changes | None:
        """What there is to save; None when nothing changed."""
        if not (self._saved or self._log or self._forgotten or self._time_kept or self._attaching):
            return None
        return Changes(
            time=self._time,
            revision=self._revision,
            runs=list(self._saved.values()),
            log=self._log,
            deleted=self._deleted,
            forgotten=self._forgotten,
            attachments=self._attaching,
        )

    @property
    def time(self) -> datetime:
        """What time it is."""
        return self._time

    def stamp(self) -> Stamp:
        """The mark of the next change. Saving a run uses it up."""
        return Stamp(self._revision + 1, self._time + _TICK)

    def run(self, run_id: str, owner: str) -> Run:
        """A run of this owner, named by a ById read; RunNotFound also when it is another's."""
        record = self._records.get(run_id)
        if record is None or record.owner != owner:
            raise RunNotFound(run_id)
        return self._present(record)

    def raw(self, run_id: str) -> Record:
        """A run of any owner, not decoded, perhaps corrupt; only for a command that is alone."""
        if not (found := self._loaded[RawById(run_id)]):
            raise RunNotFound(run_id)
        return found[0]

    def active(self, owner: str, thread_id: str) -> list[Run]:
        """The active runs of a thread, newest first."""
        stored = map(self._present, self._loaded[ActiveOnThread(owner, thread_id)])
        return [*self._created_active(owner, thread_id), *filter(_is_active, stored)]

    def newest_active(self, owner: str, thread_id: str) -> Run | Record | None:
        """The newest active run of a thread, as far as a refusal needs it."""
        for run in self._created_active(owner, thread_id):
            return run
        for record in self._loaded[NewestActive(owner, thread_id, MAX_COMMANDS)]:
            saved = self._saved.get(record.run_id)
            found = record if saved is None else saved.run
            if found.status in ACTIVE:
                return found
        return None

    def count_active(self, owner: str, thread_id: str) -> int:
        """How many active runs a thread has."""
        return self._counts[ActiveCount(owner, thread_id)] + self._grown[owner, thread_id]

    def orphans(self, query: Orphans) -> list[Run]:
        """The runs that the query found; only for a command that is alone."""
        return [self._present(record) for record in self._loaded[query]]

    def any_released(self, query: AnyReleased) -> bool:
        """Whether there are attachments that a server does not hold."""
        return bool(self._counts[query])

    def due(self, *queries: DueLeases | DueTimeouts | Abandoned) -> Iterator[Run | CorruptRow]:
        """Each run that the queries found, or why it cannot be read; only for a command that is alone."""
        for record in {
            each.run_id: each for query in queries for each in self._loaded[query]
        }.values():
            try:
                yield self._present(record)
            except CorruptRow as corrupt:
                yield corrupt

    def replay(self, request: Request | None) -> Run | None:
        """The run that an earlier call with this request_id created; RequestIdReused when its spec differed."""
        if request is None:
            return None
        if (created := self._requests.get(request.key)) is not None:
            run_id, spec_hash = created
            return self._same_spec(self._saved[run_id].run, spec_hash, request)
        for record in self._loaded[ByRequest(request.key)]:
            return self._same_spec(self._present(record), record.spec_hash, request)
        return None

    def new_run_id(self) -> str:
        """A fresh run_id of the stamp's time."""
        return new_id(self._time + _TICK)

    def create(self, spec: RunSpec, *, run_id: str, owner: str, request: Request | None) -> Run:
        """Save the run that a spec begins as."""
        run = lifecycle.create(spec, run_id=run_id, owner=owner, at=self.stamp())
        self._stage(run, None, Creation(spec.kwargs, request))
        return run

    def save(self, before: Run, after: Run) -> Run:
        """Save what became of a run, when anything did."""
        if after is not before:
            self._stage(after, before, None)
        return after

    def delete(self, record: Record) -> None:
        """Remove a run; only for a command that is alone."""
        at = self.stamp()
        self._deleted.append(record.run_id)
        self._log.append(
            LogEntry(
                revision=at.revision,
                call_end=at.revision,
                run_id=record.run_id,
                owner=record.owner,
                thread_id=record.thread_id,
                assistant_id=record.assistant_id,
                status=record.status,
                previous_status=None,
                deleted=True,
                body=None,
            )
        )
        self._revision, self._time = at.revision, at.time

    def keep_time(self) -> None:
        """Commit, if nothing else, what time it is: that shows whether the store takes anything."""
        self._time += _TICK
        self._time_kept = True

    def attach(self, *changes: AttachmentChange) -> None:
        """Change attachments; what this transaction reads of them is as of before."""
        self._attaching += changes

    def forget(self, revision: int) -> None:
        """Drop log entries at or below a revision."""
        self._forgotten = revision

    def _stage(self, run: Run, before: Run | None, creation: Creation | None) -> None:
        self._staged.append(_Change(Saved(run, self._codec.encode(run), creation), before))
        self._revision = max(self._revision, run.revision)
        self._time = max(self._time, run.updated_at)

    def _keep(self, change: _Change) -> None:
        (run, body, creation), before = change
        previous_status = before.status if before else None
        growth = (run.status in ACTIVE) - (previous_status in ACTIVE)
        self._grown[run.owner, run.thread_id] += growth
        if before is None or run.revision != before.revision:
            self._log.append(self._entry(run, body, previous_status))
        elif run.progress != before.progress:
            self.touched[run.run_id] = run
        if creation is not None:
            self._created.setdefault((run.owner, run.thread_id), []).append(run.run_id)
            if creation.request is not None:
                self._requests[creation.request.key] = run.run_id, creation.request.spec_hash
        elif (earlier := self._saved.get(run.run_id)) is not None:
            creation = earlier.creation
        self._saved[run.run_id] = Saved(run, body, creation)

    def _entry(self, run: Run, body: bytes, previous_status: RunStatus | None) -> LogEntry:
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
            body=body,
        )

    def _present(self, record: Record) -> Run:
        if (saved := self._saved.get(record.run_id)) is not None:
            return saved.run
        if (run := self._decoded.get(record.run_id)) is None:
            run = self._decoded[record.run_id] = self._codec.decode(record)
        return run

    def _created_active(self, owner: str, thread_id: str) -> Iterator[Run]:
        created = reversed(self._created.get((owner, thread_id), []))
        return filter(_is_active, (self._saved[run_id].run for run_id in created))

    @staticmethod
    def _same_spec(run: Run, spec_hash: bytes | None, request: Request) -> Run:
        if spec_hash != request.spec_hash:
            raise RequestIdReused(run.run_id)
        return run


def _is_active(run: Run) -> bool:
    return run.status in ACTIVE
