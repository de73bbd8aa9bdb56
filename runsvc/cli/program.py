"""The program `runsvc`: its commands, its help, and what ends it early."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, Final

import click
import grpc

from runsvc import __version__
from runsvc.cli import calls, reports
from runsvc.cli.admin import admin
from runsvc.cli.arguments import AS_JSON
from runsvc.cli.errors import CallFailed
from runsvc.cli.next_command import WORDS
from runsvc.cli.serve import serve
from runsvc.cli.watch import watch
from runsvc.client import RunError

_INTERRUPTED: Final = 130

_HELP: Final = """Create, watch and cancel runs on threads, and report what becomes of them.

\b
Examples:
  runsvc serve                              run a server, with runsvc.db here
  runsvc create chat-1 --assistant demo     create a run on thread chat-1
  runsvc watch --thread chat-1              follow the thread
  runsvc list chat-1 --status running       what is running
  runsvc cancel --thread chat-1             cancel its newest active run

Every option is also an environment variable; each command's --help names them. RUNSVC_TARGET and RUNSVC_JSON count for
all commands but serve, RUNSVC_TIMEOUT for those that wait for one answer: not for watch. RUNSVC_TOKEN is sent as a
bearer token; RUNSVC_TLS_CA, a file of certificates, switches TLS on.

\b
Exit codes:
  0    done
  1    failed in another way than those below
  2    usage, or an argument that the server refused
  3    no such run
  4    refused as things stand: thread busy or full, run ended, other worker
  5    no server, no answer in time, or a server that is overloaded
  6    the watched run ended otherwise than SUCCESS
  130  Ctrl-C
"""


class Program(click.Group):
    """A group that ends quietly on Ctrl-C, and tells misuse as JSON to those who asked for JSON."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """In the order of use, not of the alphabet."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Known before a command's own options are, for these may be what is wrong.
        ctx.meta[AS_JSON] = "--json" in args
        ctx.meta[WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return self._invoke_on_any_terminal(ctx)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)
        except click.UsageError as misuse:
            if not ctx.meta.get(AS_JSON):
                raise
            message = misuse.format_message()
            error = RunError(grpc.StatusCode.INVALID_ARGUMENT, message=message)
            raise CallFailed(error, as_json=True) from misuse

    def _invoke_on_any_terminal(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What a terminal has no letter for is shown as a question mark.
            sys.stdout.reconfigure(errors="replace")
        try:
            result = super().invoke(ctx)
            # A full disk is told now, not by the interpreter on its way out.
            sys.stdout.flush()
        except BrokenPipeError:
            # click leaves quietly.
            raise
        except UnicodeEncodeError as error:
            # An argument whose bytes are no text comes as a string that cannot be encoded.
            raise click.UsageError(f"{error.object!r} is not text in UTF-8.") from error
        except OSError as error:
            _discard_output()
            raise click.ClickException(f"Cannot write the answer: {error.strerror}") from error
        return result


def _discard_output() -> None:
    """Let what could not be written go: the interpreter would try again on its way out, and say so in its own words."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=Program,
    help=_HELP,
    context_settings={
        "auto_envvar_prefix": "RUNSVC",
        "show_default": True,
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(__version__, prog_name="runsvc")
def main() -> None:
    """The entry point; its help is above."""


for _command in (serve, *calls.COMMANDS, watch, *reports.COMMANDS, admin):
    main.add_command(_command)
