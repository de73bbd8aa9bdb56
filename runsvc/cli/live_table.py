"""The live table of a watch: one screen of runs, the most recently changed at the bottom."""

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

#: Lines of the table's head and the caption.
_OTHER_LINES: Final = 2

_ADVICE: Final = "Press Ctrl-C to stop."
_DISCONNECTED: Final = "Disconnected, reconnecting."

#: Maximum number of terminal runs that are kept. No screen shows more.
_MAX_ENDED: Final = 500


class _Row(NamedTuple):
    number: int
    run: Run


class LiveTable:
    """All active runs of a watch, and its newest terminal runs."""

    def __init__(self, waiting_for: str, without: tuple[str, ...] = ()) -> None:
        self._waiting_for = waiting_for
        self._without = without
        self._active: dict[str, _Row] = {}
        self._ended: dict[str, _Row] = {}
        self._number = 0
        self._revision = 0
        self._is_disconnected = False

    def mark_disconnected(self) -> None:
        """Show that the connection is lost, until the next event."""
        self._is_disconnected = True

    def add(self, event: StreamStatusResponse) -> None:
        """Apply an event."""
        self._is_disconnected = False
        self._revision = max(self._revision, event.revision)
        run = event.run
        if not event.HasField("run"):
            return
        if event.event == StatusEvent.STATUS_EVENT_PROGRESS:
            for kept in (self._active, self._ended):
                if run.run_id in kept:
                    # Keep its row: rows that move with every token are unreadable.
                    kept[run.run_id] = kept[run.run_id]._replace(run=run)
                    return
        self._active.pop(run.run_id, None)
        self._ended.pop(run.run_id, None)
        if event.event != StatusEvent.STATUS_EVENT_DELETED:
            self._keep(run)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render one frame at the current size of the terminal."""
        if self._active or self._ended:
            yield self._frame(options.height or console.height, _ADVICE)
        else:
            state = f"{_DISCONNECTED} " if self._is_disconnected else ""
            yield _line(f"{state}Waiting for {self._waiting_for}… {_ADVICE}")

    def final_view(self, height: int) -> RenderableType | None:
        """Return the table that stays in the terminal after the watch. None if there were no runs."""
        # The prompt needs one line.
        return self._frame(height - 1) if self._active or self._ended else None

    def _keep(self, run: Run) -> None:
        self._number += 1
        kept = self._active if run.status in _ACTIVE else self._ended
        kept[run.run_id] = _Row(self._number, run)
        if len(self._ended) > _MAX_ENDED:
            del self._ended[next(iter(self._ended))]

    def _frame(self, height: int, advice: str = "") -> Group:
        room = max(height - _OTHER_LINES, 1)
        # Copies: another thread draws.
        active, ended = tuple(self._active.values()), tuple(self._ended.values())
        shown = [*active[-room:], *ended[max(len(ended) - max(room - len(active), 0), 0) :]]
        runs = [row.run for row in sorted(shown, key=lambda row: row.number)]
        hidden = len(active) - room
        more = f"… and {hidden:,} more active." if hidden > 0 else ""
        state = _DISCONNECTED if self._is_disconnected and advice else ""
        caption = " ".join(filter(None, (more, f"Revision {self._revision}.", state, advice)))
        return Group(RunsTable(runs, self._without), _line(caption))


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Exit by an exception on SIGTERM, so that the terminal's screen and cursor are restored."""

    def exit_with(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, exit_with)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _line(text: str) -> Text:
    return Text(clean(text), style="dim", no_wrap=True, overflow="ellipsis")
