"""The commands that work on a store, without its server: backup and restore of a file, and migrate of a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runsvc.cli.arguments import option
from runsvc.cli.render import clean
from runsvc.cli.store_place import StorePlace
from runsvc.core.errors import RunsvcError
from runsvc.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from runsvc.database_url import DatabaseUrl

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Write a consistent copy of the store.")
@click.argument("file", type=_FILE)
@option(
    "--db",
    type=StorePlace(),
    default=Settings.db,
    envvar="RUNSVC_SERVE_DB",
    metavar="DB",
    help="File of the store, on this host.",
)
def backup(file: Path, db: Path | DatabaseUrl) -> None:
    """Write a consistent copy of the store to the new file FILE. The server may go on serving.

    \b
    Example:
      runsvc admin backup backup.db --db /var/lib/runsvc/runs.db
    """
    run_on_store("back_up", db, file)
    click.echo(f"Wrote {file}, a copy of {db}.")


@click.command(short_help="Replace the store by a backup.")
@click.argument("backup", type=_FILE)
@click.argument("db", type=StorePlace())
def restore(backup: Path, db: Path | DatabaseUrl) -> None:
    """Replace the store DB by a copy of BACKUP. Stop the server first; changes since the backup are lost.

    \b
    Example:
      runsvc admin restore backup.db /var/lib/runsvc/runs.db
    """
    run_on_store("restore", backup, db)
    click.echo(f"Restored {db} from {backup}. Start the server.")


@click.command(short_help="Create or migrate the tables of a database.")
@option(
    "--db",
    type=StorePlace(),
    required=True,
    envvar="RUNSVC_SERVE_DB",
    metavar="URL",
    help="The database: postgresql://…",
)
def migrate(db: Path | DatabaseUrl) -> None:
    """Create the tables of a database, or migrate them to this release, so that servers with --no-migrate can start.

    \b
    Example:
      runsvc admin migrate --db postgresql://owner@db.example/runsvc
    """
    version = run_on_store("migrate", db)
    click.echo(f"{db} has version {version} of the schema.")


def run_on_store(name: str, *arguments: Any) -> Any:
    """Call a function of `runsvc.engines`, and turn its errors into those of a command."""
    # Most commands do without the engines, and start faster.
    from runsvc import engines

    function: Callable[..., Any] = getattr(engines, name)
    try:
        return function(*arguments)
    except (RunsvcError, OSError) as error:
        raise click.ClickException(clean(str(error))) from error
