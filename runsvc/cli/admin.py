"""`runsvc admin`: the calls of AdminService."""

from __future__ import annotations

import click
from rich.text import Text

from runsvc.cli import render
from runsvc.cli.copies import backup, migrate, restore
from runsvc.cli.copy_command import copy
from runsvc.cli.groups import CommandGroup
from runsvc.cli.limits import limits
from runsvc.cli.reconcile import reconcile
from runsvc.cli.session import Session, unary_command
from runsvc.v1.admin_service_pb2 import DeleteResponse


@click.group(cls=CommandGroup)
def admin() -> None:
    """Administer the service, for operators."""


admin.add_command(backup)
admin.add_command(restore)
admin.add_command(migrate)
admin.add_command(copy)
admin.add_command(reconcile)
admin.add_command(limits)


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
