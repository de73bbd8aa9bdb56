"""`runsvc admin reconcile`: on a terminal it asks before it ends runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click
from rich.text import Text

from runsvc.cli.arguments import ACTIVE, Count, Time, option
from runsvc.cli.render import clean, word
from runsvc.cli.session import Session, unary_command
from runsvc.cli.table import RunsTable
from runsvc.settings import ORPHAN_ERROR
from runsvc.v1.run_pb2 import RunStatus

if TYPE_CHECKING:
    from runsvc.v1.admin_service_pb2 import ReconcileOrphansResponse

#: Servers that ignore the fields that they do not know, and would end every run.
_OLD: Final = "0.1."


@click.command(short_help="End active runs without a live lease.")
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
    "--status",
    "statuses",
    type=ACTIVE,
    multiple=True,
    envvar="RUNSVC_ADMIN_RECONCILE_STATUS",
    show_default="both",
    help="Only runs with this status.",
)
@option(
    "--assistant",
    "assistant_id",
    envvar="RUNSVC_ADMIN_RECONCILE_ASSISTANT",
    metavar="ID",
    help="Only runs of this assistant.",
)
@option(
    "--limit",
    type=Count(min=0, max=1_000),
    default=0,
    metavar="N",
    help="Maximum number of runs; 0 is 1,000.",
)
@option("--dry-run", is_flag=True, help="Show the runs that would end, and end none.")
@option(
    "--yes", is_flag=True, help="Do not ask. On a terminal the command asks before it ends runs."
)
@unary_command
def reconcile(session: Session, dry_run: bool, yes: bool, **selection: Any) -> None:
    """End active runs without a live lease. They become ERROR, oldest first.

    This includes PENDING runs that no executor has started yet, and RUNNING runs without a lease whose executors are
    alive and still work on them. Only a lease that has not expired protects a run. Limit the command with --status,
    --assistant and --before, and see with --dry-run which runs would end. Repeat it until no run is left.

    \b
    Example:
      runsvc admin reconcile --status running --assistant writer --dry-run
      runsvc admin reconcile --status running --assistant writer --error "host-7 is gone"
    """
    asks = is_terminal() and not (yes or dry_run)
    if asks or dry_run or selection["statuses"] or selection["assistant_id"]:
        _require_support(session)
    if asks:
        _confirm(session, session.client.reconcile_orphans(**selection, dry_run=True))
    answer = session.client.reconcile_orphans(**selection, dry_run=dry_run)
    headline = _preview(answer) if dry_run else _result(answer)
    session.print_answer(answer, Text(headline), *([RunsTable(answer.runs)] if answer.runs else []))


def is_terminal() -> bool:
    """Return whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _require_support(session: Session) -> None:
    """Refuse to ask an old server for a part of its orphans: it would end all of them."""
    version = session.client.get_server_info().version
    if version.startswith(_OLD):
        raise click.ClickException(
            f"The server at {session.target} has version {clean(version)}, which supports neither --dry-run nor "
            "--status nor --assistant. No run was ended. Update the server, or use only --before, with --yes."
        )


def _confirm(session: Session, found: ReconcileOrphansResponse) -> None:
    """Ask whether the runs are to end, if there are any."""
    if not found.runs:
        return
    counts = [
        f"{number} {word(RunStatus, status)}"
        for status in (RunStatus.RUN_STATUS_PENDING, RunStatus.RUN_STATUS_RUNNING)
        if (number := sum(run.status == status for run in found.runs))
    ]
    rest = " There are more." if found.more else ""
    click.confirm(
        f"{session.target} has {_runs(found)} without a live lease: {', '.join(counts)}.{rest} "
        "Their executors may be alive; see the runs with --dry-run. End these runs?",
        abort=True,
        err=True,
    )


def _preview(answer: ReconcileOrphansResponse) -> str:
    return f"Would end {_runs(answer)} as ERROR.{' There are more.' if answer.more else ''}"


def _result(answer: ReconcileOrphansResponse) -> str:
    rest = "More are left: repeat the command." if answer.more else "None are left."
    return f"Ended {_runs(answer)} as ERROR. {rest}"


def _runs(answer: ReconcileOrphansResponse) -> str:
    return "1 run" if len(answer.runs) == 1 else f"{len(answer.runs):,} runs"
