"""The bars: bounds on figures that runsvc is to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.bench.authentication import CERTIFICATE_NAME, JWT_NAME, TOKEN_NAME
from tests.bench.sections import name_with_runs
from tests.bench.work import LIST_MANY, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.figures import Figure


class Bar(NamedTuple):
    """A bound on one value of one figure."""

    text: str
    section: str
    work: str
    value: str
    #: None: the largest number measured.
    in_flight: int | None = 64
    system: str = "runsvc"
    at_least: float | None = None
    at_most: float | None = None

    def of(self, figures: Sequence[Figure]) -> Figure | None:
        """The figure that the bar applies to, or None if it was not measured."""
        wanted = (self.section, self.work, self.system)
        found = [each for each in figures if (each.section, each.work, each.system) == wanted]
        found = [each for each in found if self.in_flight in (None, each.in_flight)]
        return max(found, key=lambda each: each.in_flight, default=None)


class Verdict(NamedTuple):
    """A bar and its measured value."""

    bar: Bar
    measured: float
    holds: bool
    #: Distance from the bound, as a share of it; negative if the bar is missed.
    margin: float

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON-compatible values."""
        return self.bar._asdict() | {
            "measured": self.measured,
            "holds": self.holds,
            "margin": self.margin,
        }


def verdicts(figures: Sequence[Figure]) -> list[Verdict]:
    """The verdicts on all bars with a measured figure."""
    judged = []
    for bar in BARS:
        figure = bar.of(figures)
        if figure is not None:
            judged.append(_judged(bar, figure))
    return judged


def _judged(bar: Bar, figure: Figure) -> Verdict:
    measured = figure.values[bar.value].median
    bound = bar.at_least if bar.at_least is not None else bar.at_most
    assert bound is not None
    margin = (measured - bound) / bound * (1 if bar.at_least is not None else -1)
    # A bar is missed if any call failed.
    failed = bool(figure.failures)
    return Verdict(bar, measured, margin >= 0 and not failed, margin)


def _unary(work: str, at_least: float, in_flight: int = 64) -> Bar:
    text = f"{work} at {in_flight}: share of the limit"
    return Bar(text, "unary", work, "share", in_flight, at_least=at_least)


def _of_finished(count: int) -> list[Bar]:
    bars = []
    system = name_with_runs(count)
    for work in (*OPERATIONS, LIST_MANY):
        text = f"{work.name} on {count:,} finished runs: share of the rate without them"
        bars.append(Bar(text, "finished", work.name, "share", system=system, at_least=0.85))
        text = f"{work.name} on {count:,} finished runs: CPU per call relative to none"
        # The bound allows for the noise between two runs of the same server.
        bars.append(Bar(text, "finished", work.name, "cpu ratio", system=system, at_most=1.05))
    text = f"memory at start on {count:,} finished runs: bytes per run"
    bars.append(Bar(text, "start", "start", "bytes per run", None, system, at_most=16))
    text = f"start on {count:,} finished runs: seconds added"
    return [*bars, Bar(text, "start", "start", "seconds added", None, system, at_most=0.1)]


