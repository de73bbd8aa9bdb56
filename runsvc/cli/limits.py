"""`runsvc admin limits`: how many runs with the same concurrency key may be active."""

from __future__ import annotations

import click
from rich.text import Text

from runsvc.cli import render
from runsvc.cli.arguments import Count, option
from runsvc.cli.groups import CommandGroup
from runsvc.cli.session import Session, unary_command
from runsvc.v1.admin_service_pb2 import SetConcurrencyLimitResponse

_MAX_WIDTH = 1_000_000


@click.group(cls=CommandGroup)
def limits() -> None:
    """Show and set concurrency limits. The longest prefix that fits a key counts; each owner is counted alone."""


@limits.command("list", short_help="List all limits.")
@unary_command
def list_limits(session: Session) -> None:
    """List all limits, by prefix."""
    answer = session.client.list_concurrency_limits()
    lines = [
        Text(f"{render.clean(each.prefix) or '(every key)'}  {each.width}")
        for each in answer.limits
    ]
    session.print_answer(answer, *(lines or [Text("No limits.")]))


@limits.command("set", short_help="Set or remove a limit.")
@click.argument("prefix")
@option("--width", type=Count(min=0, max=_MAX_WIDTH), metavar="N", help="Active runs for each key.")
@option("--remove", is_flag=True, help="Remove the limit of this prefix.")
@unary_command
def set_limit(session: Session, prefix: str, width: int | None, remove: bool) -> None:
    """Set how many runs may be active for each concurrency key that begins with PREFIX ('' for every key).

    A wider limit starts waiting runs at once. A narrower one ends no run. --width 0 lets no run start.

    \b
    Examples:
      runsvc admin limits set gpu --width 4
      runsvc admin limits set gpu --remove
    """
    if (width is None) != remove:
        raise click.UsageError("Give one of --width and --remove.")
    session.client.set_concurrency_limit(prefix, width)
    state = "removed" if width is None else f"set to {width}"
    headline = Text(f"The limit of {prefix!r} was {state}.")
    session.print_answer(SetConcurrencyLimitResponse(), headline)
