"""How this program was called, and how to call it again: what is told as a command works as it stands."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runsvc.client import DEFAULT_TARGET

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Key in a context's meta: the words after the program's name.
WORDS: Final = "runsvc.words"

_NAME: Final = "runsvc"
_TARGET: Final = "--target"

#: A longer command is not repeated: people would not find its end.
_LONGEST: Final = 200


def called_as(program: str | None = None) -> str:
    """How to call this program again from the same folder."""
    program = sys.argv[0] if program is None else program
    if Path(program).name == "__main__.py":
        return f"{_nearest(sys.executable)} -m runsvc.cli"
    if Path(program).name != _NAME or shutil.which(_NAME) == program:
        return _NAME
    return _nearest(program)


def target_option(target: str) -> str:
    """What a command needs in order to find the server; nothing when it looks there anyway."""
    looked_at = os.environ.get("RUNSVC_TARGET", DEFAULT_TARGET)
    if target in ("", DEFAULT_TARGET) and looked_at == DEFAULT_TARGET:
        return ""
    return f" {_TARGET} {shlex.quote(target or DEFAULT_TARGET)}"


def again(*more: str, target: str = "") -> str:
    """The present command with more options; these count, also where it had others."""
    context = click.get_current_context(silent=True)
    words: Sequence[str] = context.meta.get(WORDS, ()) if context else ()
    named = any(word.partition("=")[0] == _TARGET for word in words)
    # What follows "--" is no option.
    end = words.index("--") if "--" in words else len(words)
    options = shlex.join(more) + ("" if named else target_option(target))
    command = " ".join(
        filter(None, (called_as(), shlex.join(words[:end]), options, shlex.join(words[end:])))
    )
    if not words or len(command) > _LONGEST or not command.isprintable():
        return f"the same command with {shlex.join(more)}"
    return command


def _nearest(program: str) -> str:
    """A program's path, as short as it can be from here."""
    path = Path.cwd() / program
    near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return shlex.quote(str(near))