BARS: Final = (
    _unary("Get (active)", 0.8),
    _unary("Get (finished)", 0.8),
    Bar(
        "ListByThread, 20 newest of 100,000: share of the limit",
        "list",
        LIST_MANY.name,
        "share",
        at_least=0.65,
    ),
    _unary("CreateOrReject", 0.6),
    _unary("CreateOrReject", 0.6, 8),
    _unary("CreateOrReject", 0.3, 1),
    _unary("SetStatus", 0.7),
    _unary("Cancel", 0.7),
    _unary("Complete", 0.7),
    _unary("UpdateProgress", 0.75),
    Bar(
        "CreateOrReject at half of the limit's rate: p99 relative to the limit's",
        "open",
        "CreateOrReject at a fixed rate",
        "p99 ratio",
        None,
        at_most=3,
    ),
    *(
        Bar(
            f"{work.name} at 64: p99 relative to the limit's",
            "unary",
            work.name,
            "p99 ratio",
            at_most=2.5,
        )
        # A whole life is thirteen calls, so its percentiles do not compare.
        for work in OPERATIONS
        if work.name != "whole life"
    ),
    Bar(
        "ListByThread, 20 newest of 100,000: p99 relative to the limit's",
        "list",
        LIST_MANY.name,
        "p99 ratio",
        at_most=2.5,
    ),
    Bar(
        "Get while 64 create: p50 relative to the limit's",
        "mixed",
        "Get while 64 create",
        "p50 ratio",
        1,
        at_most=1.5,
    ),
    *_of_finished(100_000),
    *_of_finished(1_000_000),
    Bar(
        "memory of an active run beyond its payload: bytes",
        "memory",
        "an active run",
        "bytes beyond payload",
        None,
        at_most=1_024,
    ),
    Bar("memory of a finished run: bytes", "memory", "a finished run", "bytes", None, at_most=16),
    Bar(
        "CreateOrReject at 64: multiple of the seed's rate",
        "seed",
        "CreateOrReject",
        "share",
        at_least=2,
    ),
    Bar(
        "CreateOrReject at 64 with 100,000 runs present: multiple of the seed's rate",
        "seed",
        "CreateOrReject, 100,000 present",
        "share",
        at_least=10,
    ),
    Bar(
        "Get while 64 create: p50 relative to the seed's",
        "seed",
        "Get while 64 create",
        "p50 ratio",
        1,
        at_most=0.2,
    ),
    Bar(
        "10,000 leases of 30 s: share of leases kept",
        "terms",
        "10,000 leases of 30 s, renewed every 10 s",
        "share of leases kept",
        None,
        at_least=1,
    ),
    Bar(
        "10,000 leases of 30 s: worst renewal, in ms",
        "terms",
        "10,000 leases of 30 s, renewed every 10 s",
        "worst renewal ms",
        None,
        at_most=1_000,
    ),
    *(
        Bar(
            f"{work} with timeouts, 100,000 active runs: CPU per call relative to no timeouts",
            "terms",
            f"{work} beside 100,000 active",
            "cpu ratio",
            system="runsvc, timeouts",
            at_most=1.1,
        )
        for work in ("Create", "Complete")
    ),
    Bar(
        "Claim at 64 with 100,000 waiting: CPU per call relative to few waiting",
        "claims",
        "Claim",
        "cpu ratio",
        system="runsvc, 100k waiting",
        at_most=1.1,
    ),
    *(
        Bar(
            f"{count} idle workers: creation answered to run received, p50 in ms",
            "claims",
            "creation to start",
            "p50 ms",
            count,
            "runsvc",
            at_most=10,
        )
        for count in (1, 8, 64)
    ),
    Bar(
        "one of ten owners has 90 % of 100,000 waiting: runs beyond an owner's share",
        "claims",
        "shares of owners",
        "furthest from its share",
        None,
        "runsvc, 100k waiting",
        at_most=1,
    ),
    Bar(
        "runs with a not_before, idle server: worst lateness in ms",
        "claims",
        "lateness of delayed runs",
        "worst ms",
        0,
        at_most=50,
    ),
    *(
        Bar(
            f"{work} with a {system}: CPU per call relative to no authentication",
            "authentication",
            work,
            "cpu ratio",
            system=system,
            at_most=1.05,
        )
        for system in (TOKEN_NAME, JWT_NAME, CERTIFICATE_NAME)
        for work in ("CreateOrReject", "Get (active)")
    ),
    *(
        Bar(
            f"{client}, {work}: the client's CPU relative to its stub's",
            "clients",
            work,
            "cpu ratio",
            None,
            client,
            at_most=1.15,
        )
        for client in ("AsyncRunClient", "RunClient")
        for work in ("Get", "an event of a watch")
    ),
    Bar(
        "watch, no other calls: deliveries per second as a share of the limit's",
        "watch",
        "one thread",
        "share",
        None,
        at_least=0.8,
    ),
    Bar(
        "watch beside 64 Get: deliveries per second as a share of the limit's without other calls",
        "watch",
        "one thread, beside 64 Get",
        "share",
        None,
        at_least=0.25,
    ),
    Bar(
        "64 Get beside a watch: p99 relative to no watch",
        "watch",
        "64 Get, beside one thread",
        "p99 ratio",
        None,
        at_most=8,
    ),
    Bar(
        "memory of an idle watcher, beyond an idle stream of the limit: bytes",
        "watch",
        "memory of an idle watcher",
        "bytes beyond the limit's",
        None,
        at_most=4_096,
    ),
)
