"""The benchmark's command line: `python -m tests.bench`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from runsvc.service import new_loop
from tests.bench import machine, plots, report
from tests.bench.bars import BARS, verdicts
from tests.bench.contents import SECTIONS
from tests.bench.plan import BENCH, FULL, SMOKE
from tests.bench.progress import Progress
from tests.bench.session import Session

_NAMES: Final = [section.name for section in SECTIONS]
#: Width of the output where there is no terminal.
_WIDTH: Final = 120


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--full",
    "extent",
    flag_value=FULL,
    type=click.UNPROCESSED,
    help="Measure everything. Takes an hour or more.",
)
@click.option(
    "--smoke",
    "extent",
    flag_value=SMOKE,
    type=click.UNPROCESSED,
    help="Only check that the benchmark works; the figures are meaningless.",
)
@click.option(
    "--only",
    type=click.Choice(_NAMES),
    multiple=True,
    help="Measure only this section; may be repeated.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    help="Number of measurements; figures are medians.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), help="Length of one measurement."
)
@click.option(
    "--peer", "peers", is_flag=True, help="Measure the peers too, in every section of calls."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("build/bench"),
    show_default=True,
    help="Folder for the results, and for stores that later runs reuse.",
)
def main(extent: Any, only: tuple[str, ...], out: Path, **changes: Any) -> None:
    """Measure runsvc against the limit of its transport, the floor of its store, and other systems.

    Servers run on the first core, the load on the last. Prints tables, and writes figures.json and plots; see
    tests/bench/README.md for their meaning. The exit status does not depend on the figures.

    \b
    Examples:
      python -m tests.bench
      python -m tests.bench --only unary --only watch --rounds 3
      python -m tests.bench --full --peer
    """
    plan = replace(extent or BENCH, **{name: value for name, value in changes.items() if value})
    sections = [section for section in SECTIONS if section.name in (only or _NAMES)]
    machine.pin(machine.cores()[1])
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    with Progress(console, sum(section.steps(plan) for section in sections)) as progress:
        session = Session(plan, out, progress)
        with session.scratch(), asyncio.Runner(loop_factory=new_loop) as runner:
            for section in sections:
                runner.run(progress.measure(section, session))
    judged = verdicts(progress.figures)
    report.show(console, progress.figures, judged)
    report.write_json(out / "figures.json", plan, progress.figures, judged, progress.broken)
    files = [out / "figures.json", *plots.draw(out, progress.figures)]
    for name, reason in progress.broken.items():
        console.print(f"[red]Section {name} failed:[/] {reason}", highlight=False)
    if extent is SMOKE:
        console.print("This was a smoke test: the figures are meaningless.", highlight=False)
    held = sum(verdict.holds for verdict in judged)
    console.print(
        f"{held} of {len(judged)} bars hold; {len(BARS) - len(judged)} were not measured."
    )
    console.print("Written: " + ", ".join(map(str, files)), highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main(prog_name="python -m tests.bench")
