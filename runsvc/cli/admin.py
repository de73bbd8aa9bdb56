"""`runsvc admin`: the calls of AdminService."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.text import Text

from runsvc.cli import render
from runsvc.cli.arguments import Count, Time, option
from runsvc.cli.session import Session, calls
from runsvc.cli.table import RunsTable
from runsvc.settings import ORPHAN_ERROR
from runsvc.v1.admin_service_pb2 import DeleteResponse

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp


@click.group()
def admin() -> None:
    """Care of the service itself, for operators."""


@admin.command(short_help="End active runs that no living executor holds.")
@option(
    "--error",
    default="",
    show_default=ORPHAN_ERROR,
    metavar="TEXT",
    help="Becomes the runs' error.",
)
@option(
    "--before",
    type=Time(),
    show_default="now",
    metavar="TIME",
    help="Only runs created by then; in UTC when it names no zone.",
)
@option(
    "--limit",
    type=Count(min=0, max=1_000),
    default=0,
    metavar="N",
    help="How many at most; 0 is 1,000.",
)
@calls
def reconcile(session: Session, error: str, before: Timestamp | None, limit: int) -> None:
    """End active runs that no living executor holds: they become ERROR, oldest first.

    Repeat it until it says that none is left.

    \b
    Example:
      runsvc admin reconcile --before 2026-11-24T09:30:00Z --error "host-7 is gone"
    """
    answer = session.client.reconcile_orphans(error=error, before=before, limit=limit)
    rest = "More are left: repeat the command." if answer.more else "None is left."
    ended = "1 run is" if len(answer.runs) == 1 else f"{len(answer.runs)} runs are"
    headline = Text(f"{ended} ERROR now. {rest}")
    table = [RunsTable(answer.runs)] if answer.runs else []
    session.tell(answer, headline, *table)


@admin.command(short_help="Remove a run that has ended, for good.")
@click.argument("run_id")
@calls
def delete(session: Session, run_id: str) -> None:
    """Remove the run RUN_ID, which has ended, for good."""
    session.client.delete(run_id)
    session.tell(DeleteResponse(), Text(f"Run {render.clean(run_id)} is removed."))


@admin.command(short_help="Show what the server is and what it holds.")
@calls
def info(session: Session) -> None:
    """Show what the server is and what it holds."""
    answer = session.client.get_server_info()
    session.tell(answer, render.details(answer, zeros=True))
