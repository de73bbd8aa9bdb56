"""Shell blocks of a page, and how each is to be run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A comment before a block states how it ends; without one it ends by itself, with exit status 0.
_BLOCK: Final = re.compile(r"(?:<!-- (?P<note>[^\n]*?) -->\n)?```sh\n(?P<script>.*?)```", re.DOTALL)
_INLINE: Final = re.compile(r"`(runsvc [^`]+)`")
_NOTES: Final = ("background", "interrupt", "exit: ", "needs: ", "not run: ")


@dataclass(frozen=True)
class Block:
    """The commands of one block."""

    script: str
    #: background: it keeps running; interrupt: Ctrl-C ends it; exit: its exit status; needs: the program that it uses;
    #: not run: the reason.
    note: str = ""

    @property
    def exit_status(self) -> int:
        return int(self.note.removeprefix("exit: ")) if self.note.startswith("exit: ") else 0

    @property
    def needed(self) -> str:
        """The program without which the block cannot run; empty if there is none."""
        return self.note.removeprefix("needs: ") if self.note.startswith("needs: ") else ""


def blocks_of(text: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for found in _BLOCK.finditer(text):
        note = found["note"] or ""
        assert not note or note.startswith(_NOTES), f"unknown note {note!r}"
        yield Block(found["script"], note)


def table_commands(text: str) -> Iterator[str]:
    """The commands in the rows of tables."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield from _INLINE.findall(line)
