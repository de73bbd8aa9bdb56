"""A store with many runs behind gates, and the rules that every committed state follows."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

from runsvc.commit.candidates import Wanted
from runsvc.commit.command import Command, ExclusiveCommand
from runsvc.commit.group_commit import GroupCommit
from runsvc.commit.writer import Writer
from runsvc.core import lifecycle, stopping
from runsvc.core.errors import RunsvcError
from runsvc.core.model import (
    ACTIVE,
    LIVE,
    CancelAction,
    Handover,
    MultitaskStrategy,
    Report,
    Retry,
    RunSpec,
    RunStatus,
)
from runsvc.core.queue import Limit, width_of
from runsvc.core.stopping import is_stopping
from runsvc.maintenance.promotions import Promotions
from runsvc.maintenance.wakes import wake
from runsvc.store.queries import ById, PageQuery, RawById
from runsvc.store.queue import LimitChange
from runsvc.timekeeper import Timekeeper
from runsvc.usecases.dispatch import Claim, Dispatch
from runsvc.usecases.manager import RunManager
from runsvc.wire.codec import RunCodec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.group_commit import Committed
    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Run, Stamp
    from runsvc.store.base import Store

CODEC: Final = RunCodec()
OWNER: Final = "o"
THREADS: Final = ("a", "b", "c")
KEYS: Final = ("red", "rose", "blue")
WORKERS: Final = ("w1", "w2")


class GateWorld:
    """Makes random calls to a store, several of them in one batch."""

    def __init__(self, store: Store, seed: int) -> None:
        self.random = Random(seed)
        self.store = store
        self.writer = Writer(GroupCommit(store.writing, CODEC), self._note)
        self.promotions = Promotions(self.writer)
        self.manager = RunManager(
            self.writer, store.reading, CODEC, max_active_per_thread=5, max_queued_per_thread=6
        )
        self.dispatch = Dispatch(self.writer)
        self.widths: dict[str, int] = {}
        self.active_with_key: Counter[str] = Counter()
        #: The time of the last pass over runs that wait for their time.
        self.woken_at: datetime | None = None
        self.seen: Counter[str] = Counter()

    def _note(self, committed: Committed) -> None:
        self.promotions.note(committed)
        self.seen["unfinished"] += len(committed.unfinished)

    async def close(self) -> None:
        await self.writer.close()

    async def step(self) -> None:
        """Make some calls at once, and check the state after them."""
        if self.random.random() < 0.15:
            # Alone: a narrower limit ends no run that became active in the same batch.
            await self._limit()
            await self._finish()
        runs = await self.runs()
        calls = [self._call(runs) for _ in range(self.random.randint(1, 5))]
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, BaseException) and not isinstance(answer, RunsvcError):
                raise answer
        await self._finish()

    async def _finish(self) -> None:
        """Check the state after the calls, and once more after the commands that follow."""
        await self.check(finished=self.promotions.is_done)
        while not self.promotions.is_done:
            await self.promotions.run()
        await self.check()

    async def runs(self) -> list[Run]:
        """All runs, oldest first."""
        found: list[Run] = []
        for thread_id in THREADS:
            query = PageQuery(owner=OWNER, thread_id=thread_id, limit=10_000, max_bytes=1 << 30)
            found += map(CODEC.decode, await self.store.reading.page(query))
        return sorted(found, key=lambda run: run.created_at)

    async def check(self, *, finished: bool = True) -> None:
        """No run waits although its gates are open, and no width is exceeded by a new run.

        Unless all commands that follow are finished, a run with a key may wait although its gates are open.
        """
        runs = await self.runs()
        active = Counter(run.concurrency_key for run in runs if run.status in ACTIVE)
        for key in KEYS:
            if (width := self.width(key)) is not None:
                assert active[key] <= max(width, self.active_with_key[key])
            self.active_with_key[key] = active[key]
        for run in runs:
            if run.status is RunStatus.QUEUED:
                self.seen["queued"] += 1
                if finished or run.concurrency_key is None:
                    assert self._waits(run, runs, active), f"{run} waits at an open gate"
            assert (run.turn is not None) <= (run.status is RunStatus.PENDING)
            if run.status is RunStatus.PENDING and run.worker_id is None and run.turn is None:
                assert run.not_before is not None

    def width(self, key: str) -> int | None:
        return width_of(key, (Limit(prefix, width) for prefix, width in self.widths.items()))

    def _waits(self, run: Run, runs: Sequence[Run], active: Counter[str | None]) -> bool:
        on_thread = [other for other in runs if other.thread_id == run.thread_id]
        older = [other for other in on_thread if other.created_at < run.created_at]
        if run.not_before is not None and (self.woken_at is None or run.not_before > self.woken_at):
            return True
        if run.multitask_strategy is MultitaskStrategy.ENQUEUE and (
            any(other.status in ACTIVE for other in on_thread)
            or any(other.status is RunStatus.QUEUED for other in older)
        ):
            return True
        if run.handover is Handover.AFTER_STOP and any(map(is_stopping, on_thread)):
            return True
        width = None if run.concurrency_key is None else self.width(run.concurrency_key)
        return width is not None and active[run.concurrency_key] >= width

    def _call(self, runs: Sequence[Run]) -> Awaitable[Any]:
        live = [run for run in runs if run.status in LIVE]
        makers: list[Callable[[], Awaitable[Any]]] = [*[self._create] * 4, self._claim, self._wake]
        if live:
            makers += [lambda: self._advance(self.random.choice(live))] * 10
        if runs:
            makers += [lambda: self._after_the_end(self.random.choice(runs))] * 3
        return self.random.choice(makers)()

    def _create(self) -> Awaitable[Any]:
        random = self.random
        soon = timedelta(milliseconds=random.choice((-5, 5, 20)))
        spec = RunSpec(
            thread_id=random.choice(THREADS),
            assistant_id="x",
            multitask_strategy=random.choice(
                (*MultitaskStrategy, *[MultitaskStrategy.ENQUEUE] * 3)
            ),
            handover=random.choice(list(Handover)),
            concurrency_key=random.choice((None, *KEYS)),
            worker_id=random.choice((None, None, None, "w1")),
            retry=random.choice((None, Retry(3), Retry(2, timedelta(milliseconds=10)))),
            priority=random.randint(1, 5),
            not_before=random.choice((None, None, None, self._now() + soon)),
        )
        if spec.multitask_strategy is MultitaskStrategy.ENQUEUE or random.random() < 0.5:
            return self.manager.create_or_reject(OWNER, spec, None)
        return self.manager.create(OWNER, spec, None)

    def _now(self) -> datetime:
        return Timekeeper().machine()

    def _claim(self) -> Awaitable[Any]:
        wanted = Wanted(self.random.choice(WORKERS), self.random.choice((("x",), None)), None)
        ttl = timedelta(seconds=30)
        return self.dispatch.claim(Claim(wanted, self.random.randint(1, 3), ttl, 0.0, None))

    async def _wake(self) -> None:
        def decide(tx: Transaction) -> datetime:
            wake(tx, None, 10_000)
            return tx.begin

        self.woken_at = await self.writer.submit(Command(decide))

    async def _limit(self) -> None:
        prefix = self.random.choice(("", "r", *KEYS))
        width = self.random.choice((None, 0, 1, 2, 5))

        def decide(tx: ExclusiveTransaction) -> None:
            tx.set_limit(LimitChange(prefix, width))
            # The checks after this batch use the same limits as the store.
            self.widths.pop(prefix, None)
            if width is not None:
                self.widths[prefix] = width

        await self.writer.submit(ExclusiveCommand(decide))

    def _advance(self, run: Run) -> Awaitable[Any]:
        """End or move a run that has not ended, in any of the ways there are."""
        choice = self.random.randint(0, 9)
        worker = run.worker_id
        if choice == 0:
            return self.manager.cancel(OWNER, run.run_id, CancelAction.INTERRUPT, None)
        if choice == 1:
            return self._change(run, self._expire_lease)
        if choice == 2:
            return self._change(run, self._expire_limit)
        if choice == 3:
            return self._change(run, lambda run, at: lifecycle.orphan(run, at, error="e"))
        if choice == 4:
            return self._change(run, lifecycle.disconnect)
        if choice == 5 and worker:
            return self.dispatch.release(OWNER, run.run_id, worker)
        if choice == 6:
            report = Report(worker_id=worker, error="e", retryable=True)
            return self.manager.report_status(OWNER, run.run_id, RunStatus.ERROR, report)
        to = RunStatus.RUNNING if run.status is RunStatus.PENDING else RunStatus.SUCCESS
        starter = worker or self.random.choice(WORKERS)
        report = Report(worker_id=starter)
        return self.manager.report_status(OWNER, run.run_id, to, report)

    def _after_the_end(self, run: Run) -> Awaitable[Any]:
        choice = self.random.randint(0, 3)
        if choice == 0:
            return self._change(
                run, lambda run, at: stopping.give_up(run, at, by=at.time + timedelta(1))
            )
        if choice == 1:
            query = RawById(run.run_id)

            def remove(tx: ExclusiveTransaction) -> None:
                record = tx.raw(query)
                lifecycle.check_deletable(run.run_id, record.status)
                tx.delete(record)

            return self.writer.submit(ExclusiveCommand(remove, (query,)))
        return self.manager.acknowledge_cancel(
            OWNER, run.run_id, worker_id=run.worker_id, progress=None
        )

    def _change(self, run: Run, advance: Callable[[Run, Stamp], Run]) -> Awaitable[Run]:
        query = ById(run.run_id, OWNER)

        def decide(tx: Transaction) -> Run:
            before = tx.run(query)
            return tx.save(before, advance(before, tx.stamp()))

        return self.writer.submit(Command(decide, (query,)))

    @staticmethod
    def _expire_lease(run: Run, at: Stamp) -> Run:
        return lifecycle.expire(run, at, by=at.time, lease_end=at.time, limit_end=None)

    @staticmethod
    def _expire_limit(run: Run, at: Stamp) -> Run:
        return lifecycle.expire(run, at, by=at.time, lease_end=None, limit_end=at.time)
