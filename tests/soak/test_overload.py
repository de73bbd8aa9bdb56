"""Three times the server's capacity, and abuse by one connection, with figures. Needs two cores without other load."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runsvc.v1 import run_pb2, run_service_pb2
from tests.bench.http2 import Connection, ConnectionLost
from tests.service.test_overload import runs_in
from tests.support.memory import needs_proc, resident
from tests.support.overload import CREATE, GET, HEALTH, Callers, creation
from tests.support.server import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = [pytest.mark.soak, needs_proc, pytest.mark.timeout(300)]

SECONDS = 5
#: Enough to keep the server busy in spite of its waits for the disk, fewer than its queue takes.
CALLERS = 200
MEBIBYTE = 1 << 20
LIST = "/runsvc.v1.RunService/ListByThread"
WATCH = "/runsvc.v1.RunService/StreamStatus"
#: A watch of all runs.
ALL = b"\x1a\x00"


def pin(pid: int, core: int) -> None:
    """Run all threads of a process on one core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    """A server on the first core, with this process on the last."""
    mine = os.sched_getaffinity(0)
    async with Process(tmp_path / "runs.db") as process:
        pin(process.pid, min(mine))
        os.sched_setaffinity(0, {max(mine)})
        yield process
        os.sched_setaffinity(0, mine)


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print figures although the test passes."""

    def show(figures: str) -> None:
        with capsys.disabled():
            print(f"\n{figures}")

    return show


class Probes:
    """Health checks ten times a second on a connection of their own, with a second's patience."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.latencies: list[float] = []
        self.failed = 0

    async def run(self) -> None:
        while True:
            begin = time.perf_counter()
            try:
                async with asyncio.timeout(1):
                    end = (await self._connection.unary(HEALTH, b"")).status
            except TimeoutError:
                end = -1
            self.failed += end != 0
            self.latencies.append(time.perf_counter() - begin)
            await asyncio.sleep(0.1)

    def __str__(self) -> str:
        slowest = max(self.latencies) * 1e3
        return f"health: {self.failed} of {len(self.latencies)} failed, slowest {slowest:.0f} ms"


class Background:
    """A coroutine that runs during a block."""

    def __init__(self, probes: Probes) -> None:
        self.probes = probes

    async def __aenter__(self) -> Probes:
        self._task = asyncio.create_task(self.probes.run())
        return self.probes

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        self.probes._connection.close()


async def probing(process: Process) -> Background:
    return Background(Probes(await Connection.open(process.address)))


async def test_three_times_the_capacity(process: Process, show: Callable[[str], None]) -> None:
    callers = await Callers.open(process.address)
    await callers.closed_loop(CALLERS, 1)
    normal = await callers.closed_loop(CALLERS, SECONDS)
    capacity, before = normal.answered / SECONDS, runs_in(process.db)
    async with await probing(process) as probes:
        loaded = await callers.at_rate(3 * capacity, SECONDS)
        await asyncio.sleep(2)
        made, after = runs_in(process.db) - before, await callers.closed_loop(CALLERS, 1)
    share = loaded.answered / SECONDS / capacity
    show(
        f"capacity {capacity:.0f}/s, p99 {normal.p99() * 1e3:.0f} ms; at three times: "
        f"{share:.2f} of it answered, p99 {loaded.p99() * 1e3:.0f} ms, ends {dict(loaded.ends)}, "
        f"runs made {made}, answered {loaded.created}, {resident(process.pid) // MEBIBYTE} MiB; "
        f"{probes}; then p99 {after.p99() * 1e3:.0f} ms"
    )
    assert share >= 0.8
    assert loaded.p99() <= 3 * normal.p99()
    assert made <= 1.1 * loaded.created
    assert resident(process.pid) < 200 * MEBIBYTE
    assert probes.failed == 0
    assert after.ends.keys() == {0}
    callers.close()


