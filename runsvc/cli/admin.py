"""`runsvc admin`: the calls of AdminService."""

from __future__ import annotations

import click
from rich.text import Text

from runsvc.cli import render
from runsvc.cli.arguments import option
from runsvc.cli.session import Session, calls
from runsvc.cli.table import RunsTable
from runsvc.v1.admin_service_pb2 import (
    DeleteRequest,
    GetServerInfoRequest,
    ReconcileOrphansRequest,
)


@click.group()
def admin() -> None:
    """Care of the service itself, for operators."""


@admin.command()
@option("--error", default="", metavar="TEXT", help="Becomes the runs' error.")
@option(
    "--limit",
    type=click.IntRange(min=0, max=1_000),
    default=0,
    metavar="N",
    help="How many at most; 0 is 1,000.",
)
@calls
def reconcile(session: Session, error: str, limit: int) -> None:
    """End active runs that no living executor holds: they become ERROR, oldest first.

    Repeat it until it says that none is left.
    """
    request = ReconcileOrphansRequest(error=error, limit=limit)
    answer = session.call(session.admin.ReconcileOrphans, request)
    rest = "More are left: repeat the command." if answer.more else "None is left."
    headline = Text(f"{len(answer.runs)} runs are ERROR now. {rest}")
    table = [RunsTable(answer.runs)] if answer.runs else []
    session.tell(answer, headline, *table)


@admin.command()
@click.argument("run_id")
@calls
def delete(session: Session, run_id: str) -> None:
    """Remove the run RUN_ID, which has ended, for good."""
    answer = session.call(session.admin.Delete, DeleteRequest(run_id=run_id))
    session.tell(answer, Text(f"Run {render.clean(run_id)} is removed."))


@admin.command()
@calls
def info(session: Session) -> None:
    """Show what the server is and what it holds."""
    answer = session.call(session.admin.GetServerInfo, GetServerInfoRequest())
    session.tell(answer, render.details(answer, zeros=True))
