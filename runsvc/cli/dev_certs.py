"""`runsvc dev-certs`: an authority and certificates to try TLS with. It works without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runsvc.cli.arguments import Count, option
from runsvc.cli.next_command import program_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_CA: Final = "runsvc development CA"


@click.command("dev-certs", short_help="Make certificates to try TLS with.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A further name or address of the server. May be repeated.",
)
@option(
    "--client",
    "clients",
    multiple=True,
    default=("client",),
    metavar="NAME",
    help="The common name of a client. May be repeated.",
)
@option("--days", type=Count(min=1, max=3_650), default=90, metavar="N", help="Their lifetime.")
def dev_certs(folder: Path, hosts: Sequence[str], clients: Sequence[str], days: int) -> None:
    """Make an authority in DIR, a certificate of the server for this machine, and one for each client.

    If DIR has an authority, it signs new certificates, which replace the old ones: servers and clients that trust it go
    on. They are not for production: everyone who can read DIR can make further ones.

    \b
    Examples:
      runsvc dev-certs certs
      runsvc dev-certs certs --host runs.test --client gateway --client worker-1
    """
    bad = [name for name in clients if not name or Path(name).name != name]
    if bad:
        raise click.BadParameter(f"{bad[0]!r} is no name for a file.", param_hint="'--client'")
    try:
        from runsvc.cli.development_authority import Authority
    except ImportError as missing:
        raise click.ClickException(
            f"The server is not installed ({missing}). Install it with: "
            "pip install '/path/to/runsvc[server]'"
        ) from missing
    end = datetime.now(UTC) + timedelta(days=days)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = Authority.in_folder(folder, _CA)
        authority.issue(folder / "server", "runsvc", end, hosts=(*_HOSTS, *hosts))
        for name in clients:
            authority.issue(folder / name, name, end)
        _list_clients(folder / "certs.txt", clients)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"Cannot make certificates in {folder}: {error}") from error
    _print_commands(folder, clients[0])


def _list_clients(path: Path, clients: Sequence[str]) -> None:
    """Add the clients to the server's file of certificates."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    new = [f"{name} * service,admin cn:{name}" for name in clients]
    lines += [line for line in new if line not in lines]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _print_commands(folder: Path, client: str) -> None:
    program = program_name()
    click.echo(f"Wrote an authority and certificates to {folder}. Try them:")
    click.echo(
        f"  {program} serve --tls-cert {folder}/server.pem --tls-key {folder}/server.key \\\n"
        f"    --tls-client-ca {folder}/ca.pem --auth-certs {folder}/certs.txt"
    )
    click.echo("And in another terminal:")
    click.echo(
        f"  {program} admin info --ca {folder}/ca.pem \\\n"
        f"    --cert {folder}/{client}.pem --key {folder}/{client}.key"
    )
