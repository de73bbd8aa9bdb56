"""Tables of runs: as many columns as fit, of which those that matter are whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from runsvc.cli.render import clean, styled, time_of, word
from runsvc.v1.run_pb2 import RunStatus, StatusReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from runsvc.v1.run_pb2 import Run

#: Columns in their order.
_COLUMNS: Final = (
    "RUN",
    "STATUS",
    "THREAD",
    "ASSISTANT",
    "WORKER",
    "LEASE",
    "TOKENS",
    "UPDATED",
    "WHY",
)

#: Columns that hold a time.
_TIMES: Final = ("LEASE", "UPDATED")

#: Columns that may be cut off with an ellipsis, and how narrow each may become; the others are whole or not there.
_LEAST: Final = {"WHY": 10, "THREAD": 8}

#: How wide they should be: for that times become shorter, and columns of lesser worth give way.
_PLEASANT: Final = {"WHY": 30, "THREAD": 36}
_LESSER: Final = ("ASSISTANT", "WORKER", "LEASE")

#: What else gives way where the terminal is narrow, first comes first.
_LEAVING: Final = ("THREAD", "WHY", "TOKENS", "UPDATED")

#: Of an error as long as a page no more is ever looked at.
_LONGEST: Final = 1_000

_Cells = dict[str, Text]


@dataclass(frozen=True)
class RunsTable:
    """One line per run; columns that none of them fills are left out, and those that everyone knows."""

    runs: Sequence[Run]
    without: tuple[str, ...] = ()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [_cells(run) for run in self.runs]
        known = [name for name in _COLUMNS if name not in self.without]
        shown = [name for name in known if any(row[name].plain for row in rows)]
        widths = _natural(shown, rows)
        if _total(_at_most(widths, _PLEASANT)) > options.max_width:
            _shorten_times(rows)
            widths = _natural(shown, rows)
        yield _table(_fitted(widths, options.max_width), rows)


def _cells(run: Run) -> _Cells:
    counted = run.progress.HasField("total_tokens")
    return {
        "RUN": Text(clean(run.run_id)),
        "STATUS": styled(word(RunStatus, run.status)),
        "THREAD": Text(clean(run.thread_id)),
        "ASSISTANT": Text(clean(run.assistant_id)),
        "WORKER": Text(clean(run.worker_id)),
        "TOKENS": Text(f"{run.progress.total_tokens:,}" if counted else ""),
        "LEASE": Text(_lease(run)),
        "UPDATED": Text(time_of(run.updated_at) if run.HasField("updated_at") else ""),
        "WHY": Text(_why(run)),
    }


def _lease(run: Run) -> str:
    """When the lease of a run that its executor still works on ends, unless it is renewed."""
    held = run.HasField("lease") and not run.HasField("ended_at")
    return time_of(run.lease.expires_at) if held else ""


def _why(run: Run) -> str:
    """The error in the executor's words, and the reason where the service itself ended the run."""
    told = (word(StatusReason, run.status_reason), run.error[:_LONGEST])
    return clean(": ".join(filter(None, told)))


def _shorten_times(rows: Sequence[_Cells]) -> None:
    """The time of day, or the date of what was not today."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    for cells in rows:
        for name in _TIMES:
            date, _, time = cells[name].plain.partition(" ")
            cells[name] = Text(time if date == today else date)


def _natural(names: Sequence[str], rows: Sequence[_Cells]) -> dict[str, int]:
    """How wide each column wants to be."""
    return {name: max(len(name), *(row[name].cell_len for row in rows)) for name in names}


def _at_most(widths: dict[str, int], most: dict[str, int]) -> dict[str, int]:
    return {name: min(width, most.get(name, width)) for name, width in widths.items()}


def _total(widths: dict[str, int]) -> int:
    """How wide the table is, with a space between columns."""
    return sum(widths.values()) + len(widths) - 1


def _fitted(widths: dict[str, int], room: int) -> dict[str, int]:
    """The columns that fit, each with its width: long ones are cut, then whole ones give way."""
    shown = dict(widths)
    for leaving in _LESSER:
        if _total(_at_most(shown, _PLEASANT)) > room:
            shown.pop(leaving, None)
    fitted = _at_most(shown, _LEAST)
    for leaving in _LEAVING:
        if _total(fitted) > room:
            fitted.pop(leaving, None)
    for name in filter(fitted.__contains__, _LEAST):
        fitted[name] = min(widths[name], fitted[name] + max(room - _total(fitted), 0))
    return fitted


def _table(widths: dict[str, int], rows: Sequence[_Cells]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width in widths.items():
        cut = name in _LEAST
        # A terminal narrower than a run's id folds it: half an id is of no use.
        table.add_column(name, max_width=width, no_wrap=cut, overflow="ellipsis" if cut else "fold")
    for row in rows:
        table.add_row(*(row[name] for name in widths))
    return table
