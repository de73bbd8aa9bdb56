"""End-to-end tests of the benchmark. They do not check the figures, which depend on the machine."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.bench.bars import BARS, verdicts
from tests.bench.contents import SECTIONS
from tests.bench.figures import Figure, Spread
from tests.bench.load import Exhausted, Sample, closed_loop, open_loop
from tests.bench.systems import Refused
from tests.bench.unary import failures_of
from tests.bench.work import OPERATIONS

ROOT = Path(__file__).parents[2]
PROC = Path("/proc/self/stat")
#: Each section measures for a while: minutes on a busy machine.
slow = pytest.mark.timeout(600)
needs_proc = pytest.mark.skipif(not PROC.exists(), reason="no /proc to read processor time from")


def bench(*arguments: str) -> str:
    """Run a smoke test of the benchmark and return its output."""
    command = (sys.executable, "-m", "tests.bench", "--smoke", *arguments)
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def read_figures(folder: Path) -> dict[str, Any]:
    """Read figures.json and check that no section failed."""
    found: dict[str, Any] = json.loads((folder / "figures.json").read_text("utf-8"))
    assert found["broken"] == {}
    return found


@needs_proc
@slow
def test_sections_of_calls_are_measured_and_shown(tmp_path: Path) -> None:
    only = ("unary", "open", "mixed", "list", "finished")
    text = bench("--out", str(tmp_path), *(f"--only={name}" for name in only))
    found = read_figures(tmp_path)
    assert found["machine"]["grpcio"]
    assert {figure["section"] for figure in found["figures"]} == set(only)
    unary = [figure for figure in found["figures"] if figure["section"] == "unary"]
    for operation in OPERATIONS:
        mine = [figure for figure in unary if figure["work"] == operation.name]
        assert {figure["system"] for figure in mine} == {"limit", "runsvc"}
        assert all(figure["values"]["rate"]["median"] > 0 for figure in mine)
        assert all(figure["values"]["load share"]["median"] > 0 for figure in mine)
        assert operation.name in text
    assert all(figure["failures"] == {} for figure in found["figures"])
    assert found["bars"]
    assert "bars hold" in text
    for name in ("latency", "throughput"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / f"{name}.svg").read_text("utf-8")


@needs_proc
@slow
def test_all_other_sections_are_measured(tmp_path: Path) -> None:
    only = ("seed", "floor", "memory", "start", "terms", "watch", "clients")
    bench("--out", str(tmp_path), "--peer", *(f"--only={name}" for name in only))
    found = read_figures(tmp_path)
    assert {figure["section"] for figure in found["figures"]} == set(only)
    assert all(figure["failures"] == {} for figure in found["figures"])
    works = {figure["work"] for figure in found["figures"] if figure["section"] == "watch"}
    assert {"one thread", "a thread each", "64 Get, beside one thread"} < works
    beyond = [
        (figure["work"], figure["system"])
        for figure in found["figures"]
        if "us beyond the stub" in figure["values"]
    ]
    clients = ("AsyncRunClient", "RunClient")
    assert beyond == [(work, each) for work in ("Get", "an event of a watch") for each in clients]
    # Of all files, only stores of finished runs and the figures remain.
    assert {file.suffix for file in tmp_path.iterdir()} == {".db", ".json"}


@needs_proc
@slow
def test_claims_are_measured(tmp_path: Path) -> None:
    text = bench("--out", str(tmp_path), "--only=claims")
    figures = read_figures(tmp_path)["figures"]
    systems = {(figure["work"], figure["system"]) for figure in figures}
    many = "runsvc, 200 waiting"
    assert systems == {
        ("Claim", "runsvc"),
        ("Claim", many),
        ("Claim", "a SQLite queue"),
        ("creation to start", "runsvc"),
        ("creation to start", many),
        ("shares of owners", many),
        ("lateness of delayed runs", "runsvc"),
    }
    assert all(figure["failures"] == {} for figure in figures)
    (shares,) = (figure["values"] for figure in figures if figure["work"] == "shares of owners")
    assert shares["runs of an owner"]["least"] > 0
    assert "a SQLite queue" in text


@needs_proc
@slow
def test_heartbeats_and_progress_are_measured_by_size_of_metadata(tmp_path: Path) -> None:
    bench("--out", str(tmp_path), "--only=payload")
    found = read_figures(tmp_path)
    works = {figure["work"] for figure in found["figures"] if "rate" in figure["values"]}
    written = {
        figure["work"]: figure["values"]["WAL bytes per call"]["median"]
        for figure in found["figures"]
        if "WAL bytes per call" in figure["values"]
    }
    sizes = ("small metadata", "60 kB of metadata")
    methods = ("Heartbeat", "UpdateProgress")
    assert works == written.keys() == {f"{each}, {size}" for each in methods for size in sizes}
    assert all(size > 0 for size in written.values())
    assert all(figure["failures"] == {} for figure in found["figures"])


def test_the_help_lists_every_section() -> None:
    text = bench("--help")
    for section in SECTIONS:
        assert section.name in text


class Idle:
    """A server without a process, which uses no processor time."""

    def cpu(self) -> float:
        return 0.0


async def test_failed_calls_do_not_count_as_successes() -> None:
    calls = iter(range(100))

    async def call() -> None:
        number = next(calls, None)
        await asyncio.sleep(0)
        if number is None:
            raise Exhausted
        if number % 4 == 0:
            raise Refused("Get: gRPC status 5")

    sample = await closed_loop(Idle(), call, 3, 60)  # type: ignore[arg-type]
    assert len(sample.latencies) == 75
    assert sample.failures == Counter({"Get: gRPC status 5": 25})
    assert failures_of([sample, sample]) == {"Get: gRPC status 5": 50}


async def test_an_open_loop_makes_calls_at_its_rate() -> None:
    async def call() -> None:
        raise Refused("no")

    sample = await open_loop(Idle(), call, 1_000, 0.02)  # type: ignore[arg-type]
    assert sample.latencies == []
    assert sample.failures == Counter(no=20)
    assert sample.rate == 0
    assert sample.percentile(0.99) == 0


def test_a_percentile_is_the_latency_of_the_slowest_call_within_it() -> None:
    sample = Sample(latencies=[float(number) for number in range(100)], seconds=10.0)
    assert sample.percentile(0.5) == 50.0
    assert sample.percentile(0.99) == 99.0
    assert sample.percentile(1.0) == 99.0
    assert sample.rate == 10.0


def figure(share: float, **failures: int) -> Figure:
    """A figure of Get with 64 callers."""
    values = {"share": Spread(share, share, share), "p99 ratio": Spread(2.5, 1.0, 9.0)}
    return Figure("unary", "Get (active)", "runsvc", 64, values, failures)


def test_a_bar_holds_when_its_bound_is_reached() -> None:
    held = {verdict.bar.value: verdict for verdict in verdicts([figure(0.8)])}
    assert held["share"].holds
    assert held["share"].margin == 0
    assert held["p99 ratio"].holds
    missed = verdicts([figure(0.6)])[0]
    assert not missed.holds
    assert missed.margin == pytest.approx(-0.25)


def test_no_bar_holds_if_calls_failed() -> None:
    assert not any(verdict.holds for verdict in verdicts([figure(2.0, refused=1)]))


def test_every_bar_has_one_bound() -> None:
    assert all((bar.at_least is None) != (bar.at_most is None) for bar in BARS)
