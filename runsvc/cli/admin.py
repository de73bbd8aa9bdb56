"""`runsvc admin`: the calls of AdminService."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.text import Text

from runsvc.cli import render
from runsvc.cli.arguments import Count, Time, option
from runsvc.cli.copies import backup, restore
from runsvc.cli.groups import CommandGroup
from runsvc.cli.session import Session, unary_command
from runsvc.cli.table import RunsTable
from runsvc.settings import ORPHAN_ERROR
from runsvc.v1.admin_service_pb2 import DeleteResponse

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp


@click.group(cls=CommandGroup)
def admin() -> None:
    """Administer the service, for operators."""


admin.add_command(backup)
admin.add_command(restore)


@admin.command(short_help="End every active run without a live lease.")
@option(
    "--error",
    default="",
    show_default=ORPHAN_ERROR,
    metavar="TEXT",
    help="Error text of the runs.",
)
@option(
    "--before",
    type=Time(),
    show_default="now",
    metavar="TIME",
    help="Only runs created at or before TIME, such as 2026-11-24T09:30:00Z. A time zone is required.",
)
@option(
    "--limit",
    type=Count(min=0, max=1_000),
    default=0,
    metavar="N",
    help="Maximum number of runs; 0 is 1,000.",
)
@option(
    "--yes", is_flag=True, help="Do not ask. On a terminal the command asks before it ends runs."
)
@unary_command
def reconcile(
    session: Session, error: str, before: Timestamp | None, limit: int, yes: bool
) -> None:
    """End every active run without a live lease. They become ERROR, oldest first.

    This includes PENDING runs that no executor has started yet, and RUNNING runs without a lease whose executors are
    alive and still work on them. Only a lease that has not expired protects a run. Limit the command with --before.
    Repeat it until no run is left.

    \b
    Example:
      runsvc admin reconcile --before 2026-11-24T09:30:00Z --error "host-7 is gone"
      runsvc admin reconcile --before 2026-11-24T09:30:00Z --yes
    """
    if is_terminal() and not yes:
        _confirm(session, before)
    answer = session.client.reconcile_orphans(error=error, before=before, limit=limit)
    rest = "More are left: repeat the command." if answer.more else "None are left."
    ended = "1 run" if len(answer.runs) == 1 else f"{len(answer.runs)} runs"
    headline = Text(f"Ended {ended} as ERROR. {rest}")
    table = [RunsTable(answer.runs)] if answer.runs else []
    session.print_answer(answer, headline, *table)


@admin.command(short_help="Remove a terminal run permanently.")
@click.argument("run_id")
@unary_command
def delete(session: Session, run_id: str) -> None:
    """Remove the terminal run RUN_ID permanently. Cancel an active run first."""
    session.client.delete(run_id)
    session.print_answer(DeleteResponse(), Text(f"Removed run {render.clean(run_id)}."))


@admin.command(short_help="Show the server's version and counts.")
@unary_command
def info(session: Session) -> None:
    """Show the server's version, its store and revisions, and the numbers of active runs and watchers."""
    answer = session.client.get_server_info()
    session.print_answer(answer, render.details(answer, zeros=True))


def is_terminal() -> bool:
    """Return whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _confirm(session: Session, before: Timestamp | None) -> None:
    """Ask whether the runs are to end."""
    active = session.client.get_server_info().active_runs
    created = f" that were created by {render.time_of(before)}" if before else ""
    click.confirm(
        f"End the active runs{created} that have no live lease, PENDING ones and healthy ones included? "
        f"{active:,} runs are active at {session.target}",
        abort=True,
        err=True,
    )
