"""What an executor tells of its run: one command each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from rich.text import Text

from runsvc.cli import render
from runsvc.cli.arguments import (
    STATUS,
    TERMINAL,
    Count,
    error_option,
    lease_option,
    option,
    progress_of,
    progress_options,
    require_worker,
    worker_option,
)
from runsvc.cli.session import Session, calls
from runsvc.v1.run_service_pb2 import HeartbeatResponse, UpdateModelNameResponse

if TYPE_CHECKING:
    from datetime import timedelta

    from runsvc.v1.run_pb2 import Run, RunStatus

_MAX_UINT64: Final = 2**64 - 1


@click.command("set-status", short_help="Report a status; running is the start.")
@click.argument("run_id")
@click.argument("status", type=STATUS, metavar="STATUS")
@error_option
@worker_option
@lease_option
@calls
def set_status(
    session: Session, worker: str | None, lease_ttl: timedelta | None, **report: Any
) -> None:
    """Report that the run RUN_ID is STATUS: pending, running, success, error, timeout or interrupted.

    `running` is the start: the worker that reports it becomes the run's holder. With --lease-ttl it promises to give a
    sign of life at least that often: a heartbeat, or any other report.

    \b
    Examples:
      runsvc set-status RUN_ID running --worker w1
      runsvc set-status RUN_ID running --worker w1 --lease-ttl 30s
      runsvc set-status RUN_ID error --error "out of memory" --worker w1
    """
    require_worker(worker, lease_ttl)
    ttl = None if lease_ttl is None else lease_ttl.total_seconds()
    answer = session.client.set_status(worker_id=worker, lease_ttl=ttl, **report)
    session.tell(answer, _report_headline(answer.run, answer.changed), render.details(answer.run))


@click.command(short_help="Give a sign of life, which renews the lease.")
@click.argument("run_id")
@option("--worker", required=True, metavar="ID", help="Who holds the run.")
@calls
def heartbeat(session: Session, run_id: str, worker: str) -> None:
    """Renew the lease of the run RUN_ID, and see whether it was cancelled.

    A worker that holds a run by a lease does so about three times per ttl; its other reports count as well.

    \b
    Example:
      runsvc heartbeat RUN_ID --worker w1
    """
    run = session.client.heartbeat(run_id, worker)
    session.tell(HeartbeatResponse(run=run), _headline(run, _held(run)), render.details(run))


@click.command(short_help="Report usage.")
@click.argument("run_id")
@progress_options
@option("--sequence", type=Count(0, _MAX_UINT64), metavar="N", help="Orders reports.")
@option("--final", is_flag=True, help="The final figures: accepted once, also after the end.")
@worker_option
@calls
def progress(
    session: Session,
    run_id: str,
    sequence: int | None,
    final: bool,
    worker: str | None,
    **fields: Any,
) -> None:
    """Report usage of the run RUN_ID: only what is given changes.

    \b
    Example:
      runsvc progress RUN_ID --total-tokens 1200 --llm-call-count 3 --worker w1
    """
    figures = progress_of(fields)
    if figures is None and not final:
        raise click.UsageError("Nothing to report: give a figure, or --final.")
    answer = session.client.update_progress(
        run_id, figures, sequence=sequence, final=final, worker_id=worker
    )
    what = "was applied" if answer.applied else "changed nothing"
    session.tell(answer, _headline(answer.run, f"the report {what}"), render.details(answer.run))


@click.command(short_help="Report the end, with the usage.")
@click.argument("run_id")
@click.argument("status", type=TERMINAL, metavar="STATUS")
@error_option
@worker_option
@progress_options
@calls
def complete(
    session: Session,
    run_id: str,
    status: RunStatus,
    error: str | None,
    worker: str | None,
    **fields: Any,
) -> None:
    """Report that the run RUN_ID has ended as STATUS (success, error, timeout or interrupted), with its final usage.

    \b
    Example:
      runsvc complete RUN_ID success --total-tokens 4096 --worker w1
    """
    answer = session.client.complete(
        run_id, status, error=error, progress=progress_of(fields), worker_id=worker
    )
    session.tell(answer, _report_headline(answer.run, answer.changed), render.details(answer.run))


@click.command(short_help="Report that a cancelled run has stopped.")
@click.argument("run_id")
@worker_option
@calls
def acknowledge(session: Session, run_id: str, worker: str | None) -> None:
    """Report that the executor of the cancelled run RUN_ID has stopped."""
    answer = session.client.acknowledge_cancel(run_id, worker_id=worker)
    when = "is acknowledged" if answer.changed else "had been acknowledged before: nothing changed"
    session.tell(answer, _headline(answer.run, f"the cancel {when}"), render.details(answer.run))


@click.command(short_help="Set or clear the model.")
@click.argument("run_id")
@click.argument("name", required=False)
@option("--clear", is_flag=True, help="Instead of NAME: no model is set.")
@calls
def model(session: Session, run_id: str, name: str | None, clear: bool) -> None:
    """Set the model of the active run RUN_ID to NAME."""
    # An empty NAME is more likely a script's mistake than a wish.
    if bool(name and name.strip()) == clear:
        raise click.UsageError("Name the model: NAME, or --clear for none.")
    run = session.client.update_model_name(run_id, name)
    named = f"the model is {run.model_name}" if run.model_name else "no model is set"
    session.tell(UpdateModelNameResponse(run=run), _headline(run, named), render.details(run))


COMMANDS: Final = (
    set_status,
    heartbeat,
    progress,
    complete,
    acknowledge,
    model,
)


def _held(run: Run) -> str:
    if not run.HasField("lease"):
        return "it has no lease to renew"
    return f"its lease holds until {render.time_of(run.lease.expires_at)}"


def _report_headline(run: Run, changed: bool) -> Text:
    return _headline(run, "the report was applied" if changed else "the report changed nothing")


def _headline(run: Run, what: str) -> Text:
    text = f"Run {run.run_id} is {render.status_of(run)}: {what}."
    return Text(render.clean(text))
