"""`runsvc serve`: run a server in the foreground."""

from __future__ import annotations

import logging
import os
import sys
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import click

from runsvc import __version__
from runsvc.cli.arguments import Count, option
from runsvc.cli.lengths import Duration, Seconds
from runsvc.cli.log_output import LogOutput
from runsvc.cli.next_command import program_name, target_argument
from runsvc.cli.render import clean
from runsvc.cli.security_options import security_options
from runsvc.cli.store_place import StorePlace
from runsvc.core.errors import RunsvcError
from runsvc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from runsvc.database_url import DatabaseUrl

_log: Final = logging.getLogger("runsvc.cli")

_PREFIX: Final = "RUNSVC_SERVE_"

_LEVELS: Final = ("debug", "info", "warning", "error")

#: Address for local clients of a server that listens on every address.
_CLIENT_HOSTS: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "localhost": "127.0.0.1"}

#: Commands to try with a new server, in order.
_NEXT_COMMANDS: Final = ("create chat-1 --assistant demo", "list chat-1", "cancel --thread chat-1")


@click.command(short_help="Run a server.")
@option(
    "--listen",
    default=Settings.listen,
    metavar="ADDRESS,…",
    help="Addresses to listen on, as HOST:PORT or unix:PATH. Port 0 selects a free port.",
)
@option(
    "--db",
    type=StorePlace(),
    default=Settings.db,
    metavar="FILE|URL",
    help="File of the store, created if it does not exist, or the database: postgresql://…",
)
@option(
    "--no-migrate",
    is_flag=True,
    help="Refuse a database with an older schema, rather than migrate it.",
)
@option(
    "--orphans",
    type=click.Choice(["keep", "fail"], case_sensitive=False),
    default=Settings.orphans,
    help="At start, keep the active runs without a live lease, or end them as ERROR.",
)
@option(
    "--orphan-error",
    default=Settings.orphan_error,
    metavar="TEXT",
    help="With --orphans fail: error text of these runs.",
)
@option(
    "--log-keep",
    type=Count(min=1),
    default=Settings.log_keep,
    metavar="N",
    help="Number of changes kept in the change log, from which watches resume.",
)
@option(
    "--log-keep-age",
    type=Duration(needs_unit=True),
    show_default="any age",
    metavar="DURATION",
    help="Maximum age of changes in the change log, such as 7d.",
)
@option(
    "--retain-runs",
    type=Duration(needs_unit=True),
    show_default="for ever",
    metavar="DURATION",
    help="How long terminal runs are kept, such as 30d or 12h.",
)
@option(
    "--max-active-per-thread",
    type=Count(min=1),
    default=Settings.max_active_per_thread,
    metavar="N",
    help="Maximum number of active runs per thread.",
)
@option(
    "--max-active-per-owner",
    type=Count(min=1),
    show_default="no limit",
    metavar="N",
    help="Maximum number of active and queued runs per owner.",
)
@option(
    "--max-calls",
    type=Count(min=1),
    show_default="no limit",
    metavar="N",
    help="Maximum number of calls under way, watches aside.",
)
@option(
    "--max-rate-per-owner",
    type=Count(min=1),
    show_default="no limit",
    metavar="N",
    help="Maximum number of calls per second of one owner.",
)
@option(
    "--max-watches-per-owner",
    type=Count(min=1),
    show_default="no limit",
    metavar="N",
    help="Maximum number of open watches of one owner.",
)
@option(
    "--max-queued-per-thread",
    type=Count(min=1),
    default=Settings.max_queued_per_thread,
    metavar="N",
    help="Maximum number of queued runs per thread.",
)
@option(
    "--stop-grace",
    type=Seconds(zero=True, longest=timedelta(days=1)),
    default=f"{Settings.stop_grace:g}s",
    metavar="DURATION",
    help="How long an executor without a lease counts as at work after a cancel.",
)
@option(
    "--attach-grace",
    type=Seconds(zero=True, longest=timedelta(days=1)),
    default=f"{Settings.attach_grace:g}s",
    metavar="DURATION",
    help="How long the last attached client of a run may be gone before the run is cancelled.",
)
@option(
    "--poll-only",
    is_flag=True,
    help="With several servers: poll for changes of the others, without LISTEN and NOTIFY.",
)
@option(
    "--insecure-listen",
    is_flag=True,
    help="Allow --listen on addresses that other machines reach, without encryption.",
)
@security_options
@option(
    "--grace",
    type=Seconds(zero=True, longest=timedelta(days=1)),
    default=f"{Settings.grace:g}s",
    metavar="DURATION",
    help="Time for calls in progress to finish at shutdown.",
)
@option(
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default="info",
    help="Level of the log on stderr; debug logs every call.",
)
def serve(log_level: str, **settings: Any) -> None:
    """Run a server until SIGTERM, SIGHUP or Ctrl-C. Calls in progress may finish; a second signal stops at once.

    \b
    Examples:
      runsvc serve
      runsvc serve --db /var/lib/runsvc/runs.db --orphans fail
      runsvc serve --db postgresql://runsvc@db.example/runsvc
      runsvc serve --listen 127.0.0.1:50051,unix:/run/runsvc/runsvc.sock
      runsvc serve --listen 0.0.0.0:50051 --tls-cert server.pem --tls-key server.key --auth-tokens tokens.txt
    """
    _log_to_stderr(log_level.upper())
    warn_of_unknown_variables((*settings, "log_level"))
    db = settings["db"]
    try:
        _server()(settings, lambda address: announce(address, db))
    except (RunsvcError, OSError, ValueError) as error:
        raise click.ClickException(clean(str(error))) from error


