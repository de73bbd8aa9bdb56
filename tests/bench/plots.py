"""Plots: latency of each operation, and throughput by number of callers."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from tests.bench.figures import Figure

_PERCENTILES: Final = ("p50 ms", "p90 ms", "p99 ms")
#: Opacity of the bars of one system, from light to dark.
_SHADES: Final = (0.35, 0.6, 1.0)


def draw(folder: Path, figures: Sequence[Figure]) -> list[Path]:
    """Write each plot that has figures, as SVG and PNG, and return the files."""
    unary = [figure for figure in figures if figure.section == "unary"]
    if not unary:
        return []
    most = max({figure.in_flight for figure in unary}, key=lambda n: _works(unary, n))
    files = _written(folder / "latency", _latencies(unary, most))
    return files + _written(folder / "throughput", _throughput(unary))


def _works(figures: Sequence[Figure], in_flight: int) -> tuple[int, bool]:
    """Sort key: the number of operations measured with this many callers; 64 wins a tie, as most bars are about it."""
    return len([each for each in figures if each.in_flight == in_flight]), in_flight == 64


def _latencies(figures: Sequence[Figure], in_flight: int) -> Drawing:
    mine = [figure for figure in figures if figure.in_flight == in_flight]
    works = list(dict.fromkeys(figure.work for figure in mine))
    systems = list(dict.fromkeys(figure.system for figure in mine))
    drawing, axes = plt.subplots(figsize=(9, 1 + 0.28 * len(works) * len(systems)))
    height = 0.8 / len(systems)
    for figure in mine:
        place = works.index(figure.work) + height * systems.index(figure.system)
        color = f"C{systems.index(figure.system)}"
        for name, shade in reversed(list(zip(_PERCENTILES, reversed(_SHADES), strict=True))):
            axes.barh(place, figure.values[name].median, height * 0.9, color=color, alpha=shade)
    for index, system in enumerate(systems):
        axes.barh(0, float("nan"), color=f"C{index}", label=system)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(works))], works)
    axes.invert_yaxis()
    # Linear bars would be dominated by "whole life", which is thirteen calls.
    axes.set_xscale("log")
    axes.set_xlim(left=min(figure.values["p50 ms"].median for figure in mine) / 2 or None)
    axes.set_xlabel(f"ms at {in_flight} in flight: p50 (dark), p90, p99 (light)")
    axes.legend()
    return drawing


def _throughput(figures: Sequence[Figure]) -> Drawing:
    lines: dict[str, dict[str, list[Figure]]] = defaultdict(lambda: defaultdict(list))
    for figure in figures:
        lines[figure.work][figure.system].append(figure)
    works = [work for work, systems in lines.items() if max(map(len, systems.values())) > 1]
    works = works or list(lines)
    rows = -(-len(works) // 3)
    drawing, grid = plt.subplots(
        rows, 3, figsize=(11, 0.6 + 2.6 * rows), squeeze=False, sharex=True
    )
    for axes, work in zip(grid.flat, works, strict=False):
        _throughput_of(axes, work, lines[work])
    for axes in grid.flat[len(works) :]:
        axes.set_axis_off()
    return drawing


def _throughput_of(axes: Axes, work: str, systems: dict[str, list[Figure]]) -> None:
    counts: list[int] = []
    for system, mine in systems.items():
        points = sorted(mine, key=lambda figure: figure.in_flight)
        rates = [figure.values["rate"] for figure in points]
        counts = [figure.in_flight for figure in points]
        (line,) = axes.plot(counts, [rate.median for rate in rates], marker="o", label=system)
        least, most = [rate.least for rate in rates], [rate.most for rate in rates]
        axes.fill_between(counts, least, most, alpha=0.2, color=line.get_color())
    axes.set_title(work, fontsize="medium")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("in flight")
    axes.set_ylabel("calls per second")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")


def _written(file: Path, drawing: Drawing) -> list[Path]:
    drawing.tight_layout()
    files = [file.with_suffix(suffix) for suffix in (".svg", ".png")]
    for each in files:
        drawing.savefig(each, dpi=120)
    plt.close(drawing)
    return files