async def abused(
    process: Process, abuse: Callable[[Connection], None], connections: int = 1
) -> str:
    """Four callers beside connections that abuse the server in a loop. Return the figures."""
    callers = await Callers.open(process.address, 2)
    abusers = [await Connection.open(process.address) for _ in range(connections)]
    quiet = await callers.closed_loop(4, 1)

    async def repeat() -> None:
        with suppress(ConnectionLost):
            while True:
                for abuser in abusers:
                    abuse(abuser)
                await asyncio.sleep(0.001)

    async with await probing(process) as probes:
        task = asyncio.create_task(repeat())
        outcomes = await callers.closed_loop(4, SECONDS)
        task.cancel()
    memory = resident(process.pid)
    callers.close()
    for each in abusers:
        each.close()
    await asyncio.sleep(1)
    assert outcomes.answered > 0
    assert probes.failed == 0
    assert memory < 200 * MEBIBYTE
    return (
        f"others alone: {quiet.answered:.0f}/s, p99 {quiet.p99() * 1e3:.0f} ms; beside it: "
        f"{outcomes.answered / SECONDS:.0f}/s, p99 {outcomes.p99() * 1e3:.0f} ms, "
        f"slowest {max(outcomes.latencies) * 1e3:.0f} ms, ends {dict(outcomes.ends)}; "
        f"{memory // MEBIBYTE} MiB, afterwards {resident(process.pid) // MEBIBYTE} MiB; {probes}"
    )


@pytest.mark.parametrize("method", [CREATE, GET])
async def test_streams_that_are_reset_at_once(
    process: Process, show: Callable[[str], None], method: str
) -> None:
    message = creation() if method == CREATE else b"\x0a\x01x"

    def reset(connection: Connection) -> None:
        for _ in range(50):
            number = connection.next_stream
            connection.unary(method, message)
            connection.cancel(number)

    show(f"rapid reset of {method}: {await abused(process, reset)}")


async def test_ten_thousand_watches_on_one_connection(
    process: Process, show: Callable[[str], None]
) -> None:
    left = 10_000

    def watch(connection: Connection) -> None:
        nonlocal left
        while left:
            left -= 1
            connection.stream(WATCH, ALL, lambda _: None)

    show(f"10,000 watches: {await abused(process, watch)}")


async def test_compressed_requests(process: Process, show: Callable[[str], None]) -> None:
    """Twelve hundred creations of four megabytes of zeros, which take five megabytes on the wire."""
    zeros = gzip.compress(bytes(4 * MEBIBYTE - 100))
    left = 1_200

    def create(connection: Connection) -> None:
        nonlocal left
        for _ in range(min(left, 50)):
            left -= 1
            connection.unary(CREATE, zeros, (("grpc-encoding", "gzip"),), compressed=True)

    show(f"compressed requests: {await abused(process, create)}")


async def test_answers_that_are_not_taken(process: Process, show: Callable[[str], None]) -> None:
    """Five hundred lists of a megabyte on five connections whose windows are closed."""
    filling = await Connection.open(process.address)
    spec = run_pb2.RunSpec(thread_id="large", metadata={"text": "x" * 60_000})
    create = run_service_pb2.CreateRequest(spec=spec).SerializeToString()
    for _ in range(20):
        assert (await filling.unary("/runsvc.v1.RunService/Create", create)).status == 0
    filling.close()
    request = run_service_pb2.ListByThreadRequest(thread_id="large").SerializeToString()
    left = 500

    def ask(connection: Connection) -> None:
        nonlocal left
        for _ in range(min(left, 10)):
            left -= 1
            connection.unary(LIST, request)

    stalled = [await Connection.open(process.address, window=0) for _ in range(5)]
    turns = iter(range(1 << 30))

    def stall(_: Connection) -> None:
        ask(stalled[next(turns) % len(stalled)])

    show(f"answers not taken: {await abused(process, stall)}")
    for each in stalled:
        each.close()
