"""The live table of a watch: a screen full of runs, those that changed last at the bottom."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Group
from rich.text import Text

from runsvc.cli.render import clean
from runsvc.cli.table import RunsTable
from runsvc.v1.run_pb2 import RunStatus, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from runsvc.v1.run_pb2 import Run
    from runsvc.v1.run_service_pb2 import StreamStatusResponse

_ACTIVE: Final = (RunStatus.RUN_STATUS_PENDING, RunStatus.RUN_STATUS_RUNNING)

#: Lines that are not runs: the table's head and the caption.
_OTHER_LINES: Final = 2

#: More runs that have ended are on no screen.
_MOST_ENDED: Final = 500


class _Row(NamedTuple):
    number: int
    run: Run


class Board:
    """The runs told of so far: all that are active, and of the others the latest."""

    def __init__(self, waiting_for: str, without: tuple[str, ...] = ()) -> None:
        self._waiting_for = waiting_for
        self._without = without
        self._active: dict[str, _Row] = {}
        self._ended: dict[str, _Row] = {}
        self._number = 0
        self._revision = 0
        self._lost = False

    def lost(self) -> None:
        """The connection is lost; the next event says that it is there again."""
        self._lost = True

    def add(self, event: StreamStatusResponse) -> None:
        self._lost = False
        self._revision = max(self._revision, event.revision)
        run = event.run
        if not event.HasField("run"):
            return
        if event.event == StatusEvent.STATUS_EVENT_PROGRESS and run.run_id in self._active:
            # In its place: rows that jump with every token cannot be read.
            self._active[run.run_id] = self._active[run.run_id]._replace(run=run)
            return
        self._active.pop(run.run_id, None)
        self._ended.pop(run.run_id, None)
        if event.event != StatusEvent.STATUS_EVENT_DELETED:
            self._keep(run)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One frame, at the size that the terminal has by now."""
        if self._active or self._ended:
            yield self._frame(options.height or console.height, "Ctrl-C leaves.")
        else:
            lost = "No connection, trying again. " if self._lost else ""
            yield _line(f"{lost}Waiting for {self._waiting_for}… Ctrl-C leaves.")

    def left(self, height: int) -> RenderableType | None:
        """What stays in the terminal after the watch. None: there was nothing to see."""
        # The prompt needs a line too.
        return self._frame(height - 1) if self._active or self._ended else None

    def _keep(self, run: Run) -> None:
        self._number += 1
        kept = self._active if run.status in _ACTIVE else self._ended
        kept[run.run_id] = _Row(self._number, run)
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    def _frame(self, height: int, advice: str = "") -> Group:
        room = max(height - _OTHER_LINES, 1)
        # Copies: drawn by another thread than the one that adds.
        active, ended = tuple(self._active.values()), tuple(self._ended.values())
        shown = [*active[-room:], *ended[max(len(ended) - max(room - len(active), 0), 0) :]]
        runs = [row.run for row in sorted(shown, key=lambda row: row.number)]
        hidden = len(active) - room
        more = f"… and {hidden:,} more active." if hidden > 0 else ""
        lost = "No connection, trying again." if self._lost and advice else ""
        caption = " ".join(filter(None, (more, f"Revision {self._revision}.", lost, advice)))
        return Group(RunsTable(runs, self._without), _line(caption))


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as an exception would, so that the terminal gets its screen and its cursor back."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(text: str) -> Text:
    return Text(clean(text), style="dim", no_wrap=True, overflow="ellipsis")
