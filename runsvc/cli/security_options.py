"""Options of `runsvc serve`: TLS, authentication, reflection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runsvc.cli.arguments import option
from runsvc.settings import Settings

if TYPE_CHECKING:
    from runsvc.cli.arguments import Command

_FILE: Final = click.Path(dir_okay=False, path_type=Path)

_OPTIONS: Final = (
    option(
        "--tls-cert",
        type=_FILE,
        show_default="no TLS",
        metavar="FILE",
        help="Certificate of the server in PEM, with intermediate ones behind it. Read again when it changes.",
    ),
    option(
        "--tls-key",
        type=_FILE,
        show_default="no TLS",
        metavar="FILE",
        help="Private key of the certificate, in PEM.",
    ),
    option(
        "--tls-client-ca",
        type=_FILE,
        show_default="none",
        metavar="FILE",
        help="Authorities of clients' certificates, in PEM. Every client then needs a certificate.",
    ),
    option(
        "--auth-tokens",
        type=_FILE,
        show_default="none",
        metavar="FILE",
        help="Bearer tokens, as lines of `runsvc token new`. Read again when it changes.",
    ),
    option(
        "--auth-certs",
        type=_FILE,
        show_default="none",
        metavar="FILE",
        help="Owner and roles of clients' certificates. Needs --tls-client-ca.",
    ),
    option(
        "--auth-jwks",
        show_default="none",
        metavar="FILE-OR-URL",
        help="Keys of an identity provider, whose tokens (JWT) authenticate callers.",
    ),
    option(
        "--auth-issuer",
        show_default="none",
        metavar="TEXT",
        help="With --auth-jwks: the issuer that a token must name.",
    ),
    option(
        "--auth-audience",
        show_default="none",
        metavar="TEXT",
        help="With --auth-jwks: the audience that a token must name.",
    ),
    option(
        "--auth-owner-claim",
        default=Settings.auth_owner_claim,
        metavar="CLAIM",
        help="With --auth-jwks: the claim that holds the owner.",
    ),
    option(
        "--auth-roles-claim",
        default=Settings.auth_roles_claim,
        metavar="CLAIM",
        help="With --auth-jwks: the claim that holds the roles; a.b leads into an object.",
    ),
    option(
        "--no-reflection",
        is_flag=True,
        help="Do not describe the services to callers without a role.",
    ),
)


def security_options(command: Command) -> Command:
    """Add the options, in their order."""
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command
