"""The extent of a benchmark: short, full, or a smoke test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The parameters of a benchmark."""

    #: Measurements of each operation on each system; figures are their medians.
    rounds: int
    #: Length of one measurement.
    seconds: float
    #: Numbers of concurrent callers, for every operation.
    in_flight: tuple[int, ...]
    #: Further numbers of concurrent callers, for CreateOrReject and Get only.
    extra_in_flight: tuple[int, ...]
    #: Whether files of finished runs are measured with every operation.
    all_operations: bool
    #: Numbers of finished runs in a file, and of concurrent callers on it.
    finished: tuple[int, ...]
    finished_in_flight: tuple[int, ...]
    #: Runs on the long thread, and in the memory of the seed's design.
    present_runs: int
    #: Numbers of concurrent watchers.
    watchers: tuple[int, ...]
    #: Watchers that resume at the same time.
    resuming_watchers: int
    #: Concurrent leases, and their length in seconds.
    leases: int
    lease_ttl: float
    #: Active runs in the files on which timeouts are measured.
    active_runs: int
    #: Runs per size of metadata that heartbeats and progress reports cycle through: one or more per caller, and
    #: few enough for the server's cache of runs.
    payload_runs: int
    #: Numbers of concurrent workers, runs that wait for them, and delayed runs.
    workers: tuple[int, ...]
    waiting_runs: int
    delayed_runs: int
    #: Runs that fill the recent log, and runs after that over which the growth of memory is measured.
    warmup_runs: int
    measured_runs: int
    #: Whether the peers are measured too, in every section of calls.
    peers: bool = False


BENCH = Plan(
    rounds=5,
    seconds=0.5,
    in_flight=(64,),
    extra_in_flight=(1, 8),
    all_operations=False,
    finished=(100_000,),
    finished_in_flight=(64,),
    present_runs=100_000,
    watchers=(1, 100, 1_000),
    resuming_watchers=1_000,
    leases=10_000,
    lease_ttl=30.0,
    active_runs=100_000,
    payload_runs=128,
    workers=(1, 8, 64),
    waiting_runs=100_000,
    delayed_runs=40,
    warmup_runs=40_000,
    measured_runs=60_000,
)
FULL = Plan(
    rounds=5,
    seconds=2.0,
    in_flight=(1, 8, 64, 256),
    extra_in_flight=(),
    all_operations=True,
    finished=(100_000, 1_000_000),
    finished_in_flight=(1, 8, 64, 256),
    present_runs=100_000,
    watchers=(1, 100, 10_000),
    resuming_watchers=10_000,
    leases=10_000,
    lease_ttl=30.0,
    active_runs=100_000,
    payload_runs=128,
    workers=(1, 8, 64),
    waiting_runs=100_000,
    delayed_runs=400,
    warmup_runs=40_000,
    measured_runs=200_000,
)
SMOKE = Plan(
    rounds=1,
    seconds=0.02,
    in_flight=(2,),
    extra_in_flight=(1,),
    all_operations=True,
    finished=(200,),
    finished_in_flight=(2,),
    present_runs=200,
    watchers=(1, 3),
    resuming_watchers=3,
    leases=20,
    lease_ttl=1.0,
    active_runs=200,
    payload_runs=8,
    workers=(1, 3),
    waiting_runs=200,
    delayed_runs=3,
    warmup_runs=20,
    measured_runs=20,
)
