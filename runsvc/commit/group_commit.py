"""Group commit: one transaction and one flush for a batch of commands, on the writer's thread."""

from __future__ import annotations

import time
from copy import copy
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runsvc.commit.lines import Lines
from runsvc.core.errors import OutcomeUnknown, RunsvcError, StoreBusy, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime
    from typing import TypeAlias

    from runsvc.commit.command import AnyCommand
    from runsvc.commit.effects import Claimable
    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Run
    from runsvc.store.base import Codec, WritingStore
    from runsvc.store.values import LogEntry, Now

    Draw: TypeAlias = Callable[[], Sequence[AnyCommand[Any]]]

#: Pauses before a busy store is tried again, in seconds. The whole batch waits.
RETRY_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
#: Seconds after its submission in which a command may find the store busy before it fails.
PATIENCE: Final = sum(RETRY_PAUSES)


class Outcome(NamedTuple):
    """The result of a command: an answer or an error."""

    answer: Any = None
    error: Exception | None = None


class Committed(NamedTuple):
    """The result of a batch: one outcome per command, in order, and the changes to publish to watchers."""

    outcomes: Sequence[Outcome]
    entries: Sequence[LogEntry] = ()
    #: Runs whose progress or metadata changed without a log entry.
    progressed: Sequence[Run] = ()
    #: The outcome of a commit is unknown: the store may hold changes that are missing from `entries`.
    unsettled: bool = False
    #: The store failed for at least one of the commands.
    failed: bool = False
    #: Runs that became claimable.
    claimable: Sequence[Claimable] = ()
    #: The earliest not_before that a changed run waits for.
    wakes_at: datetime | None = None
    #: Of a shared store: the identity of the store that has the changes; empty if unknown.
    store_id: str = ""
    #: Owner and concurrency key where runs may wait although there is room: a following command moves them on.
    unfinished: Collection[tuple[str, str]] = ()


class GroupCommit:
    """Makes the decisions of a batch in one transaction and commits them together."""

    def __init__(
        self, store: WritingStore, codec: Codec, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._store = store
        self._codec = codec
        self._pause = pause
        self._lines = Lines()
        self._store_id = ""

    def run(
        self,
        commands: Sequence[AnyCommand[Any]],
        waited: float = 0.0,
        draw: Draw | None = None,
    ) -> Committed:
        """Commit a batch. If it fails as a whole, retry each command alone, so that only the command at fault fails.

        `draw` returns further commands once the transaction has the lock of the store. Their outcomes follow.

        `waited` is the number of seconds that its first command has waited already, such as for an earlier batch that
        found the store busy. They count towards the time after which a busy store is given up.
        """
        batch = list(commands)
        try:
            return self._transact_with_retries(batch, waited, draw)
        except StoreBusy as error:
            return _failed(batch, error)
        except OutcomeUnknown as error:
            return _failed(batch, error)._replace(unsettled=True)
        except Exception as error:  # noqa: BLE001 - the caller gets every error.
            if len(batch) == 1:
                return _failed(batch, error)
            return _joined(self.run([command], waited) for command in batch)

    def _transact_with_retries(
        self, batch: list[AnyCommand[Any]], waited: float, draw: Draw | None
    ) -> Committed:
        left = PATIENCE - waited
        for pause in RETRY_PAUSES:
            try:
                return self._transact(batch, draw)
            except StoreBusy:
                if left <= 0:
                    raise
                self._pause(min(pause, left))
                left = round(left - pause, 6)
        return self._transact(batch, draw)

    def _transact(self, commands: list[AnyCommand[Any]], draw: Draw | None) -> Committed:
        now = self._store.begin()
        try:
            if draw is not None:
                commands += draw()
            loaded = self._store.load({query for command in commands for query in command.reads})
            self._begin_lines(now)
            # An exclusive command is the only one of its batch.
            transaction = commands[0].transaction(
                now, loaded, self._codec, self._store, self._lines
            )
            outcomes = [_attempt(transaction, command) for command in commands]
            if (changes := transaction.changes()) is None:
                self._store.rollback()
                self._lines.end_unchanged(now.commits)
                return Committed(outcomes, claimable=transaction.effects.claimable or ())
            self._store.save(changes)
            self._store.commit()
            self._lines.end(now.commits + 1)
        except BaseException:
            self._store.rollback()
            raise
        effects = transaction.effects
        return Committed(
            outcomes,
            changes.log,
            list(effects.progressed.values()),
            claimable=effects.claimable,
            wakes_at=effects.wakes_at,
            store_id=now.store_id,
            unfinished=frozenset(effects.gates.keys),
        )

    def _begin_lines(self, now: Now) -> None:
        if now.store_id != self._store_id:
            # Another store may have the same number of commits.
            self._lines, self._store_id = Lines(), now.store_id
        self._lines.begin(now.commits)


def _attempt(transaction: Transaction, command: AnyCommand[Any]) -> Outcome:
    try:
        outcome = Outcome(answer=transaction.apply(command.decide))
    except Exception as error:  # noqa: BLE001 - the caller gets every error; the batch continues.
        return _failure(error)
    transaction.settle()
    return outcome


def _failed(commands: Sequence[AnyCommand[Any]], error: Exception) -> Committed:
    # Each caller raises its own copy: a shared exception would collect the tracebacks of all of them.
    copies = (copy(error) for _ in commands[1:])
    failed = isinstance(error, StoreUnavailable | OutcomeUnknown)
    return Committed([_failure(each) for each in (error, *copies)], failed=failed)


def _failure(error: Exception) -> Outcome:
    # A traceback refers to its frames, and through them keeps the whole batch with its loaded records alive until the
    # next garbage collection. A refusal does not need one.
    return Outcome(error=error.with_traceback(None) if isinstance(error, RunsvcError) else error)


def _joined(parts: Iterable[Committed]) -> Committed:
    outcomes: list[Outcome] = []
    entries: list[LogEntry] = []
    progressed: list[Run] = []
    claimable: list[Claimable] = []
    wakes: list[datetime] = []
    store_ids: set[str] = set()
    unfinished: set[tuple[str, str]] = set()
    unsettled = failed = False
    for part in parts:
        if part.entries:
            store_ids.add(part.store_id)
        outcomes.extend(part.outcomes)
        entries.extend(part.entries)
        progressed.extend(part.progressed)
        claimable.extend(part.claimable)
        if part.wakes_at is not None:
            wakes.append(part.wakes_at)
        unfinished.update(part.unfinished)
        unsettled |= part.unsettled
        failed |= part.failed
    wakes_at = min(wakes, default=None)
    # Changes of two stores cannot be published together.
    store_id = store_ids.pop() if len(store_ids) == 1 else ""
    return Committed(
        outcomes,
        entries,
        progressed,
        unsettled,
        failed,
        claimable,
        wakes_at,
        store_id,
        unfinished,
    )
