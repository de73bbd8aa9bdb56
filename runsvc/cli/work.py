"""`runsvc work`: a worker that executes each run with a command."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
from contextlib import contextmanager, suppress
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import click

from runsvc.cli.arguments import Count, option
from runsvc.cli.lengths import Seconds
from runsvc.cli.render import clean
from runsvc.cli.session import Session, stream_command
from runsvc.cli.work_command import WorkCommand
from runsvc.cli.work_output import WorkOutput
from runsvc.client import LEASE_TTL, AsyncWorker
from runsvc.client.sync.worker import async_client_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Key in a context's meta: the words behind "--".
_COMMAND: Final = "runsvc.command"
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_MOST: Final = 1_000
#: A terminal that closes sends it. The commands, in groups of their own, do not receive it.
_HANGUP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, *filter(None, (_HANGUP,)))
#: Seconds in which a repeated signal belongs to the same request, as of timeout(1) and of terminals.
_REPEAT: Final = 1.0

_log: Final = logging.getLogger("runsvc.client")


class CommandBehindDashes(click.Command):
    """A command whose arguments behind "--" are another command."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND..."]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_COMMAND] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


@click.command(
    "work", cls=CommandBehindDashes, short_help="Execute runs with a command, until Ctrl-C."
)
@click.argument("assistants", metavar="[ASSISTANT]...", nargs=-1)
@option("--any-assistant", is_flag=True, help="Execute the runs of every assistant.")
@option(
    "--concurrency",
    type=Count(min=1, max=_MOST),
    default=1,
    metavar="N",
    help="How many runs to execute at a time.",
)
@option(
    "--lease",
    type=Seconds(longest=_HOUR),
    default=f"{LEASE_TTL:g}s",
    metavar="DURATION",
    help="The lease of each run: it ends, or is retried, if this program is silent for so long.",
)
@option(
    "--grace",
    type=Seconds(zero=True, longest=_DAY),
    default="30s",
    metavar="DURATION",
    help="How long runs may go on after SIGTERM or Ctrl-C.",
)
@option(
    "--kill-after",
    type=Seconds(zero=True, longest=_HOUR),
    default="10s",
    metavar="DURATION",
    help="Time between SIGTERM and SIGKILL for a command that must stop.",
)
@option("--worker-id", default="", metavar="ID", help="Id of this worker. Default: a new one.")
@option(
    "--result-file",
    is_flag=True,
    help="The command writes its result to the file RUNSVC_RESULT_FILE.",
)
@option("--fence", is_flag=True, help="Stop a command when the lease of its run may be over.")
@stream_command
def work(session: Session, assistants: Sequence[str], **options: Any) -> None:
    """Claim the runs of each ASSISTANT, and run COMMAND for each of them.

    The command receives the run's kwargs as JSON on its standard input, and RUNSVC_RUN_ID, RUNSVC_THREAD_ID,
    RUNSVC_ASSISTANT_ID, RUNSVC_WORKER_ID, RUNSVC_ATTEMPT and RUNSVC_FENCING_TOKEN in its environment. Exit code 0 is
    SUCCESS, with the last line of its standard output as result: a JSON object, or a text, which becomes {"output":
    text}. Any other exit code is ERROR, with the end of its standard error; after 75 the run is retried if it has
    attempts left. If the run is cancelled, the command receives SIGTERM. Its output is shown on standard error, with
    the run id.

    SIGTERM, SIGHUP or Ctrl-C drains: no further run is claimed, and after --grace the runs that go on are given back.
    A second signal stops the commands at once.

    \b
    Examples:
      runsvc work echo -- jq '{output: .input}'
      runsvc work agent review --concurrency 4 -- python agent.py
      runsvc work --any-assistant --result-file -- ./agent.sh
    """
    command = click.get_current_context().meta[_COMMAND]
    _check(command, assistants, any_assistant=options["any_assistant"])
    shown = WorkOutput()
    try:
        with _log_shown(shown):
            asyncio.run(_work(session, command, assistants, shown, **options))
    finally:
        shown.close()


def _check(command: Sequence[str], assistants: Sequence[str], *, any_assistant: bool) -> None:
    if any_assistant == bool(assistants):
        both = "not both" if assistants else "or --any-assistant"
        raise click.UsageError(f"Name one or more assistants, {both}.")
    if not command:
        raise click.UsageError("Write the command behind --, as in: runsvc work echo -- cat")
    if shutil.which(command[0]) is None:
        raise click.UsageError(f"The command {clean(command[0])!r} is not found or not executable.")


async def _work(
    session: Session,
    command: Sequence[str],
    assistants: Sequence[str],
    shown: WorkOutput,
    *,
    lease: float,
    kill_after: float,
    result_file: bool,
    **options: Any,
) -> None:
    perform = WorkCommand(command, kill_after, session.target, shown, result_file=result_file)
    async with async_client_of(session.client) as client:
        try:
            worker = AsyncWorker(client, perform, assistants=assistants, lease_ttl=lease, **options)
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
        subjects = ", ".join(assistants) or "every assistant"
        with suppress(OSError):
            # The reader of stderr may have gone.
            click.echo(f"Worker {worker.worker_id} claims runs of {subjects}.", err=True)
        with _Signals(worker, perform.hurry.set, shown).installed():
            await worker.run()
    shown.line("Stopped.")


class _Signals:
    """Turns the first signal into a drain, and a second one into a stop at once."""

    def __init__(self, worker: AsyncWorker, hurry: Callable[[], object], shown: WorkOutput) -> None:
        self._worker = worker
        self._shown = shown
        self._hurry = hurry
        self._loop = asyncio.get_running_loop()
        self._first: tuple[int, float] | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals during the block. An ignored SIGHUP stays ignored, as nohup asks."""
        handled = list(_STOPS)
        if _HANGUP is not None and signal.getsignal(_HANGUP) is signal.SIG_IGN:
            handled.remove(_HANGUP)
        before = {each: signal.signal(each, self._handle) for each in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: object) -> None:
        # A signal must not interrupt the loop in the middle of a callback.
        self._loop.call_soon_threadsafe(self._stop, number)

    def _stop(self, number: int) -> None:
        if self._first is None:
            self._first = number, monotonic()
            running = self._worker.health.running
            self._worker.stop()
            self._shown.line(f"{signal.Signals(number).name}: draining, {running} running.")
        elif number == _HANGUP:
            # A terminal that closes asks for a drain, and never ends one.
            return
        elif number != self._first[0] or monotonic() - self._first[1] >= _REPEAT:
            self._hurry()
            self._worker.stop(0)
            self._shown.line("Stopping at once.")


@contextmanager
def _log_shown(shown: WorkOutput) -> Iterator[None]:
    """Show the worker's log during the block, and nowhere else."""
    lines, level, propagates = _LogLines(shown), _log.level, _log.propagate
    _log.addHandler(lines)
    _log.setLevel(logging.INFO)
    _log.propagate = False
    try:
        yield
    finally:
        _log.removeHandler(lines)
        _log.setLevel(level)
        _log.propagate = propagates


class _LogLines(logging.Handler):
    """Shows the worker's log, without tracebacks."""

    def __init__(self, shown: WorkOutput) -> None:
        super().__init__()
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        self._shown.line(clean(record.getMessage()))
