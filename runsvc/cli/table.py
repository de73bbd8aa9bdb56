"""Tables of runs: as many columns as fit, the important ones uncut."""

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

#: All columns, in order.
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

#: Columns that may be cut with an ellipsis, and their minimum widths. The others are never cut.
_MIN_WIDTHS: Final = {"WHY": 10, "THREAD": 8}

#: Their preferred widths. To reach these, times are shortened and optional columns are dropped.
_PREFERRED_WIDTHS: Final = {"WHY": 30, "THREAD": 36}
_OPTIONAL: Final = ("ASSISTANT", "WORKER", "LEASE")

#: Columns that are dropped next, in this order, if the terminal is narrow.
_DROPPED_NEXT: Final = ("THREAD", "WHY", "TOKENS", "UPDATED")

#: Maximum length of an error text in a table.
_MAX_ERROR: Final = 1_000

_Cells = dict[str, Text]


@dataclass(frozen=True)
class RunsTable:
    """A table with one line per run. Empty columns, and those in `without`, are omitted."""

    runs: Sequence[Run]
    without: tuple[str, ...] = ()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [_cells(run) for run in self.runs]
        allowed = [name for name in _COLUMNS if name not in self.without]
        shown = [name for name in allowed if any(row[name].plain for row in rows)]
        widths = _natural_widths(shown, rows)
        if _total_width(_limited(widths, _PREFERRED_WIDTHS)) > options.max_width:
            _shorten_times(rows)
            widths = _natural_widths(shown, rows)
        yield _table(_fitted(widths, options.max_width), rows)


def _cells(run: Run) -> _Cells:
    has_tokens = run.progress.HasField("total_tokens")
    return {
        "RUN": Text(clean(run.run_id)),
        "STATUS": styled(word(RunStatus, run.status)),
        "THREAD": Text(clean(run.thread_id)),
        "ASSISTANT": Text(clean(run.assistant_id)),
        "WORKER": Text(clean(run.worker_id)),
        "TOKENS": Text(f"{run.progress.total_tokens:,}" if has_tokens else ""),
        "LEASE": Text(_lease(run)),
        "UPDATED": Text(time_of(run.updated_at) if run.HasField("updated_at") else ""),
        "WHY": Text(_why(run)),
    }


def _lease(run: Run) -> str:
    """Return the time at which an active run's lease expires."""
    is_held = run.HasField("lease") and not run.HasField("ended_at")
    return time_of(run.lease.expires_at) if is_held else ""


def _why(run: Run) -> str:
    """Return the status reason, if the server set one, and the error text."""
    parts = (word(StatusReason, run.status_reason), run.error[:_MAX_ERROR])
    return clean(": ".join(filter(None, parts)))


def _shorten_times(rows: Sequence[_Cells]) -> None:
    """Replace times by the time of day, or by the date if it is not today."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    for cells in rows:
        for name in _TIMES:
            date, _, time = cells[name].plain.partition(" ")
            cells[name] = Text(time if date == today else date)


def _natural_widths(names: Sequence[str], rows: Sequence[_Cells]) -> dict[str, int]:
    """Return the width of each column without cuts."""
    return {name: max(len(name), *(row[name].cell_len for row in rows)) for name in names}


def _limited(widths: dict[str, int], most: dict[str, int]) -> dict[str, int]:
    return {name: min(width, most.get(name, width)) for name, width in widths.items()}


def _total_width(widths: dict[str, int]) -> int:
    """Return the width of the table, with one space between columns."""
    return sum(widths.values()) + len(widths) - 1


def _fitted(widths: dict[str, int], room: int) -> dict[str, int]:
    """Return the columns that fit, with their widths. Long columns are cut first, then columns are dropped."""
    shown = dict(widths)
    for name in _OPTIONAL:
        if _total_width(_limited(shown, _PREFERRED_WIDTHS)) > room:
            shown.pop(name, None)
    fitted = _limited(shown, _MIN_WIDTHS)
    for name in _DROPPED_NEXT:
        if _total_width(fitted) > room:
            fitted.pop(name, None)
    for name in filter(fitted.__contains__, _MIN_WIDTHS):
        fitted[name] = min(widths[name], fitted[name] + max(room - _total_width(fitted), 0))
    return fitted


def _table(widths: dict[str, int], rows: Sequence[_Cells]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width in widths.items():
        cut = name in _MIN_WIDTHS
        # A run id that is wider than the terminal is folded: a cut id is useless.
        table.add_column(name, max_width=width, no_wrap=cut, overflow="ellipsis" if cut else "fold")
    for row in rows:
        table.add_row(*(row[name] for name in widths))
    return table
