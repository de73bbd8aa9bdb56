"""Calls at a fixed rate with short deadlines, from callers that do not wait for each other."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.v1 import run_pb2, run_service_pb2
from tests.bench.http2 import Connection, ConnectionLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bench.http2 import Reply

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

    def note(self, begin: float, created: int, ended: asyncio.Future[Reply]) -> None:
        """Note the end of a call that was not given up."""
        if ended.cancelled():
            return
        end = LOST if ended.exception() else ended.result().status
        self.ends[end] += 1
        if end == 0:
            self.latencies.append(time.perf_counter() - begin)
            self.created += created

    def p99(self) -> float:
        """The latency in seconds that 99 % of the answered calls did not exceed."""
        return sorted(self.latencies)[int(0.99 * (self.answered - 1))] if self.latencies else 0.0


class _Waiting(NamedTuple):
    until: float
    connection: Connection
    stream: int
    ended: asyncio.Future[Reply]


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
        """Make calls at a fixed rate, without a task for each: the load must not limit itself."""
        outcomes, waiting = Outcomes(), deque[_Waiting]()
        async for number in _ticks(rate, seconds):
            self._give_up(waiting, outcomes)
            self._begin(number, waiting, outcomes)
        while waiting:
            await asyncio.sleep(0.01)
            self._give_up(waiting, outcomes)
        return outcomes

    def _begin(self, number: int, waiting: deque[_Waiting], outcomes: Outcomes) -> None:
        connection = self.connections[number % len(self.connections)]
        method, message = (CREATE, creation()) if number % 2 else (GET, self._get)
        begin, stream = time.perf_counter(), connection.next_stream
        try:
            ended = connection.unary(method, message, self._headers)
        except ConnectionLost:
            outcomes.ends[LOST] += 1
            return
        ended.add_done_callback(partial(outcomes.note, begin, number % 2))
        waiting.append(_Waiting(begin + self._deadline, connection, stream, ended))

    def _give_up(self, waiting: deque[_Waiting], outcomes: Outcomes) -> None:
        """Cancel the calls whose deadline is over. All have the same deadline, so the first call ends first."""
        now = time.perf_counter()
        while waiting and (waiting[0].until < now or waiting[0].ended.done()):
            _, connection, stream, ended = waiting.popleft()
            if not ended.done():
                outcomes.ends[OVERDUE] += 1
                connection.cancel(stream)

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
