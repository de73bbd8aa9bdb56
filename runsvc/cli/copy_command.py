"""`runsvc admin copy`: from a file to a database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from runsvc.cli.arguments import option
from runsvc.cli.copies import run_on_store
from runsvc.cli.store_place import StorePlace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runsvc.database_url import DatabaseUrl

#: Seconds between two lines.
_INTERVAL: Final = 2.0


@click.command(short_help="Copy a store from a file to a database.")
@option(
    "--from",
    "source",
    type=StorePlace(),
    required=True,
    metavar="FILE",
    help="File of the store, on this host. No server may use it.",
)
@option(
    "--to",
    "target",
    type=StorePlace(),
    required=True,
    metavar="URL",
    help="The empty database: postgresql://…",
)
def copy(source: Path | DatabaseUrl, target: Path | DatabaseUrl) -> None:
    """Copy a store from a file to an empty database. Stop its server first, and start servers on the database then.

    The copy has all runs, the change log with its revisions, request ids and limits, and a store_id of its own. The
    file stays as it is.

    \b
    Example:
      runsvc admin copy --from /var/lib/runsvc/runs.db --to postgresql://runsvc@db.example/runsvc
    """
    done = run_on_store("copy", source, target, _Lines(time.monotonic))
    click.echo(
        f"Copied and checked {done.runs:,} runs and {done.changes:,} log entries up to revision "
        f"{done.revision} from {source} to {target}. Start the servers with --db, and no server on the file again."
    )


class _Lines:
    """Prints how far the copy is: a line at the end of each table, and every two seconds before."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last = now()

    def __call__(self, table: str, done: int, total: int) -> None:
        if done < total and self._now() - self._last < _INTERVAL:
            return
        self._last = self._now()
        click.echo(f"{table}: {done:,} of {total:,}", err=True)
