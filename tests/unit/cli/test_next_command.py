"""Commands that messages suggest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import pytest

from runsvc.cli.next_command import WORDS, program_name, repeated_command, target_argument

if TYPE_CHECKING:
    from pathlib import Path


def test_program_is_named_as_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = str(tmp_path.parent / "bin dir" / "runsvc")
    assert program_name() == "runsvc"
    assert program_name(str(tmp_path / ".venv/bin/runsvc")) == ".venv/bin/runsvc"
    assert program_name(".venv/bin/runsvc") == ".venv/bin/runsvc"
    assert program_name("/usr/bin/pytest") == "runsvc"
    assert program_name(elsewhere) == f"'{elsewhere}'"
    monkeypatch.setattr("shutil.which", lambda name: elsewhere)
    assert program_name(elsewhere) == "runsvc"
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert program_name("/lib/runsvc/cli/__main__.py") == ".venv/bin/python -m runsvc.cli"


@pytest.mark.parametrize(
    ("target", "variable", "expected"),
    [
        ("127.0.0.1:50051", None, ""),
        ("", None, ""),
        ("127.0.0.1:50052", None, " --target 127.0.0.1:50052"),
        ("[::1]:50051", None, " --target '[::1]:50051'"),
        # The variable may be set for this command only.
        ("there:1", "there:1", " --target there:1"),
        ("127.0.0.1:50051", "there:1", " --target 127.0.0.1:50051"),
    ],
)
def test_target_is_named_only_if_needed(
    monkeypatch: pytest.MonkeyPatch, target: str, variable: str | None, expected: str
) -> None:
    monkeypatch.delenv("RUNSVC_TARGET", raising=False)
    if variable is not None:
        monkeypatch.setenv("RUNSVC_TARGET", variable)
    assert target_argument(target) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("list", "a b"), "runsvc list 'a b' --page-token t --target there:1"),
        (("list", "--", "-a"), "runsvc list --page-token t --target there:1 -- -a"),
        (("list", "c", "--target=x:1"), "runsvc list c --target=x:1 --page-token t"),
        (("create", "c", "--kwargs", "x" * 200), "the same command with --page-token t"),
        (("create", "c\n"), "the same command with --page-token t"),
        ((), "the same command with --page-token t"),
    ],
)
def test_command_is_repeated_with_more_options(words: tuple[str, ...], expected: str) -> None:
    with click.Context(click.Command("runsvc")) as context:
        context.meta[WORDS] = words
        assert repeated_command("--page-token", "t", target="there:1") == expected
