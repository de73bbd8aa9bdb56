"""`runsvc admin backup` and `runsvc admin restore`: they work on the store's file, on the host of the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runsvc.cli.arguments import option
from runsvc.cli.render import clean
from runsvc.core.errors import RunsvcError
from runsvc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Write a consistent copy of the store.")
@click.argument("file", type=_FILE)
@option(
    "--db",
    type=_FILE,
    default=Settings.db,
    envvar="RUNSVC_SERVE_DB",
    metavar="DB",
    help="File of the store, on this host.",
)
def backup(file: Path, db: Path) -> None:
    """Write a consistent copy of the store to the new file FILE. The server may go on serving.

    \b
    Example:
      runsvc admin backup backup.db --db /var/lib/runsvc/runs.db
    """
    _run("back_up", db, file)
    click.echo(f"Wrote {file}, a copy of {db}.")


@click.command(short_help="Replace the store by a backup.")
@click.argument("backup", type=_FILE)
@click.argument("db", type=_FILE)
def restore(backup: Path, db: Path) -> None:
    """Replace the store DB by a copy of BACKUP. Stop the server first; changes since the backup are lost.

    \b
    Example:
      runsvc admin restore backup.db /var/lib/runsvc/runs.db
    """
    _run("restore", backup, db)
    click.echo(f"Restored {db} from {backup}. Start the server.")


def _run(name: str, *arguments: Path) -> None:
    try:
        function: Callable[..., Any] = getattr(_server(), name)
        function(*arguments)
    except (RunsvcError, OSError) as error:
        raise click.ClickException(clean(str(error))) from error


def _server() -> Any:
    """Import the server here only: an installation of the client lacks it."""
    try:
        from runsvc import service
    except ImportError as missing:
        raise click.ClickException(
            f"The server is not installed ({missing}). Install it with: "
            "pip install '/path/to/runsvc[server]'"
        ) from missing
    return service
