"""Progress on the terminal: what is measured now, how much is left, and what came of it so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Display

from tests.bench.http2 import Lost
from tests.bench.systems import Refused

if TYPE_CHECKING:
    from rich.console import Console

    from tests.bench.contents import Section
    from tests.bench.figures import Figure
    from tests.bench.session import Session


class Progress:
    """Watches a session, and collects its figures."""

    def __init__(self, console: Console, steps: int) -> None:
        self.figures: list[Figure] = []
        #: Sections that came to no end, and why.
        self.broken: dict[str, str] = {}
        self._steps = steps
        self._display = Display(
            BarColumn(20),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}", markup=False),
            console=console,
            # It shares its core with the load.
            refresh_per_second=2,
        )
        self._whole = self._display.add_task("Starting", total=steps)
        self._making = self._display.add_task("", visible=False)

    def __enter__(self) -> Progress:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    async def measured(self, section: Section, session: Session) -> None:
        """Measure a section; what breaks it does not keep the others from being measured."""
        session.section = section.name
        try:
            self.figures += await section.measure(session)
        except (Lost, Refused, RuntimeError, OSError) as error:
            self.broken[section.name] = f"{type(error).__name__}: {error}"

    def step(self, what: str) -> None:
        self._display.update(self._whole, advance=1, description=what)

    def making(self, what: str, done: int, total: int) -> None:
        self._display.update(
            self._making, description=what, completed=done, total=total, visible=done < total
        )
