"""A command's way to the server, and its way to tell the answer."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click
import grpc

from runsvc.cli import render
from runsvc.cli.arguments import json_option, target_option, timeout_option
from runsvc.cli.errors import CallFailed
from runsvc.client import AdminServiceStub, RunServiceStub, connect, error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message
    from rich.console import RenderableType

    from runsvc.cli.arguments import Command

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Session:
    """One command's connection."""

    channel: grpc.Channel
    target: str
    as_json: bool
    #: Of a call; None where answers are streams.
    timeout: float | None = None

    @property
    def runs(self) -> RunServiceStub:
        return RunServiceStub(self.channel)

    @property
    def admin(self) -> AdminServiceStub:
        return AdminServiceStub(self.channel)

    def call(
        self, method: grpc.UnaryUnaryMultiCallable[_Request, _Answer], request: _Request
    ) -> _Answer:
        return method(request, timeout=self.timeout)

    def tell(self, answer: Message, *shown: RenderableType) -> None:
        """The answer itself for programs, what is shown of it for people."""
        if self.as_json:
            click.echo(render.as_json(answer))
            return
        output = render.console()
        for each in shown:
            output.print(each)

    def failed(self, failure: grpc.RpcError) -> CallFailed:
        return CallFailed(error_of(failure), target=self.target, as_json=self.as_json)


def calls(command: Command) -> Command:
    """Give a command a session, and the options that it is made of."""
    return target_option(timeout_option(json_option(_connected(command))))


def streams(command: Command) -> Command:
    """The same for a command that waits for as long as it takes."""
    return target_option(json_option(_connected(command)))


def _connected(command: Callable[..., None]) -> Command:
    @functools.wraps(command)
    def wrapper(
        *, target: str, as_json: bool, timeout: float | None = None, **arguments: object
    ) -> None:
        with connect(target) as channel:
            session = Session(channel, target, as_json, timeout)
            try:
                command(session, **arguments)
            except grpc.RpcError as failure:
                raise session.failed(failure) from None

    return wrapper
