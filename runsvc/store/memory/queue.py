"""The reads of queued and claimable runs within a transaction of the memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.core import stopping
from runsvc.core.model import ACTIVE, RunStatus
from runsvc.core.queue import Limit, Waiting, gated, wakes_at
from runsvc.store.attachments import Server
from runsvc.store.queue import Candidate, Line, Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from runsvc.core.model import Run
    from runsvc.store.memory.data import MemoryData


class MemoryQueue:
    """Implements QueueReads."""

    def __init__(self, data: MemoryData) -> None:
        self._data = data

    def queued_on_thread(self, owner: str, thread_id: str) -> Sequence[Waiting]:
        return self._waiting(lambda run: (run.owner, run.thread_id) == (owner, thread_id))

    def active_on_thread(self, owner: str, thread_id: str) -> int:
        return len(self._data.active_on_thread(owner, thread_id))

    def stopping_on_thread(self, owner: str, thread_id: str) -> Sequence[str]:
        return stopping_on_thread(self._data, owner, thread_id)

    def active_with_key(self, owner: str, key: str) -> int:
        return len(
            self._runs(
                lambda run: (
                    run.status in ACTIVE and (run.owner, run.concurrency_key) == (owner, key)
                )
            )
        )

    def queued_with_key(
        self, owner: str, key: str, by: datetime, after: datetime | None, limit: int
    ) -> Sequence[Waiting]:
        return self._waiting(
            lambda run: (
                (run.owner, run.concurrency_key) == (owner, key)
                and (run.not_before is None or run.not_before <= by)
                and (after is None or run.created_at > after)
            )
        )[:limit]

    def keys_with_queued(self, prefix: str) -> Sequence[tuple[str, str]]:
        found = self._waiting(lambda run: (run.concurrency_key or "").startswith(prefix))
        keys = ((run.owner, run.gated.concurrency_key) for run in found)
        return list(dict.fromkeys((owner, key) for owner, key in keys if key is not None))

    def key_of(self, run_id: str) -> str | None:
        row = self._data.rows.get(run_id)
        return row.run.concurrency_key if row else None

    def limits(self) -> Sequence[Limit]:
        self._data.check_open()
        return [Limit(prefix, self._data.limits[prefix]) for prefix in sorted(self._data.limits)]

    def line(self, assistant_id: str | None, priority: int) -> Line:
        last: dict[str, int] = {}
        turns: list[int] = []
        for run in self._runs(
            lambda run: (run.assistant_id, run.priority) == (assistant_id, priority)
        ):
            if run.turn is not None:
                turns.append(run.turn)
                last[run.owner] = max(last.get(run.owner, run.turn), run.turn)
        return Line(min(turns, default=0), last)

    def claimable(
        self, assistant_id: str | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        found = self._runs(
            lambda run: (
                run.turn is not None
                and run.assistant_id == assistant_id
                and owner in (None, run.owner)
            )
        )
        found.sort(key=lambda run: (-run.priority, run.turn or 0, run.created_at))
        return list(map(_candidate, found[:limit]))

    def claimable_assistants(self) -> Sequence[str | None]:
        found = self._runs(lambda run: run.turn is not None)
        return list(dict.fromkeys(run.assistant_id for run in found))

    def held(
        self, worker_id: str, assistant_ids: Sequence[str] | None, owner: str | None, limit: int
    ) -> Sequence[Candidate]:
        found = self._runs(
            lambda run: (
                run.status is RunStatus.PENDING
                and run.worker_id == worker_id
                and (assistant_ids is None or run.assistant_id in assistant_ids)
                and owner in (None, run.owner)
            )
        )
        found.sort(key=lambda run: (-run.priority, run.created_at))
        return list(map(_candidate, found[:limit]))

    def claimed(self, claim_id: str) -> Sequence[str]:
        found = self._runs(lambda run: run.claim_id == claim_id)
        return [run.run_id for run in sorted(found, key=lambda run: run.revision)]

    def kwargs(self, run_id: str) -> bytes:
        row = self._data.rows.get(run_id)
        return row.record.kwargs or b"" if row else b""

    def waking(self, after: Wake | None, limit: int) -> Sequence[Wake]:
        found = sorted(
            Wake(at, run.run_id)
            for run in self._runs(lambda run: run.not_before is not None)
            if (at := wakes_at(run)) is not None
        )
        return [wake for wake in found if after is None or wake > after][:limit]

    def silent(self, by: datetime, limit: int) -> Sequence[str]:
        found = self._runs(
            lambda run: (
                run.lease is None
                and (since := stopping.stopping_since(run)) is not None
                and since <= by
            )
        )
        return [run.run_id for run in found[:limit]]

    def servers(self) -> Sequence[Server]:
        return [Server(*each) for each in sorted(self._data.attachments.servers.items())]

    def _runs(self, matches: Callable[[Run], bool]) -> list[Run]:
        return runs(self._data, matches)

    def _waiting(self, matches: Callable[[Run], bool]) -> list[Waiting]:
        found = self._runs(lambda run: run.status is RunStatus.QUEUED and matches(run))
        return [
            Waiting(run.run_id, run.owner, run.thread_id, run.created_at, facts)
            for run in found
            if (facts := gated(run)) is not None
        ]


def runs(data: MemoryData, matches: Callable[[Run], bool]) -> list[Run]:
    """The runs that match, oldest first."""
    return [data.rows[record.run_id].run for record in data.search(matches)]


def stopping_on_thread(data: MemoryData, owner: str, thread_id: str) -> list[str]:
    """Ids of a thread's cancelled runs whose executors may still be at work, newest cancel first."""
    found = runs(
        data,
        lambda run: (run.owner, run.thread_id) == (owner, thread_id) and stopping.is_stopping(run),
    )
    found.sort(key=lambda run: stopping.stopping_since(run) or run.updated_at, reverse=True)
    return [run.run_id for run in found]


def _candidate(run: Run) -> Candidate:
    return Candidate(run.run_id, run.priority, run.created_at)
