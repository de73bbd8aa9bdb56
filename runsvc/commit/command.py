"""Commands: the decisions that the writer carries out, each with the reads it needs.

There are three kinds. A `Command` shares its batch with others. A `DeferrableCommand` does too, but may wait longer for
company. An `ExclusiveCommand` has a batch to itself, so its reads cannot be stale within the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from runsvc.commit.exclusive import ExclusiveTransaction
from runsvc.commit.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.store.queries import Count, Query

T = TypeVar("T")

#: Most commands that share a transaction.
MAX_COMMANDS: Final = 64


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """A decision that shares its batch. It may run several times, so it must have no side effect."""

    transaction: ClassVar[type[Transaction]] = Transaction
    is_exclusive: ClassVar[bool] = False
    #: May wait a little longer for other commands to share a flush with.
    is_deferrable: ClassVar[bool] = False
    #: Is carried out even if the caller gave up before the batch began.
    outlives_caller: ClassVar[bool] = False

    decide: Callable[[Transaction], T]
    reads: tuple[Query | Count, ...] = ()
    #: Approximate bytes that the command adds to a batch.
    size: int = 0


@dataclass(frozen=True, slots=True)
class DeferrableCommand(Command[T]):
    """A heartbeat: no caller depends on its speed, and it counts even if its caller gave up waiting."""

    is_deferrable: ClassVar[bool] = True
    outlives_caller: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ExclusiveCommand(Generic[T]):
    """A decision in a batch of its own, with access to queries that ignore other commands of a batch."""

    transaction: ClassVar[type[Transaction]] = ExclusiveTransaction
    is_exclusive: ClassVar[bool] = True
    is_deferrable: ClassVar[bool] = False
    outlives_caller: ClassVar[bool] = False

    decide: Callable[[ExclusiveTransaction], T]
    reads: tuple[Query | Count, ...] = ()
    #: Approximate bytes that the command adds to a batch.
    size: int = 0


AnyCommand = Command[T] | ExclusiveCommand[T]
