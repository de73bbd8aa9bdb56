"""The program `runsvc`: its commands, its help, and its early exits."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, Final, NoReturn

import click
import grpc

from runsvc import __version__
from runsvc.cli import calls, queue, reports
from runsvc.cli.admin import admin
from runsvc.cli.arguments import AS_JSON
from runsvc.cli.dev_certs import dev_certs
from runsvc.cli.errors import CallFailed
from runsvc.cli.groups import CommandGroup
from runsvc.cli.next_command import WORDS
from runsvc.cli.serve import serve
from runsvc.cli.standard_streams import open_closed_streams
from runsvc.cli.token import token
from runsvc.cli.watch import watch
from runsvc.client import RunError

_INTERRUPTED: Final = 130
#: 128 and the number of SIGPIPE, as shells report a program that the signal ended.
_READER_GONE: Final = 141

_HELP: Final = """Create, watch and cancel runs on threads, and report their progress and end.

\b
Examples:
  runsvc serve                              start a server with the store runsvc.db
  runsvc create chat-1 --assistant demo     create a run on thread chat-1
  runsvc watch --thread chat-1              watch the runs of the thread
  runsvc list chat-1 --status running       list its RUNNING runs
  runsvc cancel --thread chat-1             cancel its newest active run

Every option can be set by an environment variable, which the command's --help shows. RUNSVC_TARGET and RUNSVC_JSON
apply to all commands except serve, RUNSVC_TIMEOUT to all except serve and watch. RUNSVC_TOKEN, or the content of the
file RUNSVC_TOKEN_FILE, is sent as a bearer token. RUNSVC_TLS_CA, a file of trusted certificates, enables TLS.

\b
Exit codes:
  0    success
  1    any other failure
  2    invalid usage, or an argument that the server rejected
  3    the run does not exist
  4    rejected in the current state: thread busy or full, run ended, other holder
  5    no server, no answer in time, or the server is overloaded
  6    the watched run did not end as SUCCESS
  130  Ctrl-C
  141  the reader of the output has gone, as in `| head`
"""


class Program(CommandGroup):
    """A group that exits silently on Ctrl-C, and prints usage errors as JSON with --json."""

    def main(self, *arguments: Any, **settings: Any) -> Any:
        """Run a command. First of all, open standard streams that are closed."""
        open_closed_streams()
        return super().main(*arguments, **settings)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the commands in the order of their use."""
        return list(self.commands)

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **more)
        except BrokenPipeError:
            # The help was printed.
            _exit_without_reader()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Set before the command's options are parsed: parsing may fail.
        ctx.meta[AS_JSON] = "--json" in args
        ctx.meta[WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return self._invoke_on_any_terminal(ctx)
        except KeyboardInterrupt:
            ctx.exit(_INTERRUPTED)
        except click.UsageError as usage_error:
            explained = _explain_dash(usage_error)
            if not ctx.meta.get(AS_JSON):
                raise explained from usage_error
            message = explained.format_message()
            error = RunError(grpc.StatusCode.INVALID_ARGUMENT, message=message)
            raise CallFailed(error, as_json=True) from usage_error

    def _invoke_on_any_terminal(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Print a question mark for characters that the output's encoding lacks.
            sys.stdout.reconfigure(errors="replace")
        try:
            result = super().invoke(ctx)
            # Report a full disk here: the interpreter would report it at exit, with a traceback.
            sys.stdout.flush()
        except BrokenPipeError:
            _exit_without_reader()
        except UnicodeEncodeError as error:
            # Python passes an argument that is not UTF-8 as a string that cannot be encoded.
            raise click.UsageError(f"{error.object!r} is not valid UTF-8.") from error
        except OSError as error:
            _discard_output()
            raise click.ClickException(f"Cannot write the answer: {error.strerror}") from error
        return result


def _explain_dash(error: click.UsageError) -> click.UsageError:
    """For an unknown option of a command that takes ids, add how to write an id that begins with a dash."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return error
    if not any(isinstance(each, click.Argument) for each in error.ctx.command.params):
        return error
    advice = 'Put "--" before the first id that begins with "-", after all options.'
    return click.UsageError(f"{error.format_message().removesuffix('.')}. {advice}", error.ctx)


def _exit_without_reader() -> NoReturn:
    _discard_output()
    # click would exit with 1, which means any other failure.
    raise click.exceptions.Exit(_READER_GONE)


def _discard_output() -> None:
    """Drop unwritten output: the interpreter would try to write it at exit, and print a traceback."""
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
    """Run the command line. The help text is `_HELP`."""


_COMMANDS: Final = (
    serve,
    *calls.COMMANDS,
    watch,
    *queue.COMMANDS,
    *reports.COMMANDS,
    admin,
    token,
    dev_certs,
)
for _command in _COMMANDS:
    main.add_command(_command)
