"""Three times the server's capacity, and abuse by one connection, with figures. Needs two cores without other load."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bench.http2 import Connection, ConnectionLost
from tests.service.test_overload import runs_in
from tests.support.memory import needs_proc, resident
from tests.support.overload import CREATE, HEALTH, Callers, creation
from tests.support.server import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = [pytest.mark.soak, needs_proc, pytest.mark.timeout(300)]

SECONDS = 5
MEBIBYTE = 1 << 20
WATCH = "/runsvc.v1.RunService/StreamStatus"


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


async def test_three_times_the_capacity(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    callers = await Callers.open(process.address)
    await callers.closed_loop(64, 1)
    normal = await callers.closed_loop(64, SECONDS)
    capacity, before = normal.answered / SECONDS, runs_in(process.db)
    loaded = await callers.at_rate(3 * capacity, SECONDS)
    await asyncio.sleep(2)
    made, after = runs_in(process.db) - before, await callers.closed_loop(64, 1)
    share = loaded.answered / SECONDS / capacity
    with capsys.disabled():
        print(
            f"\ncapacity {capacity:.0f}/s, p99 {normal.p99() * 1e3:.0f} ms; at three times: "
            f"{share:.2f} of it answered, p99 {loaded.p99() * 1e3:.0f} ms, ends {dict(loaded.ends)}, "
            f"runs made {made}, answered {loaded.created}, {resident(process.pid) // MEBIBYTE} MiB; "
            f"then p99 {after.p99() * 1e3:.0f} ms"
        )
    assert share >= 0.8
    assert made <= 1.1 * loaded.created
    assert resident(process.pid) < 200 * MEBIBYTE
    assert after.ends.keys() == {0}
    callers.close()


async def abused(process: Process, abuse: Callable[[Connection], None]) -> str:
    """Four callers beside a connection that abuses the server in a loop. Return the figures."""
    callers, abuser = await Callers.open(process.address, 2), await Connection.open(process.address)

    async def repeat() -> None:
        with suppress(ConnectionLost):
            while True:
                abuse(abuser)
                await asyncio.sleep(0.001)

    task = asyncio.create_task(repeat())
    outcomes = await callers.closed_loop(4, SECONDS)
    task.cancel()
    memory = resident(process.pid)
    assert (await callers.connections[0].unary(HEALTH, b"")).status == 0
    assert outcomes.answered > 0
    assert memory < 200 * MEBIBYTE
    callers.close()
    abuser.close()
    p99, ends = outcomes.p99() * 1e3, dict(outcomes.ends)
    return f"others: p99 {p99:.0f} ms, ends {ends}; {memory // MEBIBYTE} MiB"


async def test_streams_that_are_reset_at_once(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    def reset(connection: Connection) -> None:
        for _ in range(50):
            number = connection.next_stream
            connection.unary(CREATE, creation())
            connection.cancel(number)

    figures = await abused(process, reset)
    with capsys.disabled():
        print(f"\nrapid reset: {figures}")


async def test_ten_thousand_watches_on_one_connection(
    process: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    left = 10_000

    def watch(connection: Connection) -> None:
        nonlocal left
        # The message is a watch of all runs.
        while left:
            left -= 1
            connection.stream(WATCH, b"\x1a\x00", lambda _: None)

    figures = await abused(process, watch)
    with capsys.disabled():
        print(f"\n10,000 watches: {figures}")
