"""Commands: decisions for the writer, each with the queries that it needs.

There are three kinds. A `Command` shares its batch with others. A `DeferrableCommand` does too, and may wait longer for
its batch to fill. An `ExclusiveCommand` is the only one of its batch, so no other command can make its reads stale.
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

#: Maximum number of commands in a batch.
MAX_COMMANDS: Final = 64


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """A decision that shares its batch. It may run several times, so it must have no side effect."""

    transaction: ClassVar[type[Transaction]] = Transaction
    is_exclusive: ClassVar[bool] = False
    #: May wait longer, to share the flush of a batch with other commands.
    is_deferrable: ClassVar[bool] = False
    #: Is carried out even if its caller gives up before the batch begins.
    outlives_caller: ClassVar[bool] = False

    decide: Callable[[Transaction], T]
    reads: tuple[Query | Count, ...] = ()
    #: Approximate number of bytes that the command adds to a batch.
    size: int = 0


@dataclass(frozen=True, slots=True)
class DeferrableCommand(Command[T]):
    """A heartbeat: no caller depends on its latency, and it takes effect even if its caller gives up."""

    is_deferrable: ClassVar[bool] = True
    outlives_caller: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class HandOut(Command[T]):
    """A claim. Its answer must not get lost: if it has no caller any more, `lost` takes it, on the event loop."""

    lost: Callable[[T], None] | None = None


@dataclass(frozen=True, slots=True)
class ExclusiveCommand(Generic[T]):
    """A decision in its own batch. It may use queries that ignore earlier commands of a batch."""

    transaction: ClassVar[type[Transaction]] = ExclusiveTransaction
    is_exclusive: ClassVar[bool] = True
    is_deferrable: ClassVar[bool] = False
    outlives_caller: ClassVar[bool] = False

    decide: Callable[[ExclusiveTransaction], T]
    reads: tuple[Query | Count, ...] = ()
    #: Approximate number of bytes that the command adds to a batch.
    size: int = 0


AnyCommand = Command[T] | ExclusiveCommand[T]
