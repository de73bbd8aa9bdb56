"""The connection of a command, and the output of its answer."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from runsvc.cli import render
from runsvc.cli.arguments import json_option, target_option, timeout_option
from runsvc.cli.credentials import credentials_options, is_typed
from runsvc.cli.errors import CallFailed
from runsvc.client import ENVIRONMENT, RunClient, RunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from google.protobuf.message import Message
    from rich.console import RenderableType

    from runsvc.cli.arguments import Command


@dataclass(frozen=True)
class Session:
    """The connection of one command."""

    client: RunClient
    as_json: bool

    @property
    def target(self) -> str:
        """Address of the server."""
        return self.client.target

    def print_answer(self, answer: Message, *shown: RenderableType) -> None:
        """Print `answer` as JSON for programs, or `shown` for people."""
        if self.as_json:
            click.echo(render.as_json(answer))
            return
        output = render.console()
        for each in shown:
            output.print(each)


def unary_command(command: Command) -> Command:
    """Pass a session to a command, and add the options of the connection."""
    return target_option(credentials_options(timeout_option(json_option(_connected(command)))))


def stream_command(command: Command) -> Command:
    """Do the same for a command without a deadline."""
    return target_option(credentials_options(json_option(_connected(command))))


def _connected(command: Callable[..., None]) -> Command:
    @functools.wraps(command)
    def wrapper(
        *,
        target: str,
        as_json: bool,
        ca: Path | None,
        cert: Path | None,
        key: Path | None,
        token_file: Path | None,
        owner: str | None,
        timeout: float | None = None,
        **arguments: object,
    ) -> None:
        with _client(target, timeout, ca, cert, key, token_file) as client:
            try:
                command(Session(_for_owner(client, owner), as_json), **arguments)
            except RunError as error:
                raise CallFailed(error, target=target, as_json=as_json) from None

    return wrapper


def _for_owner(client: RunClient, owner: str | None) -> RunClient:
    try:
        return client if owner is None else client.for_owner(owner)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _client(
    target: str,
    timeout: float | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    token_file: Path | None,
) -> RunClient:
    """Return a client with the token and the certificates of the options and the environment."""
    try:
        return RunClient(
            target,
            timeout=ENVIRONMENT if timeout is None else timeout,
            # RUNSVC_TOKEN takes precedence over RUNSVC_TOKEN_FILE, but not over the option.
            token=token_file if token_file and is_typed("token_file") else ENVIRONMENT,
            tls_ca=ca,
            tls_cert=cert,
            tls_key=key,
        )
    except OSError as error:
        message = f"Cannot read {error.filename}: {error.strerror}"
        raise click.ClickException(render.clean(message)) from error
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
