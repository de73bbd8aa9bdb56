"""The calls of RunService: one command each."""

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
    JsonObject,
    Length,
    lease_option,
    option,
    require_worker,
)
from runsvc.cli.errors import CallFailed
from runsvc.cli.next_command import again
from runsvc.cli.session import Session, calls
from runsvc.cli.table import RunsTable
from runsvc.client import RunError
from runsvc.v1.run_pb2 import (
    CancelAction,
    CancelOutcome,
    DisconnectMode,
    MultitaskStrategy,
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
    CancelOutcome.CANCEL_OUTCOME_ALREADY_CANCELLED: "had been cancelled before: nothing changed",
    CancelOutcome.CANCEL_OUTCOME_ALREADY_FINISHED: "had already ended: nothing changed",
}

_JSON: Final = JsonObject()

#: Where the thread was named by who asks.
_KNOWN: Final = ("THREAD",)


@click.command(short_help="Create a run on a thread.")
@click.argument("thread_id")
@option("--assistant", metavar="ID", help="The assistant that the run executes.")
@option("--metadata", type=_JSON, metavar="JSON", help="An object to show and to filter by.")
@option("--kwargs", type=_JSON, metavar="JSON", help="An object: the executor's input.")
@option(
    "--strategy",
    # The server knows of it, and refuses it.
    type=EnumChoice(MultitaskStrategy, without=("enqueue",)),
    show_default="reject",
    help="What if the thread is busy.",
)
@option(
    "--on-disconnect",
    type=EnumChoice(DisconnectMode),
    show_default="cancel",
    help="What if all leave that watch it with --attach.",
)
@option("--model", metavar="NAME", help="The model in use.")
@option("--worker", metavar="ID", help="The only worker that may report on the run.")
@lease_option
@option(
    "--start-timeout",
    type=Length(),
    metavar="LENGTH",
    help="Longest time until it is running; then it becomes TIMEOUT.",
)
@option(
    "--run-timeout",
    type=Length(),
    metavar="LENGTH",
    help="Longest time that it may be running; then it becomes TIMEOUT.",
)
@option("--request-id", default="", metavar="ID", help="Makes it safe to repeat the command.")
@option("--always", is_flag=True, help="Admit it beside any other run; ignores the strategy.")
@calls
def create(session: Session, request_id: str, always: bool, **spec: Any) -> None:
    """Create a run on THREAD_ID.

    A thread that has an active run refuses another one (exit code 4), unless --strategy says to interrupt or roll back
    what is active, or --always is given. A LENGTH of time is written as 90, 90s, 1h30m or 30d.

    \b
    Examples:
      runsvc create chat-1
      runsvc create chat-1 --strategy interrupt --kwargs '{"input": "hello"}'
      runsvc create chat-1 --worker w1 --lease-ttl 30s --start-timeout 5m --run-timeout 1h
      runsvc create chat-1 --request-id 7f3a --json | jq -r .run.run_id
    """
    require_worker(spec["worker"], spec["lease_ttl"])
    answer = _created(session, _spec(**spec), request_id, always)
    headline = _created_headline(answer)
    if isinstance(answer, CreateOrRejectResponse) and answer.superseded:
        displaced = (Text("It displaced:"), RunsTable(answer.superseded, _KNOWN))
        session.tell(answer, headline, render.details(answer.run), *displaced)
    else:
        session.tell(answer, headline, render.details(answer.run))


@click.command(short_help="Show a run.")
@click.argument("run_id")
@calls
def get(session: Session, run_id: str) -> None:
    """Show the run RUN_ID with everything that is known of it."""
    run = session.client.get(run_id)
    session.tell(GetResponse(run=run), render.details(run))


@click.command("list", short_help="List a thread's runs, newest first.")
@click.argument("thread_id")
@option(
    "--status",
    "statuses",
    type=STATUS,
    multiple=True,
    envvar="RUNSVC_LIST_STATUS",
    help="Only these; may be repeated.",
)
@option(
    "--page-size",
    type=Count(min=0, max=_MAX_PAGE),
    default=0,
    metavar="N",
    help="Runs per page; 0 is 100, and 500 are the most.",
)
@option("--page-token", default="", metavar="TOKEN", help="The page to show, from the one before.")
@option("--all-pages", is_flag=True, help="Go on to the last page; with --json a line per page.")
@calls
def list_runs(session: Session, all_pages: bool, **page: Any) -> None:
    """List the runs of THREAD_ID, newest first.

    \b
    Examples:
      runsvc list chat-1 --status pending --status running
      runsvc list chat-1 --all-pages --json | jq -r '.runs[].run_id'
    """
    for answer in session.client.list_by_thread(**page):
        table = RunsTable(answer.runs, _KNOWN) if answer.runs else Text("No runs.")
        more = [] if all_pages or not answer.next_page_token else [_more(session, answer)]
        session.tell(answer, table, *more)
        if not all_pages:
            break


@click.command(short_help="Cancel a run, or a thread's newest active run.")
@click.argument("run_id", required=False)
@option("--thread", metavar="ID", help="Instead of RUN_ID: the thread's newest active run.")
@option(
    "--action",
    type=EnumChoice(CancelAction),
    show_default="interrupt",
    help="What becomes of the run's state.",
)
@option("--note", metavar="TEXT", help="Why, for people.")
@calls
def cancel(session: Session, run_id: str | None, thread: str | None, **how: Any) -> None:
    """Cancel the run RUN_ID, or the newest active run of a thread.

    A run that has ended is left alone; that is no error.

    \b
    Examples:
      runsvc cancel RUN_ID --note "user pressed stop"
      runsvc cancel --thread chat-1 --action rollback
    """
    if (run_id is None) == (thread is None):
        raise click.UsageError("Name what to cancel: RUN_ID or --thread.")
    wanted = _newest_active(session, str(thread)) if run_id is None else run_id
    answer = session.client.cancel(wanted, **how)
    outcome = _OUTCOMES.get(answer.outcome, render.word(CancelOutcome, answer.outcome))
    headline = Text(f"Run {render.clean(answer.run.run_id)} {outcome}.")
    session.tell(answer, headline, render.details(answer.run))


COMMANDS: Final = (
    create,
    get,
    list_runs,
    cancel,
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
) -> RunSpec:
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
    )


def _created(
    session: Session, spec: RunSpec, request_id: str, always: bool
) -> CreateResponse | CreateOrRejectResponse:
    if always:
        return session.client.create(spec, request_id=request_id)
    return session.client.create_or_reject(spec, request_id=request_id)


def _created_headline(answer: CreateResponse | CreateOrRejectResponse) -> Text:
    how = "had been created before by this request id" if answer.replayed else "was created"
    return Text(f"Run {render.clean(answer.run.run_id)} {how}.")


def _more(session: Session, answer: ListByThreadResponse) -> Text:
    command = again("--page-token", answer.next_page_token, target=session.target)
    return Text(f"More with: {render.clean(command)}", overflow="fold")


def _newest_active(session: Session, thread_id: str) -> str:
    run_ids = session.client.has_inflight(thread_id)
    if not run_ids:
        message = f"Thread {thread_id} has no active run."
        error = RunError(grpc.StatusCode.NOT_FOUND, message=message)
        raise CallFailed(error, as_json=session.as_json)
    return run_ids[0]
