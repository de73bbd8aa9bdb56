"""The effects of a batch's commands so far: what its commit will save, publish and wake."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from runsvc.commit.gates import Change, Gates
from runsvc.core import attempts, queue
from runsvc.core.model import ACTIVE, LIVE, RunStatus
from runsvc.store.values import Changes, LogEntry, Saved

if TYPE_CHECKING:
    from datetime import datetime

    from runsvc.commit.staged import Staged
    from runsvc.core.model import RequestKey, Run
    from runsvc.store.attachments import AttachmentChange
    from runsvc.store.queue import LimitChange, QueueReads
    from runsvc.store.values import Encoded, Now


class Claimable(NamedTuple):
    """A run that a worker may claim from now on."""

    assistant_id: str | None
    owner: str
    #: The only worker that may claim it; None: any worker.
    worker_id: str | None
    run_id: str


class Effects:
    """The changes that a batch has made, and the facts that its later commands derive from them."""

    def __init__(self, now: Now, reads: QueueReads) -> None:
        self.time = now.time
        self.revision = now.revision
        self.saved: dict[str, Saved] = {}
        #: Ids of the runs that the batch created, by thread, oldest first.
        self.created: dict[tuple[str, str], list[str]] = {}
        #: Growth in active runs, by thread.
        self.growth: Counter[tuple[str, str]] = Counter()
        #: Growth in active and queued runs, by owner.
        self.owner_growth: Counter[str] = Counter()
        #: The run that a request_id created, with the hash of its spec.
        self.requests: dict[RequestKey, tuple[str, bytes]] = {}
        self.log: list[LogEntry] = []
        self._deleted: list[str] = []
        self._forgotten = 0
        self._keeps_time = False
        self._attachments: list[AttachmentChange] = []
        self._limits: list[LimitChange] = []
        self.gates = Gates(reads, self.saved, self.created, self.growth)
        #: False while no run can wait at a gate.
        self.may_wait = now.may_have_queued
        #: Runs that became claimable.
        self.claimable: list[Claimable] = []
        #: The earliest not_before that a changed run waits for.
        self.wakes_at: datetime | None = None
        #: Runs whose progress or metadata changed without a log entry.
        self.progressed: dict[str, Run] = {}

    def merge(self, staged: Staged) -> None:
        """Add the effects of a command that has succeeded."""
        self.time, self.revision = staged.time, staged.revision
        self._keeps_time |= staged.keeps_time
        if staged.forgotten:
            self._forgotten = max(self._forgotten, staged.forgotten)
        if staged.attachments:
            self._attachments += staged.attachments
        for limit in staged.limits:
            self._limits.append(limit)
            self.gates.change_limit(limit)
        for change in staged.changes:
            if isinstance(change, LogEntry):
                self._deleted.append(change.run_id)
                self.log.append(change)
            else:
                self._keep(change)

    def changes(self) -> Changes | None:
        """The changes to save; None if there are none."""
        if not (
            self.saved
            or self.log
            or self._forgotten
            or self._keeps_time
            or self._attachments
            or self._limits
        ):
            return None
        return Changes(
            time=self.time,
            revision=self.revision,
            runs=list(self.saved.values()),
            log=self.log,
            deleted=self._deleted,
            forgotten=self._forgotten,
            attachments=self._attachments,
            limits=self._limits,
            progressed=tuple(self.progressed),
        )

    def _keep(self, saved: Saved) -> None:
        run, encoded, creation, only_activity, result, before = saved
        previous_status = before.status if before else None
        growth = (run.status in ACTIVE) - (previous_status in ACTIVE)
        if live_growth := (run.status in LIVE) - (previous_status in LIVE):
            self.owner_growth[run.owner] += live_growth
        if growth:
            self.growth[run.owner, run.thread_id] += growth
        if run.started_at is None:
            self._note_waiting(before, run)
        if before is None or run.revision != before.revision:
            self.log.append(self._entry(run, encoded, previous_status))
        elif run.progress != before.progress or run.metadata != before.metadata:
            self.progressed[run.run_id] = run
        if creation is not None:
            self.created.setdefault((run.owner, run.thread_id), []).append(run.run_id)
            if creation.request is not None:
                self.requests[creation.request.key] = run.run_id, creation.request.spec_hash
        elif (earlier := self.saved.get(run.run_id)) is not None:
            creation = earlier.creation
            only_activity &= earlier.only_activity
            result = earlier.result if result is None else result
            saved = Saved(run, encoded, creation, only_activity, result, earlier.stored)
        self.saved[run.run_id] = saved
        if run.ended_at is not None or run.concurrency_key is not None:
            self.gates.note(Change(before, run))

    def _note_waiting(self, before: Run | None, run: Run) -> None:
        """Note a run that became claimable, or queued, or that waits for its time."""
        if run.status is RunStatus.QUEUED:
            self.may_wait = True
        elif attempts.awaits_claim(run) and not (before and attempts.awaits_claim(before)):
            self.note_claimable(run)
        if run.not_before is not None and (at := queue.wakes_at(run)) is not None:
            self.wakes_at = at if self.wakes_at is None else min(self.wakes_at, at)

    def note_claimable(self, run: Run) -> None:
        """Note that a worker may claim a run now."""
        claimable = Claimable(run.assistant_id, run.owner, run.worker_id, run.run_id)
        self.claimable.append(claimable)

    def _entry(self, run: Run, encoded: Encoded, previous_status: RunStatus | None) -> LogEntry:
        return LogEntry(
            revision=run.revision,
            call_end=self.revision,
            run_id=run.run_id,
            owner=run.owner,
            thread_id=run.thread_id,
            assistant_id=run.assistant_id,
            status=run.status,
            previous_status=previous_status,
            deleted=False,
            body=b"".join(encoded),
        )
