"""Calls at a fixed rate with short deadlines, from callers that do not wait for each other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

from runsvc.v1 import run_pb2, run_service_pb2
from tests.bench.http2 import Connection, ConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CREATE: Final = "/runsvc.v1.RunService/CreateOrReject"
GET: Final = "/runsvc.v1.RunService/Get"
HEALTH: Final = "/grpc.health.v1.Health/Check"
#: Outcomes beside the gRPC statuses.
OVERDUE, LOST = -2, -3

_threads = count()


@dataclass
class Outcomes:
    """The ends of calls."""

    #: Latencies of the answered calls, in seconds.
    latencies: list[float] = field(default_factory=list)
    created: int = 0
    #: By gRPC status, RESET, OVERDUE or LOST.
    ends: Counter[int] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        return len(self.latencies)

    def p99(self) -> float:
        """The latency in seconds that 99 % of the answered calls did not exceed."""
        return sorted(self.latencies)[int(0.99 * (self.answered - 1))] if self.latencies else 0.0


class Callers:
    """Connections that take turns with calls: half CreateOrReject on new threads, half Get of one run."""

    def __init__(self, connections: list[Connection], run_id: str, deadline: float) -> None:
        self.connections = connections
        self._get = run_service_pb2.GetRequest(run_id=run_id).SerializeToString()
        self._deadline = deadline
        self._headers = (("grpc-timeout", f"{int(deadline * 1_000)}m"),)

    @classmethod
    async def open(cls, address: str, connections: int = 50, deadline: float = 1.0) -> Callers:
        opened = [await Connection.open(address) for _ in range(connections)]
        reply = await opened[0].unary(CREATE, creation())
        run_id = run_service_pb2.CreateOrRejectResponse.FromString(reply.message).run.run_id
        return cls(opened, run_id, deadline)

    def close(self) -> None:
        for each in self.connections:
            each.close()

    async def call(self, number: int, outcomes: Outcomes) -> None:
        """Make a call and note its end. A caller gives up at its deadline."""
        connection = self.connections[number % len(self.connections)]
        begin = time.perf_counter()
        method, message = (CREATE, creation()) if number % 2 else (GET, self._get)
        try:
            stream = connection.next_stream
            ended = connection.unary(method, message, self._headers)
            async with asyncio.timeout(self._deadline):
                end = (await ended).status
        except TimeoutError:
            with suppress(ConnectionLost):
                connection.cancel(stream)
            end = OVERDUE
        except ConnectionLost:
            end = LOST
        outcomes.ends[end] += 1
        if end == 0:
            outcomes.latencies.append(time.perf_counter() - begin)
            outcomes.created += number % 2

    async def at_rate(self, rate: float, seconds: float) -> Outcomes:
        """Make calls at a fixed rate."""
        outcomes, calls = Outcomes(), set[asyncio.Task[None]]()
        async for number in _ticks(rate, seconds):
            task = asyncio.create_task(self.call(number, outcomes))
            calls.add(task)
            task.add_done_callback(calls.discard)
        await asyncio.gather(*calls)
        return outcomes

    async def closed_loop(self, callers: int, seconds: float) -> Outcomes:
        """Make calls from some callers, each of which waits for its answer before its next call."""
        outcomes, end, numbers = Outcomes(), time.perf_counter() + seconds, count()

        async def caller() -> None:
            while time.perf_counter() < end:
                await self.call(next(numbers), outcomes)

        await asyncio.gather(*(caller() for _ in range(callers)))
        return outcomes


async def _ticks(rate: float, seconds: float) -> AsyncIterator[int]:
    begin = time.perf_counter()
    for number in range(int(rate * seconds)):
        if (early := begin + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        elif number % 64 == 0:
            await asyncio.sleep(0)
        yield number


def creation() -> bytes:
    """A request that creates a run on a new thread."""
    spec = run_pb2.RunSpec(thread_id=f"load-{next(_threads)}")
    return run_service_pb2.CreateOrRejectRequest(spec=spec).SerializeToString()
