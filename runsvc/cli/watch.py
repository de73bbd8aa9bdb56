"""`runsvc watch`: a table that is redrawn in a terminal, lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
import grpc
from rich.live import Live

from runsvc.cli import render
from runsvc.cli.arguments import Count, Seconds, option
from runsvc.cli.board import Board, ended_by_sigterm
from runsvc.cli.errors import CallFailed
from runsvc.cli.next_command import again
from runsvc.cli.session import Session, streams
from runsvc.client import OUTAGE, RunError
from runsvc.v1.run_pb2 import RunStatus, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runsvc.v1.run_pb2 import Run
    from runsvc.v1.run_service_pb2 import StreamStatusResponse

#: The watched run ended otherwise than SUCCESS.
_ENDED_BADLY: Final = 6

_MAX_UINT64: Final = 2**64 - 1


@click.command(short_help="Watch a run, a thread or everything.")
@click.argument("run_id", required=False)
@option("--thread", metavar="ID", help="Watch the runs of a thread, also those to come.")
@option(
    "--all",
    "everything",
    is_flag=True,
    envvar="RUNSVC_WATCH_ALL",
    help="Watch all runs, also those to come.",
)
@option("--assistant", metavar="ID", help="With --all: only runs of this assistant.")
@option(
    "--after",
    type=Count(0, _MAX_UINT64),
    metavar="REVISION",
    help="Start with the first change after it, without a snapshot.",
)
@option("--progress", is_flag=True, help="Also show usage as it is reported.")
@option(
    "--heartbeat",
    type=Seconds(min=0, max=300, min_open=True),
    metavar="SECONDS",
    help="Longest silence of the server; 1 to 300, 15 unless told.",
)
@option(
    "--attach",
    is_flag=True,
    help="With RUN_ID: be a client of the run; its --on-disconnect says what if the last one leaves.",
)
@option("--until-acknowledged", is_flag=True, help="With RUN_ID: wait until a cancel took effect.")
@option(
    "--outage",
    type=Seconds(min=0, max=86_400),
    default=OUTAGE,
    metavar="SECONDS",
    help="How long to wait for a server that has gone.",
)
@streams
def watch(session: Session, **what: Any) -> None:
    """Watch RUN_ID, a thread, or all runs.

    Watching a run ends with the run: exit code 0 when it ended as SUCCESS, otherwise 6. Watching a thread or all runs
    ends with Ctrl-C. In a terminal the runs are a table; elsewhere, and with --json, every event is a line. A lost
    connection is made up for: the watch goes on where it was cut off.

    \b
    Examples:
      runsvc watch RUN_ID && echo done
      runsvc watch --thread chat-1
      runsvc watch --all --after 0 --json | jq -r .run.status
    """
    target = _target(**what)
    last = _show(session, target, _Followed(session, target))
    if target["run_id"] is not None:
        # With --after there may have been nothing left to tell.
        _judge(session, last or session.client.get(target["run_id"]))


def line_of(event: StreamStatusResponse) -> str:
    """One event on one line. Empty: nothing that people need to see."""
    if not event.HasField("run"):
        return ""
    run = event.run
    parts = [
        render.time_of(run.updated_at) if run.HasField("updated_at") else "",
        run.run_id,
        f"thread={run.thread_id}",
        render.word(StatusEvent, event.event),
        _step(event),
        f"revision={event.revision}" if event.revision else "",
        f"error={run.error}" if run.error else "",
    ]
    if event.event == StatusEvent.STATUS_EVENT_PROGRESS:
        parts += [f"{name}={value}" for name, value in render.facts(run.progress)]
    return render.clean(" ".join(filter(None, parts)))


def _step(event: StreamStatusResponse) -> str:
    before, now = render.word(RunStatus, event.previous_status), render.status_of(event.run)
    return f"{before} -> {now}" if before else now


def _target(
    *,
    run_id: str | None,
    thread: str | None,
    everything: bool,
    assistant: str | None,
    after: int | None,
    progress: bool,
    heartbeat: float | None,
    attach: bool,
    until_acknowledged: bool,
    outage: float,
) -> dict[str, Any]:
    """What to watch and how, as the client takes it."""
    named = (run_id is not None) + (thread is not None) + everything
    if named != 1:
        which = "only one of" if named else "what to watch:"
        raise click.UsageError(f"Name {which} RUN_ID, --thread or --all.")
    if assistant is not None and not everything:
        raise click.UsageError("--assistant needs --all.")
    return {
        "run_id": run_id,
        "thread_id": thread,
        "all_runs": everything,
        "assistant_id": assistant,
        "after_revision": after,
        "include_progress": progress,
        "heartbeat_interval": heartbeat,
        "attach": attach,
        "until_acknowledged": until_acknowledged,
        "outage": outage,
    }


@dataclass
class _Followed:
    """The events of a watch; one that gives up says where to go on from."""

    session: Session
    target: dict[str, Any]
    #: Called when the connection is lost, but will be tried again.
    lost: Callable[[], None] = lambda: None
    begun: bool = False
    position: int | None = None

    def __iter__(self) -> Iterator[StreamStatusResponse]:
        try:
            with self.session.client.watch(
                **self.target, on_reconnect=self._on_reconnect
            ) as events:
                for event in events:
                    self.begun = True
                    self.position = event.revision or self.position
                    yield event
        except RunError as error:
            if not self.begun:
                raise
            raise _cut_off(self.session, error, self.position) from None

    def _on_reconnect(self, error: RunError) -> None:
        if not self.begun:
            # Most likely the address is wrong.
            raise error
        self.lost()


def _cut_off(session: Session, error: RunError, position: int | None) -> CallFailed:
    target, hints = session.target, []
    if position is not None and not error.reason.startswith("REVISION_"):
        hints.append(f"Go on from here: {again('--after', str(position), target=target)}")
    if not error.reason and error.code is grpc.StatusCode.UNAVAILABLE:
        error = RunError(error.code, message=f"The connection to {target} was lost.")
        # Not named: somebody did answer there.
        target = ""
    return CallFailed(error, target=target, as_json=session.as_json, hints=hints)


def _show(session: Session, target: dict[str, Any], events: _Followed) -> Run | None:
    """Show events as they come; returns the last run told of."""
    output = render.console()
    if session.as_json:
        return _each(events, lambda event: click.echo(render.as_json(event)))
    if not render.is_live(output):
        events.lost = lambda: click.echo("The connection was lost: trying again.", err=True)
        return _each(events, _print_line)
    board = Board(_subject(target), ("THREAD",) if target["thread_id"] else ())
    events.lost = board.lost
    try:
        with ended_by_sigterm(), Live(board, console=output, screen=True):
            return _each(events, board.add)
    finally:
        # The screen that was drawn on goes with the watch.
        if left := board.left(output.height):
            output.print(left)


def _subject(target: dict[str, Any]) -> str:
    """What is watched, in words."""
    if target["run_id"]:
        return f"run {target['run_id']}"
    if target["thread_id"]:
        return f"runs on {target['thread_id']}"
    return f"runs of {target['assistant_id']}" if target["assistant_id"] else "runs"


def _judge(session: Session, run: Run) -> None:
    """Exit unless the run ended as SUCCESS; people are told how it did."""
    if run.status == RunStatus.RUN_STATUS_SUCCESS:
        return
    if not session.as_json:
        ending = f"is {render.status_of(run)}" if run.status else "was removed"
        error = f": {run.error}" if run.error else ""
        click.echo(render.clean(f"Run {run.run_id} {ending}{error}"), err=True)
    click.get_current_context().exit(_ENDED_BADLY)


def _each(
    events: Iterable[StreamStatusResponse], show: Callable[[StreamStatusResponse], None]
) -> Run | None:
    last = None
    for event in events:
        show(event)
        last = event.run if event.HasField("run") else last
    return last


def _print_line(event: StreamStatusResponse) -> None:
    line = line_of(event)
    if line:
        click.echo(line)
