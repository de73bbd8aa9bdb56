"""`runsvc watch`: a live table in a terminal, otherwise one line per event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click
import grpc
from rich.live import Live

from runsvc.cli import render
from runsvc.cli.arguments import Count, option
from runsvc.cli.errors import CallFailed
from runsvc.cli.lengths import Seconds
from runsvc.cli.live_table import LiveTable, exit_on_sigterm
from runsvc.cli.next_command import repeated_command
from runsvc.cli.session import Session, stream_command
from runsvc.client import OUTAGE, RunError
from runsvc.v1.run_pb2 import RunStatus, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runsvc.v1.run_pb2 import Run
    from runsvc.v1.run_service_pb2 import StreamStatusResponse

#: Exit code if the watched run did not end as SUCCESS.
_NOT_SUCCESSFUL: Final = 6

_MAX_UINT64: Final = 2**64 - 1


@click.command(short_help="Watch a run, a thread or everything.")
@click.argument("run_id", required=False)
@option("--thread", metavar="ID", help="Watch the runs of a thread, including new ones.")
@option(
    "--all",
    "everything",
    is_flag=True,
    envvar="RUNSVC_WATCH_ALL",
    help="Watch all runs, including new ones.",
)
@option("--assistant", metavar="ID", help="With --all: only runs of this assistant.")
@option(
    "--after",
    type=Count(0, _MAX_UINT64),
    metavar="REVISION",
    help="Start with the first change after REVISION instead of a snapshot.",
)
@option("--progress", is_flag=True, help="Show reported usage too.")
@option(
    "--heartbeat",
    type=Seconds(longest=timedelta(minutes=5)),
    metavar="DURATION",
    help="Longest silence of the server: 1s to 5m, default 15s.",
)
@option(
    "--attach",
    is_flag=True,
    help="With RUN_ID: count as a client of the run. Its --on-disconnect applies after the last one.",
)
@option(
    "--until-acknowledged",
    is_flag=True,
    help="With RUN_ID: wait until the executor has acknowledged a cancel.",
)
@option(
    "--outage",
    type=Seconds(zero=True, longest=timedelta(days=1)),
    default=f"{OUTAGE:g}s",
    metavar="DURATION",
    help="How long to wait for a lost server.",
)
@stream_command
def watch(session: Session, **options: Any) -> None:
    """Watch RUN_ID, a thread, or all runs.

    A watch of one run ends with the run, with exit code 0 if it ended as SUCCESS, otherwise 6. A watch of a thread or
    of all runs ends with Ctrl-C. In a terminal the runs are shown as a table; otherwise, and with --json, each event is
    a line. After a lost connection the watch resumes without gaps.

    \b
    Examples:
      runsvc watch RUN_ID && echo done
      runsvc watch --thread chat-1
      runsvc watch --all --after 0 --json | jq -r .run.status
    """
    target = _target(**options)
    last = _show(session, target, _Events(session, target))
    if target["run_id"] is not None:
        # With --after there may be no event with the run.
        _exit_by_status(session, last or session.client.get(target["run_id"]))


def line_of(event: StreamStatusResponse) -> str:
    """Return an event as one line. Empty for events without a run."""
    if not event.HasField("run"):
        return ""
    run = event.run
    parts = [
        render.time_of(run.updated_at) if run.HasField("updated_at") else "",
        run.run_id,
        f"thread={run.thread_id}",
        render.word(StatusEvent, event.event),
        _transition(event),
        f"revision={event.revision}" if event.revision else "",
        f"error={run.error}" if run.error else "",
        f"stop_reason={run.stop_reason}" if run.stop_reason else "",
    ]
    # A change without a new status is an acknowledgement, or usage that arrived after the end.
    if event.event == StatusEvent.STATUS_EVENT_PROGRESS or event.previous_status == run.status:
        parts += [f"{name}={value}" for name, value in render.facts(run.progress)]
    return render.clean(" ".join(filter(None, parts)))


def _transition(event: StreamStatusResponse) -> str:
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
    """Return the arguments of the client's watch."""
    count = (run_id is not None) + (thread is not None) + everything
    if count != 1:
        number = "only one" if count else "one"
        raise click.UsageError(f"Name {number} of RUN_ID, --thread and --all.")
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
class _Events:
    """The events of a watch. If the watch gives up, the error suggests how to resume it."""

    session: Session
    target: dict[str, Any]
    #: Called once per outage, when the watch reconnects for the first time.
    on_lost: Callable[[], None] = lambda: None
    #: Whether an event has arrived.
    is_started: bool = False
    #: Whether the connection is lost and no event has arrived since.
    is_lost: bool = False
    revision: int | None = None

    def __iter__(self) -> Iterator[StreamStatusResponse]:
        try:
            with self.session.client.watch(
                **self.target, on_reconnect=self._on_reconnect
            ) as events:
                for event in events:
                    self.is_started, self.is_lost = True, False
                    self.revision = event.revision or self.revision
                    yield event
        except RunError as error:
            if not self.is_started:
                raise
            raise _watch_failed(self.session, error, self.revision) from None

    def _on_reconnect(self, error: RunError) -> None:
        if not self.is_started:
            # The address is probably wrong.
            raise error
        if not self.is_lost:
            self.on_lost()
        self.is_lost = True


def _watch_failed(session: Session, error: RunError, revision: int | None) -> CallFailed:
    target, hints = session.target, []
    if revision is not None and not error.reason.startswith("REVISION_"):
        hints.append(f"Resume with: {repeated_command('--after', str(revision), target=target)}")
    if not error.reason and error.code is grpc.StatusCode.UNAVAILABLE:
        error = RunError(error.code, message=f"The connection to {target} was lost.")
        # Without a target the error gets no hints for a server that never answered.
        target = ""
    return CallFailed(error, target=target, as_json=session.as_json, hints=hints)


def _show(session: Session, target: dict[str, Any], events: _Events) -> Run | None:
    """Show events as they arrive. Return the run of the last one."""
    output = render.console()
    if session.as_json:
        return _show_each(events, lambda event: click.echo(render.as_json(event)))
    if not render.is_live(output):
        events.on_lost = lambda: click.echo("The connection was lost. Reconnecting.", err=True)
        return _show_each(events, _print_line)
    table = LiveTable(_subject(target), ("THREAD",) if target["thread_id"] else ())
    events.on_lost = table.mark_disconnected
    try:
        with exit_on_sigterm(), Live(table, console=output, screen=True):
            return _show_each(events, table.add)
    finally:
        # The live table was on an alternate screen, which is gone now.
        if view := table.final_view(output.height):
            output.print(view)


def _subject(target: dict[str, Any]) -> str:
    """Return the watched runs in words."""
    if target["run_id"]:
        return f"run {target['run_id']}"
    if target["thread_id"]:
        return f"runs of thread {target['thread_id']}"
    return f"runs of assistant {target['assistant_id']}" if target["assistant_id"] else "runs"


def _exit_by_status(session: Session, run: Run) -> None:
    """Exit with an error unless the run ended as SUCCESS. Print the status for people."""
    if run.status == RunStatus.RUN_STATUS_SUCCESS:
        return
    if not session.as_json:
        ending = f"is {render.status_of(run)}" if run.status else "was removed"
        error = f": {run.error}" if run.error else ""
        click.echo(render.clean(f"Run {run.run_id} {ending}{error}"), err=True)
    click.get_current_context().exit(_NOT_SUCCESSFUL)


def _show_each(
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
