"""Commands that messages suggest. They work unchanged in the user's shell and folder."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runsvc.cli.credentials import credentials_arguments
from runsvc.client import DEFAULT_TARGET

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Key in a context's meta: the command line without the program's name.
WORDS: Final = "runsvc.words"

_NAME: Final = "runsvc"
_TARGET: Final = "--target"

#: Maximum length of a suggested command. A longer one is unreadable.
_MAX_LENGTH: Final = 200


def program_name(program: str | None = None) -> str:
    """Return the command that runs this program again from the same folder."""
    program = sys.argv[0] if program is None else program
    if Path(program).name == "__main__.py":
        return f"{_short_path(sys.executable)} -m runsvc.cli"
    if Path(program).name != _NAME or shutil.which(_NAME) == program:
        return _NAME
    return _short_path(program)


def target_argument(target: str) -> str:
    """Return the options that select the server, and TLS and the token if they were given. Empty for the defaults."""
    return _target_option(target) + credentials_arguments()


def _target_option(target: str) -> str:
    default = os.environ.get("RUNSVC_TARGET", DEFAULT_TARGET)
    if target in ("", DEFAULT_TARGET) and default == DEFAULT_TARGET:
        return ""
    return f" {_TARGET} {shlex.quote(target or DEFAULT_TARGET)}"


def repeated_command(*more: str, target: str = "") -> str:
    """Return the current command with more options, which override earlier ones."""
    context = click.get_current_context(silent=True)
    words: Sequence[str] = context.meta.get(WORDS, ()) if context else ()
    has_target = any(word.partition("=")[0] == _TARGET for word in words)
    # Words after "--" are arguments.
    end = words.index("--") if "--" in words else len(words)
    options = shlex.join(more) + ("" if has_target else _target_option(target))
    command = " ".join(
        filter(None, (program_name(), shlex.join(words[:end]), options, shlex.join(words[end:])))
    )
    if not words or len(command) > _MAX_LENGTH or not command.isprintable():
        return f"the same command with {shlex.join(more)}"
    return command


def _short_path(program: str) -> str:
    """Return a program's path, relative to the current folder if it is inside."""
    path = Path.cwd() / program
    short = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return shlex.quote(str(short))
