"""Load: calls in a closed loop or at a fixed rate, and their latencies and failures."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.bench.systems import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bench.machine import Server


class Exhausted(Exception):
    """The prepared runs are used up."""


@dataclass
class Sample:
    """One measurement of one system."""

    #: Latencies of the successful calls in seconds, sorted.
    latencies: list[float] = field(default_factory=list)
    #: Failed calls, counted by message.
    failures: Counter[str] = field(default_factory=Counter)
    #: Length of the measurement in seconds.
    seconds: float = 0.0
    #: Processor time of the server and of the load, in seconds.
    server_cpu: float = 0.0
    load_cpu: float = 0.0
    #: The sample of other callers in the same measurement.
    concurrent: Sample | None = None

    @property
    def rate(self) -> float:
        """Successful calls per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    @property
    def cpu_per_call(self) -> float:
        """The server's processor time per successful call, in seconds."""
        return self.server_cpu / len(self.latencies) if self.latencies else 0.0

    @property
    def load_share(self) -> float:
        """Share of its core that the load used."""
        return self.load_cpu / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """The latency in seconds that this share of the calls did not exceed."""
        if not self.latencies:
            return 0.0
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


async def closed_loop(
    server: Server, call: Callable[[], Awaitable[object]], in_flight: int, seconds: float
) -> Sample:
    """Run this many callers, each of which makes its next call when the last one has ended."""
    sample = Sample()
    begin = time.perf_counter()
    end = begin + seconds

    async def caller() -> None:
        while time.perf_counter() < end:
            try:
                await _timed(sample, call)
            except Exhausted:
                return

    with Usage(sample, server):
        await asyncio.gather(*(caller() for _ in range(in_flight)))
    return sample


async def open_loop(
    server: Server, call: Callable[[], Awaitable[object]], rate: float, seconds: float
) -> Sample:
    """Make calls at a fixed rate, without waiting for earlier ones. A latency counts from when its call was due."""
    sample = Sample()
    calls = []
    with Usage(sample, server):
        begin = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            calls.append(asyncio.create_task(_timed(sample, call, due)))
        await asyncio.gather(*calls)
    return sample


async def _timed(
    sample: Sample, call: Callable[[], Awaitable[object]], begin: float | None = None
) -> None:
    if begin is None:
        begin = time.perf_counter()
    try:
        await call()
    except Refused as refused:
        sample.failures[str(refused)] += 1
    else:
        sample.latencies.append(time.perf_counter() - begin)


class Usage:
    """Records the length and the processor time of a measurement."""

    def __init__(self, sample: Sample, server: Server) -> None:
        self._sample = sample
        self._server = server

    def __enter__(self) -> None:
        self._server_cpu = self._server.cpu()
        self._load_cpu = time.process_time()
        self._begin = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        sample = self._sample
        sample.seconds = time.perf_counter() - self._begin
        sample.load_cpu = time.process_time() - self._load_cpu
        sample.server_cpu = self._server.cpu() - self._server_cpu
        sample.latencies.sort()