def announce(address: str, db: Path | DatabaseUrl) -> None:
    """Print the server's addresses, and on a terminal commands to try next."""
    click.echo(f"runsvc {__version__} serves on {address.replace(',', ' and ')} ({db})")
    if not is_terminal():
        # The output goes to the log of a service.
        return
    program, target = program_name(), target_argument(_client_target(address))
    click.echo("Try these commands in another terminal:", err=True)
    for command in _NEXT_COMMANDS:
        click.echo(f"  {program} {command}{target}", err=True)
    click.echo("To watch them live, run this first in a third terminal:", err=True)
    click.echo(f"  {program} watch --thread chat-1{target}", err=True)


def is_terminal() -> bool:
    """Return whether a person reads the hints."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def warn_of_unknown_variables(known: Iterable[str]) -> None:
    """Log variables that look like an option of the server and are none. A misspelt one would have no effect."""
    variables = {_PREFIX + name.upper() for name in known}
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and name not in variables:
            near = get_close_matches(name, variables, 1, 0.85)
            advice = f"Did you mean {near[0]}?" if near else "See runsvc serve --help."
            _log.warning("%s is no variable of runsvc serve, and has no effect. %s", name, advice)


def _client_target(addresses: str) -> str:
    address = addresses.partition(",")[0]
    host, _, port = address.rpartition(":")
    return f"{_CLIENT_HOSTS.get(host, host)}:{port}"


def _log_to_stderr(level: str) -> None:
    """Set the level of runsvc's own log lines. Libraries log warnings and errors only."""
    logging.basicConfig(
        level=max(logging.WARNING, logging.getLevelNamesMapping()[level]),
        handlers=[LogOutput()],
    )
    logging.getLogger("runsvc").setLevel(level)


def _server() -> Callable[[dict[str, Any], Callable[[str], None]], None]:
    """Import the server here only: an installation of the client lacks it."""
    try:
        from runsvc.service import serve as run
    except ImportError as missing:
        raise click.ClickException(
            f"The server is not installed ({missing}). Install it with: "
            "pip install '/path/to/runsvc[server]'"
        ) from missing
    return lambda settings, ready: run(Settings(**settings), ready)
