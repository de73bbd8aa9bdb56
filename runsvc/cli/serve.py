"""`runsvc serve`: the server, in the foreground."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runsvc import __version__
from runsvc.cli.arguments import Count, Length, Seconds, option
from runsvc.cli.next_command import called_as, target_option
from runsvc.cli.render import clean
from runsvc.core.errors import RunsvcError
from runsvc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS: Final = ("debug", "info", "warning", "error")

#: Addresses at which clients on this machine reach a server.
_REACHED_AT: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "localhost": "127.0.0.1"}

#: Commands to try with a new server, in order, from one terminal.
_NEXT: Final = ("create chat-1 --assistant demo", "list chat-1", "cancel --thread chat-1")


@click.command(short_help="Run a server.")
@option(
    "--listen",
    default=Settings.listen,
    metavar="HOST:PORT",
    help="Address to listen on. Port 0 picks a free one.",
)
@option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Settings.db,
    metavar="FILE",
    help="The store's file. Created if it does not exist.",
)
@option(
    "--orphans",
    type=click.Choice(["keep", "fail"], case_sensitive=False),
    default=Settings.orphans,
    help="At start, keep active runs without a lease, or end them as ERROR (fail).",
)
@option(
    "--orphan-error",
    default=Settings.orphan_error,
    metavar="TEXT",
    help="With --orphans fail: the error of these runs.",
)
@option(
    "--log-keep",
    type=Count(min=1),
    default=Settings.log_keep,
    metavar="N",
    help="Number of changes that watchers can resume from.",
)
@option(
    "--log-keep-age",
    type=Length(),
    show_default="any age",
    metavar="LENGTH",
    help="Drop changes older than this, such as 7d.",
)
@option(
    "--retain-runs",
    type=Length(),
    show_default="for ever",
    metavar="LENGTH",
    help="Remove runs this long after their end, such as 30d or 12h.",
)
@option(
    "--max-active-per-thread",
    type=Count(min=1),
    default=Settings.max_active_per_thread,
    metavar="N",
    help="Most active runs of one thread.",
)
@option(
    "--attach-grace",
    type=Seconds(min=0, max=86_400),
    default=Settings.attach_grace,
    metavar="SECONDS",
    help="Time that the last attached client of a run has to return before the run is cancelled.",
)
@option(
    "--insecure-listen",
    is_flag=True,
    help="Allow an address that other machines can reach, although nothing is encrypted.",
)
@option(
    "--grace",
    type=Seconds(min=0),
    default=Settings.grace,
    metavar="SECONDS",
    help="Time that calls in flight have to end at shutdown.",
)
@option(
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default="info",
    help="Level of runsvc's own log on stderr. At debug, each call writes a line.",
)
def serve(log_level: str, **settings: Any) -> None:
    """Run a server until SIGTERM or Ctrl-C. Calls in flight are answered; a second signal stops at once.

    \b
    Examples:
      runsvc serve
      runsvc serve --db /var/lib/runsvc/runs.db --orphans fail
      runsvc serve --listen 0.0.0.0:50051 --insecure-listen
    """
    _log_to_stderr(log_level.upper())
    db = settings["db"]
    try:
        _server()(settings, lambda address: announce(address, db))
    except (RunsvcError, OSError, ValueError) as error:
        raise click.ClickException(clean(str(error))) from error


def announce(address: str, db: Path) -> None:
    """Print the address of the server, and the commands to try next."""
    click.echo(f"runsvc {__version__} serves on {address} ({db})")
    program, target = called_as(), target_option(_reached_at(address))
    click.echo("Try next, from another terminal:", err=True)
    for command in _NEXT:
        click.echo(f"  {program} {command}{target}", err=True)
    click.echo("To follow the thread live, run this first, in a third terminal:", err=True)
    click.echo(f"  {program} watch --thread chat-1{target}", err=True)


def _reached_at(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"{_REACHED_AT.get(host, host)}:{port}"


def _log_to_stderr(level: str) -> None:
    """Log to stderr. The level applies to runsvc; libraries log warnings only."""
    logging.basicConfig(
        level=max(logging.WARNING, logging.getLevelNamesMapping()[level]),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("runsvc").setLevel(level)


def _server() -> Callable[[dict[str, Any], Callable[[str], None]], None]:
    """The server's entry point, imported here only: a client is installed without the server's dependencies."""
    try:
        from runsvc.service import serve as run
    except ImportError as missing:
        raise click.ClickException(
            f"The server is not installed ({missing}). Install it from the source folder: "
            "pip install '/path/to/runsvc[server]'"
        ) from missing
    return lambda settings, ready: run(Settings(**settings), ready)
