"""The report: tables on the terminal, and figures.json."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from tests.bench.bars import Verdict
    from tests.bench.figures import Figure, Spread
    from tests.bench.plan import Plan

_PACKAGES: Final = ("grpcio", "protobuf", "uvloop", "aiosqlite")


def machine() -> dict[str, Any]:
    """The machine and the versions that the figures belong to."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{package: version(package) for package in _PACKAGES},
    }


def write_json(
    file: Path,
    plan: Plan,
    figures: Sequence[Figure],
    judged: Sequence[Verdict],
    broken: dict[str, str],
) -> None:
    """Write every figure and verdict as JSON."""
    everything = {
        "machine": machine(),
        "plan": asdict(plan),
        "figures": [figure.as_json() for figure in figures],
        "bars": [verdict.as_json() for verdict in judged],
        "broken": broken,
    }
    file.write_text(json.dumps(everything, indent=1), "utf-8")


def show(console: Console, figures: Sequence[Figure], judged: Sequence[Verdict]) -> None:
    """Print the tables."""
    for section, mine in groupby(figures, lambda figure: figure.section):
        every = list(mine)
        rates = [figure for figure in every if "rate" in figure.values]
        if rates:
            console.print(_rates(section, rates))
        if others := [figure for figure in every if "rate" not in figure.values]:
            console.print(_others(section, others))
    if judged:
        console.print(_bars(judged))


def _rates(section: str, figures: Sequence[Figure]) -> Table:
    table = _table(section, "")
    for name in (
        "in\nflight",
        "\nper s",
        "\nshare",
        "\nfrom-to",
        "p50\nms",
        "p99\nms",
        "p99\nratio",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("CPU\nµs", "load's\nCPU", "\nfailed"):
        table.add_column(name, justify="right")
    for work, mine in groupby(figures, lambda figure: figure.work):
        table.add_row(f"[bold]{work}[/]")
        for figure in mine:
            table.add_row(f"  {figure.system}", *_rate(figure))
    return table


def _rate(figure: Figure) -> tuple[str, ...]:
    values, share = figure.values, figure.values["share"]
    return (
        str(figure.in_flight or ""),
        f"{values['rate'].median:,.0f}",
        f"{share.median:.2f}",
        f"{share.least:.2f}-{share.most:.2f}",
        f"{values['p50 ms'].median:.2f}",
        f"{values['p99 ms'].median:.2f}",
        f"{values['p99 ratio'].median:.2f}",
        f"{values['cpu us'].median:.0f}" if "cpu us" in values else "",
        f"{values['load share'].median:.0%}",
        _failed(figure),
    )


def _others(section: str, figures: Sequence[Figure]) -> Table:
    table = _table(section, "")
    for name in ("median", "least", "most"):
        table.add_column(name, justify="right")
    for work, mine in groupby(figures, lambda figure: figure.work):
        table.add_row(f"[bold]{work}[/]")
        for figure in mine:
            for name, spread in figure.values.items():
                table.add_row(f"  {figure.system}: {name}", *_texts(spread))
    return table


def _bars(judged: Sequence[Verdict]) -> Table:
    table = _table("bars", "")
    for name in ("bound", "measured", "", "by"):
        table.add_column(name, justify="right")
    for bar, measured, holds, margin in judged:
        bound = f"≥ {bar.at_least:,g}" if bar.at_least is not None else f"≤ {bar.at_most:,g}"
        word = "[green]holds[/]" if holds else "[red]missed[/]"
        table.add_row(bar.text, bound, f"{measured:,.2f}", word, f"{abs(margin):.0%}")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _texts(spread: Spread) -> tuple[str, str, str]:
    return (f"{spread.median:,.2f}", f"{spread.least:,.2f}", f"{spread.most:,.2f}")


def _failed(figure: Figure) -> str:
    return ", ".join(
        f"[red]{count:,} times {failure}[/]" for failure, count in figure.failures.items()
    )
