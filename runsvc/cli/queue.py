"""Commands of dispatch: claim and release runs, and show the queue of a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from rich.text import Text

from runsvc.cli import render
from runsvc.cli.arguments import Count, option
from runsvc.cli.lengths import Duration
from runsvc.cli.session import Session, unary_command
from runsvc.cli.table import RunsTable
from runsvc.v1.run_pb2 import Queue, QueueGate, RunStatus
from runsvc.v1.run_service_pb2 import (
    ClaimResponse,
    ListByThreadResponse,
    ReleaseResponse,
)

if TYPE_CHECKING:
    from datetime import timedelta

#: Statuses of runs that have not ended.
_LIVE: Final = (
    RunStatus.RUN_STATUS_PENDING,
    RunStatus.RUN_STATUS_RUNNING,
    RunStatus.RUN_STATUS_QUEUED,
)
_GATES: Final = {
    QueueGate.QUEUE_GATE_TIME: "its time",
    QueueGate.QUEUE_GATE_THREAD: "the runs before it",
    QueueGate.QUEUE_GATE_HANDOVER: "the stop of an earlier executor",
    QueueGate.QUEUE_GATE_CONCURRENCY: "its concurrency key",
}


@click.command(short_help="Ask for runs to execute.")
@click.argument("assistant_ids", nargs=-1)
@option("--any", "any_assistant", is_flag=True, help="Take runs of every assistant.")
@option("--worker", required=True, metavar="ID", help="Id of the worker, which becomes the holder.")
@option(
    "--max-runs",
    type=Count(min=1, max=32),
    default=1,
    metavar="N",
    help="Maximum number of runs.",
)
@option(
    "--lease-ttl",
    type=Duration(),
    default="30s",
    metavar="DURATION",
    help="A run becomes ERROR if no report or heartbeat arrives for this long.",
)
@option(
    "--wait",
    type=Duration(zero=True),
    default="20s",
    metavar="DURATION",
    help="Maximum time to wait for a run, up to 60s; 0 does not wait.",
)
@option(
    "--request-id",
    default="",
    metavar="ID",
    help="Make the command safe to repeat: it returns the same runs.",
)
@unary_command
def claim(
    session: Session,
    assistant_ids: tuple[str, ...],
    worker: str,
    lease_ttl: timedelta,
    wait: timedelta,
    **options: Any,
) -> None:
    """Take PENDING runs of the assistants ASSISTANT_IDS: they become RUNNING, and --worker holds them.

    \b
    Examples:
      runsvc claim writer --worker w1
      runsvc claim --any --worker w1 --max-runs 4 --wait 1m --json
    """
    if bool(assistant_ids) == options["any_assistant"]:
        raise click.UsageError("Name assistants, or give --any.")
    runs = session.client.claim(
        worker,
        assistants=assistant_ids,
        lease_ttl=lease_ttl.total_seconds(),
        wait=wait.total_seconds(),
        **options,
    )
    answer = ClaimResponse(runs=runs)
    shown = RunsTable(answer.runs) if answer.runs else Text("No run came.")
    session.print_answer(answer, shown)


@click.command(short_help="Give a claimed run back.")
@click.argument("run_id")
@option("--worker", required=True, metavar="ID", help="Id of the run's holder.")
@option("--attempt", type=Count(min=1), metavar="N", help="The attempt of the run to give back.")
@unary_command
def release(session: Session, run_id: str, worker: str, attempt: int | None) -> None:
    """Give the run RUN_ID back: it becomes PENDING again, and the attempt does not count.

    \b
    Example:
      runsvc release RUN_ID --worker w1
    """
    run = session.client.release(run_id, worker, attempt=attempt)
    answer = ReleaseResponse(run=run)
    headline = Text(f"Run {render.clean(answer.run.run_id)} was released.")
    session.print_answer(answer, headline, render.details(answer.run))


@click.command(short_help="Show what the queued runs of a thread wait for.")
@click.argument("thread_id")
@unary_command
def queue(session: Session, thread_id: str) -> None:
    """Show the active and queued runs of THREAD_ID, oldest first, and what each queued run waits for.

    \b
    Example:
      runsvc queue chat-1
    """
    pages = session.client.list_by_thread(thread_id, statuses=_LIVE)
    runs = [run for page in pages for run in page.runs][::-1]
    if not runs:
        session.print_answer(ListByThreadResponse(), Text("No active and no queued runs."))
        return
    waits = [
        Text(f"{render.clean(run.run_id)} waits for {_reason(run.queue)}.")
        for run in runs
        if run.HasField("queue")
    ]
    session.print_answer(ListByThreadResponse(runs=runs), RunsTable(runs), *waits)


def _reason(waits: Queue) -> str:
    gate = _GATES.get(waits.gate, render.word(QueueGate, waits.gate))
    place = f", position {waits.position}" if waits.position else ""
    blocker = waits.blocked_by_run_id
    return f"{gate}{place}" + (f", behind {render.clean(blocker)}" if blocker else "")


COMMANDS: Final = (queue, claim, release)
