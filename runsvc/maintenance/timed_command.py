"""Commands with decisions that depend on the clocks, given to them as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from runsvc.commit.command import ExclusiveCommand

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.commit.exclusive import ExclusiveTransaction
    from runsvc.maintenance.lease_clock import LeaseClock, Reading
    from runsvc.store.queries import Count, Query

T = TypeVar("T")


def timed_command(
    lease_clock: LeaseClock,
    decide: Callable[[ExclusiveTransaction, Reading], T],
    reads: tuple[Query | Count, ...] = (),
) -> ExclusiveCommand[T]:
    """Make a command. Its decision gets a reading of the lease clock, taken within the transaction.

    A reading from the time of submission would be too old: an outage can begin while the command waits for its batch.
    The writer's thread reads the lease clock nowhere else, so the decisions themselves are pure.
    """
    return ExclusiveCommand(lambda tx: decide(tx, lease_clock.read(tx.time)), reads)
