"""Commands of callers: create, get, list and cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
import grpc
from rich.text import Text

from runsvc.cli import render
from runsvc.cli.arguments import (
    STATUS,
    Count,
    EnumChoice,
    lease_option,
    option,
    require_worker,
)
from runsvc.cli.errors import CallFailed
from runsvc.cli.json_object import JsonObject, KeyAndValue
from runsvc.cli.lengths import Duration
from runsvc.cli.next_command import repeated_command
from runsvc.cli.queue_options import queue_options
from runsvc.cli.session import Session, unary_command
from runsvc.cli.table import RunsTable
from runsvc.client import RunError
from runsvc.v1.run_pb2 import (
    CancelAction,
    CancelOutcome,
    DisconnectMode,
    MultitaskStrategy,
    Retry,
    RunSpec,
)
from runsvc.v1.run_service_pb2 import (
    CreateOrRejectResponse,
    CreateResponse,
    GetResponse,
    ListByThreadResponse,
)

if TYPE_CHECKING:
    from datetime import timedelta

    from google.protobuf.struct_pb2 import Struct

_MAX_PAGE: Final = 2**31 - 1

_OUTCOMES: Final = {
    CancelOutcome.CANCEL_OUTCOME_CANCELLED: "was cancelled",
    CancelOutcome.CANCEL_OUTCOME_ALREADY_CANCELLED: "was already cancelled; nothing changed",
    CancelOutcome.CANCEL_OUTCOME_ALREADY_FINISHED: "had already ended; nothing changed",
}

_JSON: Final = JsonObject()

#: Column that is omitted, because the command names the thread.
_THREAD: Final = ("THREAD",)


@click.command(short_help="Create a run on a thread.")
@click.argument("thread_id")
@option("--assistant", metavar="ID", help="Assistant that the run executes.")
@option(
    "--metadata",
    type=_JSON,
    metavar="JSON",
    help="JSON object, shown with the run. @FILE and - too.",
)
@option(
    "--kwargs",
    type=_JSON,
    metavar="JSON",
    help="JSON object, the input of the executor. @FILE reads it from a file, - from standard input.",
)
@option(
    "--strategy",
    type=EnumChoice(MultitaskStrategy),
    show_default="reject",
    help="Action if the thread has an active or queued run.",
)
@queue_options
@option(
    "--on-disconnect",
    type=EnumChoice(DisconnectMode),
    show_default="cancel",
    help="Action after the last watch with --attach has ended.",
)
@option("--model", metavar="NAME", help="Name of the model.")
@option("--worker", metavar="ID", help="Id of the only worker that may report on the run.")
@lease_option
@option(
    "--start-timeout",
    type=Duration(),
    metavar="DURATION",
    help="Maximum time as PENDING. Then the run becomes TIMEOUT.",
)
@option(
    "--run-timeout",
    type=Duration(),
    metavar="DURATION",
    help="Maximum time as RUNNING. Then the run becomes TIMEOUT.",
)
@option(
    "--request-id",
    default="",
    metavar="ID",
    help="Make the command safe to repeat: it returns the first run.",
)
@option("--always", is_flag=True, help="Create the run regardless of other runs and of --strategy.")
@unary_command
def create(session: Session, request_id: str, always: bool, **spec: Any) -> None:
    """Create a run on THREAD_ID.

    If the thread has an active or queued run, the command fails with exit code 4. --strategy interrupt and --strategy
    rollback displace such runs instead, and --strategy enqueue lets the new run wait for them; --always creates the run
    beside them. A DURATION is written as 90, 90s, 1h30m or 30d.

    \b
    Examples:
      runsvc create chat-1
      runsvc create chat-1 --strategy interrupt --kwargs '{"input": "hello"}'
      runsvc create chat-1 --strategy enqueue --assistant writer --max-attempts 3
      runsvc create chat-1 --kwargs @input.json
      runsvc create chat-1 --worker w1 --lease-ttl 30s --start-timeout 5m --run-timeout 1h
      runsvc create chat-1 --request-id 7f3a --json | jq -r .run.run_id
    """
    require_worker(spec["worker"], spec["lease_ttl"])
    if spec["backoff"] is not None and not spec["max_attempts"]:
        raise click.UsageError("--backoff needs --max-attempts.")
    answer = _created(session, _spec(**spec), request_id, always)
    headline = _created_headline(answer)
    if isinstance(answer, CreateOrRejectResponse) and answer.superseded:
        displaced = (Text("Displaced runs:"), RunsTable(answer.superseded, _THREAD))
        session.print_answer(answer, headline, render.details(answer.run), *displaced)
    else:
        session.print_answer(answer, headline, render.details(answer.run))


@click.command(short_help="Show a run.")
@click.argument("run_id")
@unary_command
def get(session: Session, run_id: str) -> None:
    """Show all fields of the run RUN_ID."""
    run = session.client.get(run_id)
    session.print_answer(GetResponse(run=run), render.details(run))


@click.command("list", short_help="List a thread's runs, newest first.")
@click.argument("thread_id")
@option(
    "--status",
    "statuses",
    type=STATUS,
    multiple=True,
    envvar="RUNSVC_LIST_STATUS",
    help="Only runs with this status. May be repeated.",
)
@option(
    "--page-size",
    type=Count(min=0, max=_MAX_PAGE),
    default=0,
    metavar="N",
    help="Runs per page; 0 is 100, the maximum is 500.",
)
@option(
    "--page-token",
    default="",
    metavar="TOKEN",
    help="Page to show, as printed with the previous page.",
)
@option("--all-pages", is_flag=True, help="Show all pages; with --json one line per page.")
@unary_command
def list_runs(session: Session, all_pages: bool, **page: Any) -> None:
    """List the runs of THREAD_ID, newest first.

    \b
    Examples:
      runsvc list chat-1 --status pending --status running
      runsvc list chat-1 --all-pages --json | jq -r '.runs[].run_id'
    """
    for answer in session.client.list_by_thread(**page):
        table = RunsTable(answer.runs, _THREAD) if answer.runs else Text("No runs.")
        more = [] if all_pages or not answer.next_page_token else [_next_page(session, answer)]
        session.print_answer(answer, table, *more)
        if not all_pages:
            break


@click.command(short_help="Cancel a run, or a thread's newest active run.")
@click.argument("run_id", required=False)
@option("--thread", metavar="ID", help="Instead of RUN_ID: cancel the thread's newest active run.")
@option(
    "--action",
    type=EnumChoice(CancelAction),
    show_default="interrupt",
    help="How the executor treats the run's state.",
)
@option("--note", metavar="TEXT", help="Reason, for people.")
@unary_command
def cancel(session: Session, run_id: str | None, thread: str | None, **options: Any) -> None:
    """Cancel the run RUN_ID, or the newest active run of a thread.

    If the run has ended, nothing changes and the command succeeds.

    \b
    Examples:
      runsvc cancel RUN_ID --note "user pressed stop"
      runsvc cancel --thread chat-1 --action rollback
    """
    if (run_id is None) == (thread is None):
        given = "only one" if run_id else "one"
        raise click.UsageError(f"Name {given} of RUN_ID and --thread.")
    target = _newest_active(session, str(thread)) if run_id is None else run_id
    answer = session.client.cancel(target, **options)
    outcome = _OUTCOMES.get(answer.outcome, render.word(CancelOutcome, answer.outcome))
    headline = Text(f"Run {render.clean(answer.run.run_id)} {outcome}.")
    session.print_answer(answer, headline, render.details(answer.run))


@click.command(short_help="Set and remove keys of a run's metadata.")
@click.argument("run_id")
@option(
    "--set",
    "changes",
    type=KeyAndValue(),
    multiple=True,
    envvar="RUNSVC_METADATA_SET",
    metavar="KEY=JSON",
    help="Set a top-level key. May be repeated.",
)
@option("--remove", multiple=True, metavar="KEY", help="Remove a top-level key. May be repeated.")
@unary_command
def metadata(
    session: Session, run_id: str, changes: tuple[tuple[str, Any], ...], remove: tuple[str, ...]
) -> None:
    """Change the metadata of the run RUN_ID, which may have ended. Keys that are not named stay.

    \b
    Examples:
      runsvc metadata RUN_ID --set priority=2 --set 'title="My chat"'
      runsvc metadata RUN_ID --remove title
    """
    if not changes and not remove:
        raise click.UsageError("Nothing to change. Give --set or --remove.")
    answer = session.client.update_metadata(run_id, dict(changes), remove=remove)
    state = "has changed" if answer.changed else "already had these values"
    headline = Text(f"The metadata of run {render.clean(answer.run.run_id)} {state}.")
    session.print_answer(answer, headline, render.details(answer.run))


COMMANDS: Final = (
    create,
    get,
    list_runs,
    cancel,
    metadata,
)


def _spec(
    *,
    thread_id: str,
    assistant: str | None,
    metadata: Struct | None,
    kwargs: Struct | None,
    strategy: MultitaskStrategy | None,
    on_disconnect: DisconnectMode | None,
    model: str | None,
    worker: str | None,
    lease_ttl: timedelta | None,
    start_timeout: timedelta | None,
    run_timeout: timedelta | None,
    max_attempts: int | None,
    backoff: timedelta | None,
    **queued: Any,
) -> RunSpec:
    retry = Retry(max_attempts=max_attempts, backoff=backoff) if max_attempts else None
    return RunSpec(
        thread_id=thread_id,
        assistant_id=assistant,
        metadata=metadata,
        kwargs=kwargs,
        multitask_strategy=strategy,
        on_disconnect=on_disconnect,
        model_name=model,
        worker_id=worker,
        lease_ttl=lease_ttl,
        start_timeout=start_timeout,
        timeout=run_timeout,
        retry=retry,
        **queued,
    )


def _created(
    session: Session, spec: RunSpec, request_id: str, always: bool
) -> CreateResponse | CreateOrRejectResponse:
    if always:
        return session.client.create(spec, request_id=request_id)
    return session.client.create_or_reject(spec, request_id=request_id)


def _created_headline(answer: CreateResponse | CreateOrRejectResponse) -> Text:
    event = "was already created by this request id" if answer.replayed else "was created"
    return Text(f"Run {render.clean(answer.run.run_id)} {event}.")


def _next_page(session: Session, answer: ListByThreadResponse) -> Text:
    command = repeated_command("--page-token", answer.next_page_token, target=session.target)
    return Text(f"Next page: {render.clean(command)}", overflow="fold")


def _newest_active(session: Session, thread_id: str) -> str:
    run_ids = session.client.has_inflight(thread_id)
    if not run_ids:
        message = f"Thread {thread_id} has no active run."
        error = RunError(grpc.StatusCode.NOT_FOUND, message=message)
        raise CallFailed(error, as_json=session.as_json)
    return run_ids[0]
