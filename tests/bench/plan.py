"""How much is measured: a few minutes of it, all of it, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The extent of a benchmark."""

    #: Stretches of load of each kind and system; figures are their medians.
    rounds: int
    #: Length of a stretch.
    seconds: float
    #: Callers at a time, for every kind of work.
    in_flight: tuple[int, ...]
    #: Callers at a time, for CreateOrReject and Get only.
    also_in_flight: tuple[int, ...]
    #: Whether finished runs are measured with every kind of work.
    every_work: bool
    #: Finished runs in a file, and callers at a time on it.
    finished: tuple[int, ...]
    finished_in_flight: tuple[int, ...]
    #: Runs on the long thread, and in the seed's memory.
    present: int
    #: Watchers at a time.
    watchers: tuple[int, ...]
    #: Watchers that resume at once.
    resumed: int
    #: Leases at a time, and how long each is, in seconds.
    leased: int
    lease_ttl: float
    #: Active runs beside those whose time is limited.
    timed: int
    #: Runs that fill the ring of newest changes, and runs that are weighed after that.
    warm_runs: int
    weighed_runs: int
    #: Whether peers are measured beside runsvc wherever they can be.
    peers: bool = False


BENCH = Plan(
    rounds=5,
    seconds=0.5,
    in_flight=(64,),
    also_in_flight=(1, 8),
    every_work=False,
    finished=(100_000,),
    finished_in_flight=(64,),
    present=100_000,
    watchers=(1, 100, 1_000),
    resumed=1_000,
    leased=10_000,
    lease_ttl=30.0,
    timed=100_000,
    warm_runs=40_000,
    weighed_runs=60_000,
)
FULL = Plan(
    rounds=5,
    seconds=2.0,
    in_flight=(1, 8, 64, 256),
    also_in_flight=(),
    every_work=True,
    finished=(100_000, 1_000_000),
    finished_in_flight=(1, 8, 64, 256),
    present=100_000,
    watchers=(1, 100, 10_000),
    resumed=10_000,
    leased=10_000,
    lease_ttl=30.0,
    timed=100_000,
    warm_runs=40_000,
    weighed_runs=200_000,
)
SMOKE = Plan(
    rounds=1,
    seconds=0.02,
    in_flight=(2,),
    also_in_flight=(1,),
    every_work=True,
    finished=(200,),
    finished_in_flight=(2,),
    present=200,
    watchers=(1, 3),
    resumed=3,
    leased=20,
    lease_ttl=1.0,
    timed=200,
    warm_runs=20,
    weighed_runs=20,
)
