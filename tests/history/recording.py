"""Recorded operations: calls with their answers, and the log as the order of writes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Method = Literal["create", "set_status", "cancel", "get", "page", "inflight"]

#: Ends of a call: an answer, a refusal without effect, the run that keeps a thread busy, or no word about its effect.
End = Literal["answered", "refused", "busy", "unknown"]


class Seen(NamedTuple):
    """A run in an answer."""

    run_id: str
    status: int
    revision: int


@dataclass(frozen=True)
class Operation:
    """A call from its begin to its end, in nanoseconds of a clock that all processes share."""

    #: Unique, and the assistant_id of the run that it creates.
    name: str
    method: Method
    begin: int
    end: int
    outcome: End
    thread_id: str = ""
    page_size: int = 0
    #: The runs of the answer. For a creation the new run, then the displaced ones; for `busy` the active run, whose
    #: revision is 0; for `inflight` the active runs, whose status and revision are 0.
    runs: tuple[Seen, ...] = ()
    #: The answer reports that a status report or a cancel had an effect.
    changed: bool = False


class Write(NamedTuple):
    """An entry of the log."""

    revision: int
    #: The last revision of its call.
    call_end: int
    run_id: str
    thread_id: str
    assistant_id: str | None
    status: int
    previous_status: int | None


def line_of(operation: Operation) -> str:
    """An operation as a line of a recording."""
    return json.dumps(asdict(operation)) + "\n"


def operations_in(lines: Iterable[str]) -> list[Operation]:
    """The operations of a recording. A last line that is cut off is left out."""
    found = []
    for line in lines:
        if line.endswith("\n"):
            facts = json.loads(line)
            facts["runs"] = tuple(Seen(*each) for each in facts["runs"])
            found.append(Operation(**facts))
    return found


def writes_in(db: Path) -> list[Write]:
    """The log of a store."""
    columns = ", ".join(Write._fields)
    with closing(sqlite3.connect(db)) as file:
        return [Write(*row) for row in file.execute(f"SELECT {columns} FROM log ORDER BY revision")]
