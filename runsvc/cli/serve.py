"""`runsvc serve`: the server, in the foreground."""

from __future__ import annotations

import logging
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runsvc import __version__
from runsvc.cli.arguments import option
from runsvc.cli.render import clean
from runsvc.client import DEFAULT_TARGET
from runsvc.errors import RunsvcError

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME: Final = "runsvc"
_LEVELS: Final = ("debug", "info", "warning", "error")

#: Where to call a server that listens on every address.
_REACHED_AT: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "localhost": "127.0.0.1"}

_NEXT: Final = (
    "create chat-1 --assistant demo",
    "list chat-1",
    "watch --thread chat-1",
    "cancel --thread chat-1",
)


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
    help="What becomes, at start, of runs that were left active: keep them, or make them ERROR.",
)
@option("--orphan-error", metavar="TEXT", help="With --orphans fail: their error.")
@option(
    "--log-keep",
    type=click.IntRange(min=1),
    default=100_000,
    metavar="N",
    help="Changes that are kept for watchers to resume from.",
)
@option(
    "--max-active-per-thread",
    type=click.IntRange(min=1),
    default=1_000,
    metavar="N",
    help="Active runs that one thread may have.",
)
@option(
    "--insecure-listen",
    is_flag=True,
    help="Allow a --listen that other machines reach, though nothing is encrypted.",
)
@option(
    "--grace",
    type=click.FloatRange(min=0),
    default=10.0,
    metavar="SECONDS",
    help="Time for calls in flight to end at shutdown.",
)
@option(
    "--log-level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default="info",
    help="What goes to stderr.",
)
def serve(log_level: str, orphan_error: str | None, **settings: Any) -> None:
    """Run a server until SIGTERM or Ctrl-C, which let calls in flight end; a second one stops at once.

    \b
    Examples:
      runsvc serve
      runsvc serve --db /var/lib/runsvc/runs.db --orphans fail
      runsvc serve --listen 0.0.0.0:50051 --insecure-listen
    """
    logging.basicConfig(
        level=log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if orphan_error is not None:
        settings["orphan_error"] = orphan_error
    db = settings["db"]
    try:
        _server()(settings, lambda address: announce(address, db))
    except (RunsvcError, OSError, ValueError) as error:
        raise click.ClickException(clean(str(error))) from error


def announce(address: str, db: Path) -> None:
    """Say that the server answers, and what to do with it."""
    click.echo(f"{_NAME} {__version__} serves on {address} ({db})")
    click.echo("Try next, from another terminal:", err=True)
    for command in _NEXT:
        click.echo(f"  {called_as(sys.argv[0])} {command}{target_option(address)}", err=True)


def called_as(program: str) -> str:
    """How to call this program again from the same folder."""
    path = Path(program)
    if path.name != _NAME:
        return _NAME
    absolute = Path.cwd() / path
    if absolute.is_relative_to(Path.cwd()):
        return shlex.quote(str(absolute.relative_to(Path.cwd())))
    return _NAME if shutil.which(_NAME) == program else shlex.quote(program)


def target_option(address: str) -> str:
    """What a command needs in order to find the server; nothing when it looks there anyway."""
    host, _, port = address.rpartition(":")
    target = f"{_REACHED_AT.get(host, host)}:{port}"
    return "" if target == DEFAULT_TARGET else f" --target {shlex.quote(target)}"


def _server() -> Callable[[dict[str, Any], Callable[[str], None]], None]:
    """Only here is the server's code needed: a client is installed without it."""
    try:
        from runsvc.rpc.server import Settings
        from runsvc.rpc.server import serve as run
    except ImportError as missing:
        raise click.ClickException(
            f"The server is not installed ({missing}). Install it with: pip install 'runsvc[server]'"
        ) from missing
    return lambda settings, ready: run(Settings(**settings), ready)
