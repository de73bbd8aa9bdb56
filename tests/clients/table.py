"""The README's table of topics and clients, as the suite found them supported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.clients.scenarios import SCENARIOS, TOPICS

if TYPE_CHECKING:
    from collections.abc import Mapping

README = Path(__file__).parents[2] / "README.md"
HEAD: Final = f"| client | {' | '.join(TOPICS)} |\n|---|{':-:|' * len(TOPICS)}\n"
NAMES: Final = {"typescript": "TypeScript"}

_TABLE: Final = re.compile(r"\| client \|.*\n\|---.*\n((?:\|.*\n)*)")


def row(language: str, passed: Mapping[str, bool]) -> str:
    """A language's row, from the result of each scenario; False means that the client does not support it."""
    cells = []
    for module in TOPICS.values():
        topic = module.__name__.rpartition(".")[2]
        works = all(passed[name] for name in SCENARIOS if name.startswith(f"{topic}/"))
        cells.append("✓" if works else "no")
    return f"| {_client(language)} | {' | '.join(cells)} |\n"


def rows() -> str:
    """The rows in the README."""
    return _match_table()[1]


def replace_row(language: str, new: str) -> None:
    """Replace a language's row in the README."""
    others = [
        line
        for line in rows().splitlines(keepends=True)
        if not line.startswith(f"| {_client(language)} ")
    ]
    written = HEAD + "".join(sorted([*others, new]))
    README.write_text(_TABLE.sub(lambda _: written, README.read_text("utf-8")), "utf-8")


def _client(language: str) -> str:
    return f"[{NAMES.get(language, language.title())}](clients/{language})"


def _match_table() -> re.Match[str]:
    found = _TABLE.search(README.read_text("utf-8"))
    assert found, "the README has no table of clients"
    return found
