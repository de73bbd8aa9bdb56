"""Commands of executors: one for each report."""

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
    progress_from,
    progress_options,
    require_worker,
    result_option,
    stop_reason_option,
    worker_option,
)
from runsvc.cli.session import Session, unary_command
from runsvc.v1.run_service_pb2 import HeartbeatResponse, UpdateModelNameResponse

if TYPE_CHECKING:
    from datetime import timedelta

    from google.protobuf.struct_pb2 import Struct

    from runsvc.v1.run_pb2 import Run, RunStatus

_MAX_UINT64: Final = 2**64 - 1


@click.command("set-status", short_help="Report a status, such as running.")
@click.argument("run_id")
@click.argument("status", type=STATUS, metavar="STATUS")
@error_option
@result_option
@stop_reason_option
@worker_option
@lease_option
@unary_command
def set_status(
    session: Session, worker: str | None, lease_ttl: timedelta | None, **report: Any
) -> None:
    """Report that the run RUN_ID is STATUS: pending, running, success, error, timeout or interrupted.

    `running` starts the run and makes --worker its holder. With --lease-ttl the run gets a lease: it becomes ERROR if
    no report or heartbeat arrives for that long.

    \b
    Examples:
      runsvc set-status RUN_ID running --worker w1
      runsvc set-status RUN_ID running --worker w1 --lease-ttl 30s
      runsvc set-status RUN_ID error --error "out of memory" --worker w1
    """
    require_worker(worker, lease_ttl)
    ttl = None if lease_ttl is None else lease_ttl.total_seconds()
    answer = session.client.set_status(worker_id=worker, lease_ttl=ttl, **report)
    session.print_answer(
        answer, _report_headline(answer.run, answer.changed), render.details(answer.run)
    )


@click.command(short_help="Renew the lease.")
@click.argument("run_id")
@option("--worker", required=True, metavar="ID", help="Id of the run's holder.")
@unary_command
def heartbeat(session: Session, run_id: str, worker: str) -> None:
    """Renew the lease of the run RUN_ID, and show whether it was cancelled.

    Send about three heartbeats per --lease-ttl. Other reports renew the lease too.

    \b
    Example:
      runsvc heartbeat RUN_ID --worker w1
    """
    run = session.client.heartbeat(run_id, worker)
    session.print_answer(
        HeartbeatResponse(run=run), _headline(run, _lease_state(run)), render.details(run)
    )


@click.command(short_help="Report usage.")
@click.argument("run_id")
@progress_options
@option(
    "--sequence",
    type=Count(0, _MAX_UINT64),
    metavar="N",
    help="Number that orders reports: an equal or lower one is not applied.",
)
@option(
    "--final",
    is_flag=True,
    help="Report the final usage: accepted once, even after the end of the run.",
)
@worker_option
@unary_command
def progress(
    session: Session,
    run_id: str,
    sequence: int | None,
    final: bool,
    worker: str | None,
    **fields: Any,
) -> None:
    """Report usage of the run RUN_ID. Only the given values change.

    \b
    Example:
      runsvc progress RUN_ID --total-tokens 1200 --llm-call-count 3 --worker w1
    """
    usage = progress_from(fields)
    if usage is None and not final:
        raise click.UsageError("Nothing to report. Give a value, or --final.")
    answer = session.client.update_progress(
        run_id, usage, sequence=sequence, final=final, worker_id=worker
    )
    session.print_answer(
        answer, _report_headline(answer.run, answer.applied), render.details(answer.run)
    )


@click.command(short_help="Report the end, with the final usage.")
@click.argument("run_id")
@click.argument("status", type=TERMINAL, metavar="STATUS")
@error_option
@result_option
@stop_reason_option
@worker_option
@progress_options
@unary_command
def complete(
    session: Session,
    run_id: str,
    status: RunStatus,
    error: str | None,
    result: Struct | None,
    stop_reason: str | None,
    worker: str | None,
    **fields: Any,
) -> None:
    """Report the end of the run RUN_ID: STATUS (success, error, timeout or interrupted), result and final usage.

    `interrupted` acknowledges the cancel of a run that was cancelled.

    \b
    Examples:
      runsvc complete RUN_ID success --result '{"answer": 42}' --worker w1
      runsvc complete RUN_ID success --total-tokens 4096 --stop-reason token_capped --worker w1
    """
    answer = session.client.complete(
        run_id,
        status,
        error=error,
        progress=progress_from(fields),
        worker_id=worker,
        result=result,
        stop_reason=stop_reason,
    )
    session.print_answer(
        answer, _report_headline(answer.run, answer.changed), render.details(answer.run)
    )


@click.command(short_help="Report that a cancelled run has stopped.")
@click.argument("run_id")
@stop_reason_option
@worker_option
@unary_command
def acknowledge(session: Session, run_id: str, worker: str | None, stop_reason: str | None) -> None:
    """Report that the executor of the cancelled run RUN_ID has stopped."""
    answer = session.client.acknowledge_cancel(run_id, worker_id=worker, stop_reason=stop_reason)
    state = "is" if answer.changed else "was already"
    headline = _headline(answer.run, f"the cancel {state} acknowledged")
    session.print_answer(answer, headline, render.details(answer.run))


@click.command(short_help="Set or clear the model.")
@click.argument("run_id")
@click.argument("name", required=False)
@option("--clear", is_flag=True, help="Instead of NAME: clear the model.")
@unary_command
def model(session: Session, run_id: str, name: str | None, clear: bool) -> None:
    """Set the model of the active run RUN_ID to NAME."""
    # An empty NAME is probably a mistake in a script.
    if bool(name and name.strip()) == clear:
        given = "only one" if clear else "one"
        raise click.UsageError(f"Name {given} of NAME and --clear.")
    run = session.client.update_model_name(run_id, name)
    state = f"the model is {run.model_name}" if run.model_name else "no model is set"
    session.print_answer(
        UpdateModelNameResponse(run=run), _headline(run, state), render.details(run)
    )


COMMANDS: Final = (
    set_status,
    heartbeat,
    progress,
    complete,
    acknowledge,
    model,
)


def _lease_state(run: Run) -> str:
    if not run.HasField("lease"):
        return "it has no lease to renew"
    return f"its lease expires at {render.time_of(run.lease.expires_at)}"


def _report_headline(run: Run, is_applied: bool) -> Text:
    return _headline(run, "the report was applied" if is_applied else "the report changed nothing")


def _headline(run: Run, state: str) -> Text:
    text = f"Run {run.run_id} is {render.status_of(run)}: {state}."
    return Text(render.clean(text))
