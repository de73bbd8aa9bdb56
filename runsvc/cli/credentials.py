"""Options of every command that calls a server: TLS, the client's certificate, its token, and the owner."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from runsvc.cli.arguments import Command

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
#: Options, their variables, and their help.
_OPTIONS: Final = (
    ("--ca", "RUNSVC_TLS_CA", "Trusted certificates in PEM. Enables TLS."),
    ("--cert", "RUNSVC_TLS_CERT", "The client's certificate in PEM, for a server that needs one."),
    ("--key", "RUNSVC_TLS_KEY", "The private key of --cert, in PEM."),
    ("--token-file", "RUNSVC_TOKEN_FILE", "File of the bearer token. Or set RUNSVC_TOKEN to it."),
)
_OWNER: Final = "--owner"


def credentials_options(command: Command) -> Command:
    """Add the options."""
    command = click.option(
        _OWNER,
        envvar="RUNSVC_OWNER",
        show_envvar=True,
        metavar="NAME",
        help="Act for this owner only. The server then knows no runs of others.",
    )(command)
    for name, variable, text in reversed(_OPTIONS):
        decorate = click.option(
            name, type=_FILE, envvar=variable, show_envvar=True, metavar="FILE", help=text
        )
        command = decorate(command)
    return command


def is_typed(parameter: str) -> bool:
    """Return whether an option was given on the command line."""
    context = click.get_current_context(silent=True)
    if context is None:
        return False
    return context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE


def credentials_arguments() -> str:
    """Return the options that were given, for a suggested command. A token itself is never an argument."""
    context = click.get_current_context(silent=True)
    names = [name for name, *_ in _OPTIONS] + [_OWNER]
    given = [name for name in names if is_typed(name[2:].replace("-", "_"))]
    if context is None:
        return ""
    values = [(name, context.params[name[2:].replace("-", "_")]) for name in given]
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in values)
