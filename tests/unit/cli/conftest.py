"""The command line with a scripted server behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from runsvc.cli import main
from tests.support.scripted import Script, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result


@dataclass
class Cli:
    """The command line with a scripted server behind it."""

    script: Script
    target: str

    def __call__(self, *arguments: str, env: dict[str, str] | None = None) -> Result:
        settings = {"RUNSVC_TARGET": self.target, **(env or {})}
        return CliRunner().invoke(main, arguments, env=settings, prog_name="runsvc")

    @property
    def last_request(self) -> Any:
        """The last request that the server received."""
        return self.script.asked[-1]


def lines_of(shown: Any, width: int = 80, height: int = 24) -> list[str]:
    """Return the lines that a terminal of that size shows."""
    console = Console(width=width, height=height, markup=False)
    rows = console.render_lines(shown, pad=False)
    return ["".join(part.text for part in row).rstrip() for row in rows]


@pytest.fixture(autouse=True)
def _program_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["runsvc"])


@pytest.fixture
def cli() -> Iterator[Cli]:
    script = Script()
    with scripted(script) as target:
        yield Cli(script, target)
