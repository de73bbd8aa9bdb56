"""One batch of commands, one transaction, one flush: all of it on the writer's thread."""

from __future__ import annotations

import time
from copy import copy
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runsvc.core.errors import OutcomeUnknown, RunsvcError, StoreBusy, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from runsvc.commit.command import AnyCommand
    from runsvc.commit.transaction import Transaction
    from runsvc.core.model import Run
    from runsvc.store.base import Codec, LogEntry, WritingStore

#: Pauses before a busy store is tried again, in seconds; the batch waits as a whole.
RETRY_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)


class Outcome(NamedTuple):
    """What a command came to: an answer, or an error."""

    answer: Any = None
    error: Exception | None = None


class Committed(NamedTuple):
    """What a batch did: one outcome per command, in order, and what watchers are to hear of."""

    outcomes: Sequence[Outcome]
    entries: Sequence[LogEntry] = ()
    #: Runs whose progress moved without a log entry.
    progressed: Sequence[Run] = ()
    #: The store may hold more than the entries tell: the fate of a commit could not be found out.
    unsettled: bool = False
    #: The store could not do its work for one of the commands.
    failed: bool = False


class GroupCommit:
    """Makes the commands' decisions inside one transaction and commits them together."""

    def __init__(
        self, store: WritingStore, codec: Codec, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._store = store
        self._codec = codec
        self._pause = pause

    def run(self, commands: Sequence[AnyCommand[Any]]) -> Committed:
        """Commit a batch. What fails for all is tried one by one, so that only the command at fault fails."""
        try:
            return self._patiently(commands)
        except StoreBusy as error:
            return _failed(commands, error)
        except OutcomeUnknown as error:
            return _failed(commands, error)._replace(unsettled=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller is told.
            if len(commands) == 1:
                return _failed(commands, error)
            return _joined(self.run([command]) for command in commands)

    def _patiently(self, commands: Sequence[AnyCommand[Any]]) -> Committed:
        for pause in RETRY_PAUSES:
            try:
                return self._transact(commands)
            except StoreBusy:
                self._pause(pause)
        return self._transact(commands)

    def _transact(self, commands: Sequence[AnyCommand[Any]]) -> Committed:
        now = self._store.begin()
        try:
            loaded = self._store.load({query for command in commands for query in command.reads})
            # An exclusive command is alone in its batch.
            transaction = commands[0].transaction(now, loaded, self._codec)
            outcomes = [_attempt(transaction, command) for command in commands]
            if (changes := transaction.changes()) is None:
                self._store.rollback()
                return Committed(outcomes)
            self._store.save(changes)
            self._store.commit()
        except BaseException:
            self._store.rollback()
            raise
        return Committed(outcomes, changes.log, list(transaction.progressed.values()))


def _attempt(transaction: Transaction, command: AnyCommand[Any]) -> Outcome:
    try:
        return Outcome(answer=transaction.apply(command.decide))
    except Exception as error:  # noqa: BLE001 - the others of the batch go on; its caller is told.
        return _failure(error)


def _failed(commands: Sequence[AnyCommand[Any]], error: Exception) -> Committed:
    # Each further caller raises an exception of its own: a shared one would collect all their tracebacks.
    copies = (copy(error) for _ in commands[1:])
    failed = isinstance(error, StoreUnavailable | OutcomeUnknown)
    return Committed([_failure(each) for each in (error, *copies)], failed=failed)


def _failure(error: Exception) -> Outcome:
    # A traceback holds its frames, and so the whole batch with all that it loaded, until the garbage collector comes
    # by. Of a refusal nobody needs it.
    return Outcome(error=error.with_traceback(None) if isinstance(error, RunsvcError) else error)


def _joined(parts: Iterable[Committed]) -> Committed:
    outcomes: list[Outcome] = []
    entries: list[LogEntry] = []
    progressed: list[Run] = []
    unsettled = failed = False
    for part in parts:
        outcomes.extend(part.outcomes)
        entries.extend(part.entries)
        progressed.extend(part.progressed)
        unsettled |= part.unsettled
        failed |= part.failed
    return Committed(outcomes, entries, progressed, unsettled, failed)
