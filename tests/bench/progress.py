"""Progress on the terminal: the current measurement and the remaining time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Display

from tests.bench.http2 import ConnectionLost
from tests.bench.systems import Refused

if TYPE_CHECKING:
    from rich.console import Console

    from tests.bench.contents import Section
    from tests.bench.figures import Figure
    from tests.bench.session import Session


class Progress:
    """Shows the progress of a session and collects its figures."""

    def __init__(self, console: Console, steps: int) -> None:
        self.figures: list[Figure] = []
        #: Error messages of the sections that failed, by section.
        self.broken: dict[str, str] = {}
        self._steps = steps
        self._display = Display(
            BarColumn(20),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}", markup=False),
            console=console,
            # The display shares its core with the load.
            refresh_per_second=2,
        )
        self._whole = self._display.add_task("Starting", total=steps)
        self._preparing = self._display.add_task("", visible=False)

    def __enter__(self) -> Progress:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    async def measure(self, section: Section, session: Session) -> None:
        """Measure a section. If it fails, note the error, so that the other sections are still measured."""
        session.section = section.name
        try:
            self.figures += await section.measure(session)
        except (ConnectionLost, Refused, RuntimeError, OSError) as error:
            self.broken[section.name] = f"{type(error).__name__}: {error}"

    def step(self, description: str) -> None:
        self._display.update(self._whole, advance=1, description=description)

    def preparing(self, description: str, done: int, total: int) -> None:
        self._display.update(
            self._preparing,
            description=description,
            completed=done,
            total=total,
            visible=done < total,
        )
