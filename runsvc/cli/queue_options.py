"""The options of `runsvc create` for runs that wait and for runs with several attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runsvc.cli.arguments import Count, EnumChoice, Time, option
from runsvc.cli.lengths import Duration
from runsvc.v1.run_pb2 import Handover

if TYPE_CHECKING:
    from runsvc.cli.arguments import Command

_OPTIONS: Final = (
    option(
        "--handover",
        type=EnumChoice(Handover),
        show_default="immediate",
        help="Whether the run waits until executors of cancelled runs have stopped.",
    ),
    option(
        "--not-before",
        type=Time(),
        metavar="TIME",
        help="Time until which the run waits, such as 2026-11-24T09:30:00Z.",
    ),
    option(
        "--concurrency-key",
        metavar="KEY",
        help="Limit active runs with this key (see `runsvc admin limits`).",
    ),
    option(
        "--queue-timeout",
        type=Duration(),
        metavar="DURATION",
        help="Maximum time as QUEUED. Then the run becomes TIMEOUT.",
    ),
    option(
        "--priority",
        type=Count(min=1, max=5),
        metavar="N",
        show_default="3",
        help="Runs of a higher priority are claimed first: 1 to 5.",
    ),
    option(
        "--max-attempts",
        type=Count(min=1, max=10),
        metavar="N",
        show_default="1",
        help="Attempts, if a lease expires or an error is retryable.",
    ),
    option(
        "--backoff",
        type=Duration(),
        metavar="DURATION",
        help="With --max-attempts: pause before the second attempt. It doubles with each further one.",
    ),
)


def queue_options(command: Command) -> Command:
    """Add the options to a command."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command
