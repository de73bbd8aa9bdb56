"""`runsvc serve`: the server, in the foreground."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runsvc import __version__
from runsvc.admin import ORPHAN_ERROR
from runsvc.cli.arguments import Count, Length, Seconds, option
from runsvc.cli.next_command import called_as, target_option
from runsvc.cli.render import clean
from runsvc.client import DEFAULT_TARGET
from runsvc.core.errors import RunsvcError

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS: Final = ("debug", "info", "warning", "error")

#: Where to call a server that listens on every address.
_REACHED_AT: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "localhost": "127.0.0.1"}

#: What to do with a new server, one after the other from one terminal.
_NEXT: Final = ("create chat-1 --assistant demo", "list chat-1", "cancel --thread chat-1")


@click.command(short_help="Run a server.")
@option("--listen", default=DEFAULT_TARGET, metavar="HOST:PORT", help="Port 0 picks a free one.")
@option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("runsvc.db"),
    metavar="FILE",
    help="The store; made when it is not there.",
)
@option(
    "--orphans",
    type=click.Choice(["keep", "fail"], case_sensitive=False),
    default="keep",
    help="What becomes, at start, of active runs that nobody holds by a lease: keep, or make ERROR.",
)
@option(
    "--orphan-error",
    default=ORPHAN_ERROR,
    metavar="TEXT",
    help="With --orphans fail: their error.",
)
@option(
    "--log-keep",
    type=Count(min=1),
    default=100_000,
    metavar="N",
    help="Changes that are kept for watchers to resume from.",
)
@option(
    "--log-keep-age",
    type=Length(),
    show_default="any age",
    metavar="LENGTH",
    help="And no change that is older than this, such as 7d.",
)
@option(
    "--retain-runs",
    type=Length(),
    show_default="for ever",
    metavar="LENGTH",
    help="How long runs are kept after their end, such as 30d or 12h.",
)
@option(
    "--max-active-per-thread",
    type=Count(min=1),
    default=1_000,
    metavar="N",
    help="Active runs that one thread may have.",
)
@option(
    "--attach-grace",
    type=Seconds(min=0, max=86_400),
    default=5.0,
    metavar="SECONDS",
    help="Time for the last attached client of a run to come back before the run is cancelled.",
)
@option(
    "--insecure-listen",
    is_flag=True,
    help="Allow a --listen that other machines reach, though nothing is encrypted.",
)
@option(
    "--grace",
    type=Seconds(min=0),
    default=10.0,
    metavar="SECONDS",
    help="Time for calls in flight to end at shutdown.",
)
@option(
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default="info",
    help="What runsvc logs to stderr; debug is a line per call.",
)
def serve(log_level: str, **settings: Any) -> None:
    """Run a server until SIGTERM or Ctrl-C, which let calls in flight end; a second one stops at once.

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
    """Say that the server answers, and what to do with it."""
    click.echo(f"runsvc {__version__} serves on {address} ({db})")
    program, target = called_as(), target_option(_reached_at(address))
    click.echo("Try next, from another terminal:", err=True)
    for command in _NEXT:
        click.echo(f"  {program} {command}{target}", err=True)
    click.echo("To see it live, in a third terminal, first:", err=True)
    click.echo(f"  {program} watch --thread chat-1{target}", err=True)


def _reached_at(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"{_REACHED_AT.get(host, host)}:{port}"


def _log_to_stderr(level: str) -> None:
    """The level counts for our own lines: libraries tell their troubles only."""
    logging.basicConfig(
        level=max(logging.WARNING, logging.getLevelNamesMapping()[level]),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("runsvc").setLevel(level)


def _server() -> Callable[[dict[str, Any], Callable[[str], None]], None]:
    """Only here is the server's code needed: a client is installed without it."""
    try:
        from runsvc.rpc.server import Settings
        from runsvc.rpc.server import serve as run
    except ImportError as missing:
        raise click.ClickException(
            f"The server is not installed ({missing}). Install it from the folder that this came from: "
            "pip install '/path/to/runsvc[server]'"
        ) from missing
    return lambda settings, ready: run(Settings(**settings), ready)
