"""`runsvc token`: bearer tokens for a server with `--auth-tokens`. The commands work without a server."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runsvc.auth import lines
from runsvc.auth.principal import Principal, Role, conflict, is_name
from runsvc.auth.token_file import VIA, credential_of, new_token
from runsvc.cli.arguments import Time, json_option, option
from runsvc.cli.groups import CommandGroup
from runsvc.cli.lengths import Duration

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_NAME: Final = "must have 1 to 128 printable ASCII characters without spaces."


@click.group(cls=CommandGroup)
def token() -> None:
    """Make bearer tokens for a server with --auth-tokens."""


class End(click.ParamType):  # type: ignore[type-arg]
    """A time, or a duration from now."""

    name = "time or duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        if "-" in str(value):
            time: datetime = Time().convert(value, param, ctx).ToDatetime(UTC)
            return time
        try:
            return datetime.now(UTC) + Duration(needs_unit=True).convert(value, param, ctx)
        except OverflowError:
            self.fail(f"{value!r} is too long.", param, ctx)


@token.command(short_help="Make a token.")
@option("--name", required=True, metavar="NAME", help="Name of the principal, for logs and runs.")
@option(
    "--owner",
    required=True,
    metavar="OWNER",
    help="The owner whose runs exist for it; * is every owner.",
)
@option(
    "--role",
    "roles",
    required=True,
    multiple=True,
    type=click.Choice([role.value for role in Role], case_sensitive=False),
    help="What it may do. May be repeated.",
)
@option(
    "--expires",
    type=End(),
    show_default="never",
    metavar="TIME",
    help="Its end, such as 2027-01-31T00:00:00Z or 90d.",
)
@option(
    "--append-to",
    type=_FILE,
    show_default="print the line",
    metavar="FILE",
    help="The server's file of tokens: the line is added to it.",
)
@option(
    "--save",
    type=_FILE,
    show_default="print the token",
    metavar="FILE",
    help="A new file for the client, which gets the token and mode 0600.",
)
@json_option
def new(
    name: str,
    owner: str,
    roles: Sequence[str],
    expires: datetime | None,
    append_to: Path | None,
    save: Path | None,
    as_json: bool,
) -> None:
    """Make a token. It is shown once; the server's file holds its SHA-256 hash only.

    To rotate a token, add the line of a new one, give the new token to the client, and remove the old line.

    \b
    Examples:
      runsvc token new --name alice --owner alice --role user --expires 90d
      runsvc token new --name gateway --owner '*' --role service --append-to tokens.txt --save gateway.token
    """
    principal = _principal(name, owner, roles, expires)
    secret = new_token()
    line = lines.form(principal, credential_of(secret))
    if save is not None:
        _write(save, secret, os.O_EXCL)
    if append_to is not None:
        _write(append_to, _after_last_line(append_to) + line, os.O_APPEND)
    shown = {} if save else {"token": secret}
    if as_json:
        click.echo(json.dumps(shown | {"line": line}))
        return
    _print(secret, line, append_to, save)


def _principal(name: str, owner: str, roles: Sequence[str], expires: datetime | None) -> Principal:
    if not is_name(name):
        raise click.BadParameter(f"A name {_NAME}", param_hint="'--name'")
    one_owner = None if owner == "*" else owner
    if one_owner is not None and not is_name(one_owner):
        raise click.BadParameter(f"An owner {_NAME}", param_hint="'--owner'")
    given = frozenset(map(Role, roles))
    if detail := conflict(given, one_owner):
        raise click.BadParameter(f"{detail[0].upper()}{detail[1:]}.", param_hint="'--owner'")
    return Principal(name, given, one_owner, expires, VIA)


def _print(secret: str, line: str, append_to: Path | None, save: Path | None) -> None:
    if save is None:
        click.echo(
            "The token, which is not shown again. Give it to the client in a file, as RUNSVC_TOKEN_FILE:"
        )
        click.echo(f"  {secret}")
    else:
        click.echo(
            f"Wrote the token to {save}. The client reads it with --token-file or RUNSVC_TOKEN_FILE."
        )
    if append_to is None:
        click.echo("The line for the file of --auth-tokens:")
        click.echo(f"  {line}")
    else:
        click.echo(f"Added its line to {append_to}.")


def _after_last_line(path: Path) -> str:
    """What completes the last line of a file that was edited by hand."""
    try:
        return "" if path.read_bytes()[-1:] in (b"", b"\n") else "\n"
    except OSError:
        return ""


def _write(path: Path, text: str, flag: int) -> None:
    """Write a line to a file, which is created for its owner only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except FileExistsError as error:
        message = f"{path} exists. Name a new file, or remove it first."
        raise click.ClickException(message) from error
    except OSError as error:
        raise click.ClickException(f"Cannot write {path}: {error.strerror}.") from error
