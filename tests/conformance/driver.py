"""A driver that writes to a store like the writer, but on the caller's thread."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from runsvc.commit.command import Command, ExclusiveCommand
from runsvc.commit.group_commit import GroupCommit
from runsvc.core import lifecycle, stopping
from runsvc.core.model import CancelAction, Progress, Request, RequestKey, Run, RunSpec, RunStatus
from runsvc.store.queries import ActiveOnThread, ById, RawById
from runsvc.store.values import Topic, TopicKind
from runsvc.wire.codec import RunCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runsvc.commit.command import AnyCommand
    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.commit.group_commit import Committed
    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Stamp
    from runsvc.store.base import Store
    from runsvc.store.queries import Query
    from runsvc.store.values import Record

T = TypeVar("T")

PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED, QUEUED = RunStatus
CODEC = RunCodec()
#: The kwargs of a run: an encoded Struct with one empty field.
INPUT = b"\x0a\x00"

OWNER = "o"
ALL = Topic(TopicKind.ALL, OWNER)


def run_topic(run: Run) -> Topic:
    return Topic(TopicKind.RUN, run.owner, run.run_id)


def thread_topic(thread_id: str, owner: str = OWNER) -> Topic:
    return Topic(TopicKind.THREAD, owner, thread_id)


def a_request(
    request_id: str, spec_hash: bytes = b"#", *, owner: str = OWNER, method: str = "Create"
) -> Request:
    return Request(RequestKey(owner, method, request_id), spec_hash)


class Driver:
    """Makes every kind of change, each in a transaction of its own."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.group = GroupCommit(store.writing, CODEC, pause=lambda _: None)
        #: Called with every committed batch, like a hub.
        self.listeners: list[Callable[[Committed], None]] = []

    def batch(self, *commands: AnyCommand[Any]) -> Committed:
        committed = self.group.run(commands)
        for listener in self.listeners:
            listener(committed)
        return committed

    def carry_out(self, command: AnyCommand[T]) -> T:
        (outcome,) = self.batch(command).outcomes
        if outcome.error is not None:
            raise outcome.error
        answer: T = outcome.answer
        return answer

    def create(
        self,
        thread_id: str = "t",
        *,
        owner: str = OWNER,
        run_id: str | None = None,
        request: Request | None = None,
        **spec: Any,
    ) -> Run:
        wanted = RunSpec(thread_id=thread_id, **spec)

        def decide(tx: Transaction) -> Run:
            chosen = run_id or tx.new_run_id()
            return tx.create(wanted, run_id=chosen, owner=owner, request=request)

        return self.carry_out(Command(decide))

    def create_many(self, thread_ids: Iterable[str], *, at_once: int = 50, **spec: Any) -> None:
        """Create a run on each thread, in batches."""

        def creation(thread_id: str) -> Command[Run]:
            wanted = RunSpec(thread_id=thread_id, **spec)
            return Command(
                lambda tx: tx.create(wanted, run_id=tx.new_run_id(), owner=OWNER, request=None)
            )

        remaining = iter(thread_ids)
        while batch := [creation(each) for each in islice(remaining, at_once)]:
            assert all(outcome.error is None for outcome in self.batch(*batch).outcomes)

    def change(self, run: Run, advance: Callable[[Run, Stamp], Run]) -> Run:
        query = ById(run.run_id, None)

        def decide(tx: Transaction) -> Run:
            before = tx.run(query)
            return tx.save(before, advance(before, tx.stamp()))

        return self.carry_out(Command(decide, (query,)))

    def report(
        self, run: Run, to: RunStatus, error: str | None = None, *, worker_id: str | None = None
    ) -> Run:
        return self.change(
            run, lambda run, at: lifecycle.report(run, to, at, worker_id=worker_id, error=error)
        )

    def progress(self, run: Run, tokens: int, sequence: int | None = None) -> Run:
        report = Progress(total_tokens=tokens)
        return self.change(
            run,
            lambda run, at: lifecycle.report_progress(
                run, report, at, worker_id=None, sequence=sequence
            ),
        )

    def cancel(self, run: Run) -> Run:
        return self.change(
            run, lambda run, at: lifecycle.cancel(run, CancelAction.INTERRUPT, at)[0]
        )

    def acknowledge(self, run: Run) -> Run:
        return self.change(
            run, lambda run, at: stopping.acknowledge_cancel(run, at, worker_id=run.worker_id)
        )

    def displace(self, thread_id: str = "t", owner: str = OWNER) -> tuple[Run, Sequence[Run]]:
        """Create a run that supersedes the active ones of its thread; both in one call."""

        query = ActiveOnThread(owner, thread_id)

        def decide(tx: Transaction) -> tuple[Run, Sequence[Run]]:
            run_id = tx.new_run_id()
            gone = [
                tx.save(
                    run, lifecycle.supersede(run, CancelAction.INTERRUPT, tx.stamp(), by=run_id)
                )
                for run in reversed(tx.active(query))
            ]
            spec = RunSpec(thread_id=thread_id)
            return tx.create(spec, run_id=run_id, owner=owner, request=None), gone

        return self.carry_out(Command(decide, (query,)))

    def delete(self, run: Run) -> None:
        query = RawById(run.run_id)

        def decide(tx: ExclusiveTransaction) -> None:
            tx.delete(tx.raw(query))

        self.carry_out(ExclusiveCommand(decide, (query,)))

    def forget(self, revision: int) -> None:
        def decide(tx: ExclusiveTransaction) -> None:
            tx.forget(revision)

        self.carry_out(ExclusiveCommand(decide))

    def load(self, query: Query) -> Sequence[Record]:
        """The answer to a query, from a transaction that is rolled back."""
        self.store.writing.begin()
        try:
            return self.store.writing.load([query]).records[query]
        finally:
            self.store.writing.rollback()
