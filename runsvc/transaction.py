"""What the commands of one batch see and do: the store as of its start, plus what earlier commands of the batch did."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar
from uuid import UUID

from runsvc import lifecycle
from runsvc.errors import RequestIdReused, RunNotFound
from runsvc.model import ACTIVE, Stamp
from runsvc.store.base import ActiveOnThread, ById, ByRequest, Changes, Creation, LogEntry, Saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from runsvc.model import Request, RequestKey, Run, RunSpec, RunStatus
    from runsvc.store.base import Codec, Now, Orphans, Query, Record

T = TypeVar("T")

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """A decision and what it must read. It may be made several times, so it does nothing but decide."""

    decide: Callable[[Transaction], T]
    reads: tuple[Query, ...] = ()
    #: Bytes that it adds to a batch, roughly.
    size: int = 0
    #: Shares its batch with no other command: its reads do not see what others of the batch do.
    alone: bool = False


class _Change(NamedTuple):
    saved: Saved
    previous_status: RunStatus | None
    logged: bool


class Transaction:
    """The working set of a batch. A command that raises leaves no trace in it."""

    def __init__(self, now: Now, loaded: Mapping[Query, Sequence[Record]], codec: Codec) -> None:
        self._time = now.time
        self._revision = now.revision
        self._loaded = loaded
        self._codec = codec
        self._records = {record.run_id: record for found in loaded.values() for record in found}
        self._decoded: dict[str, Run] = {}
        self._saved: dict[str, Saved] = {}
        self._created: dict[tuple[str, str], list[str]] = {}
        self._requests: dict[RequestKey, tuple[str, bytes]] = {}
        self._log: list[LogEntry] = []
        self._deleted: list[str] = []
        self._forgotten = 0
        self._staged: list[_Change] = []
        #: Runs that changed without a log entry: their progress, a model name.
        self.touched: dict[str, Run] = {}

    def apply(self, command: Command[T]) -> T:
        """Make a command's decision and keep what it saved, or, when it raises, nothing."""
        time, revision = self._time, self._revision
        logged, deleted, forgotten = len(self._log), len(self._deleted), self._forgotten
        self._staged = []
        try:
            answer = command.decide(self)
        except BaseException:
            self._time, self._revision = time, revision
            del self._log[logged:], self._deleted[deleted:]
            self._forgotten = forgotten
            raise
        for change in self._staged:
            self._keep(change)
        return answer

    def changes(self) -> Changes | None:
        """What there is to save; None when nothing changed."""
        if not (self._saved or self._log or self._forgotten):
            return None
        return Changes(
            time=self._time,
            revision=self._revision,
            runs=list(self._saved.values()),
            log=self._log,
            deleted=self._deleted,
            forgotten=self._forgotten,
        )

    def stamp(self) -> Stamp:
        """The mark of the next change. Saving a run uses it up."""
        return Stamp(self._revision + 1, self._time + _TICK)

    def run(self, run_id: str, owner: str) -> Run:
        """A run of this owner, named by a ById read; RunNotFound also when it is another's."""
        record = self._records.get(run_id)
        if record is None or record.owner != owner:
            raise RunNotFound(run_id)
        return self._present(record)

    def record(self, run_id: str) -> Record:
        """A run of any owner, not decoded; only for a command that is alone."""
        if not (found := self._loaded[ById(run_id)]):
            raise RunNotFound(run_id)
        return found[0]

    def active(self, owner: str, thread_id: str) -> list[Run]:
        """The active runs of a thread, newest first."""
        created = (self._saved[run_id].run for run_id in self._created_on(owner, thread_id))
        loaded = map(self._present, self._stored_active(owner, thread_id))
        return [run for run in (*created, *loaded) if run.status in ACTIVE]

    def count_active(self, owner: str, thread_id: str) -> int:
        """How many active runs a thread has; decodes none."""
        ids = [record.run_id for record in self._stored_active(owner, thread_id)]
        ids.extend(self._created_on(owner, thread_id))
        return sum(
            1
            for run_id in ids
            if run_id not in self._saved or self._saved[run_id].run.status in ACTIVE
        )

    def orphans(self, query: Orphans) -> list[Run]:
        """The runs that the query found; only for a command that is alone."""
        return [self._present(record) for record in self._loaded[query]]

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
        return _uuid7(self._time + _TICK)

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

    def forget(self, revision: int) -> None:
        """Drop log entries at or below a revision."""
        self._forgotten = revision

    def _stage(self, run: Run, before: Run | None, creation: Creation | None) -> None:
        saved = Saved(run, self._codec.encode(run), creation)
        logged = before is None or run.revision != before.revision
        self._staged.append(_Change(saved, before.status if before else None, logged))
        self._revision = max(self._revision, run.revision)
        self._time = max(self._time, run.updated_at)

    def _keep(self, change: _Change) -> None:
        run, body, creation = change.saved
        if change.logged:
            self._log.append(self._entry(run, body, change.previous_status))
        else:
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

    def _stored_active(self, owner: str, thread_id: str) -> Sequence[Record]:
        return self._loaded[ActiveOnThread(owner, thread_id)]

    def _created_on(self, owner: str, thread_id: str) -> Iterable[str]:
        return reversed(self._created.get((owner, thread_id), []))

    @staticmethod
    def _same_spec(run: Run, spec_hash: bytes | None, request: Request) -> Run:
        if spec_hash != request.spec_hash:
            raise RequestIdReused(run.run_id)
        return run


def _uuid7(time: datetime) -> str:
    """UUID version 7 (RFC 9562): milliseconds, then the microseconds within as 12 bits, then chance."""
    milliseconds, microseconds = divmod(_microseconds(time), 1_000)
    value = milliseconds << 80 | 0x7 << 76 | (microseconds * 4_096 // 1_000) << 64
    return str(UUID(int=value | 0b10 << 62 | secrets.randbits(62)))


def _microseconds(time: datetime) -> int:
    # Integers throughout: a float of this size is exact to no more than a microsecond.
    return int(time.timestamp()) * 1_000_000 + time.microsecond
