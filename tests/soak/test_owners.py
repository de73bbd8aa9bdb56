"""Owners apart, with figures: what an owner can learn from times, and what the load of one owner does to another."""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from runsvc.client import AsyncRunClient
from runsvc.v1.run_pb2 import RunSpec
from runsvc.v1.run_service_pb2 import CreateRequest, GetRequest
from tests.support.identities import Identity
from tests.support.server import Process, client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.server import Client

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

PAIRS: Final = 10_000
#: The two-sided limit of a standard normal variable at a level of 0.001.
LIMIT: Final = 3.29
RATE: Final = 300
SECONDS: Final = 60
FLOOD: Final = Path(__file__).parents[1] / "support" / "flood.py"


def of(client: Client, owner: str) -> Any:
    """The calls of one owner."""
    return Identity("", None, owner).calls(client).runs


async def seconds_of(call: Any) -> float:
    """How long a call takes, whether it fails or not."""
    began = time.perf_counter()
    await call.code()
    return time.perf_counter() - began


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print figures although the test passes."""

    def show(figures: str) -> None:
        with capsys.disabled():
            print(f"\n{figures}")

    return show


async def test_the_time_of_a_refusal_tells_nothing_about_a_run(
    tmp_path: Path, show: Callable[[str], None]
) -> None:
    """Sign test over pairs of calls, one for a run of another owner and one for an unknown id, in random order.

    If the two cannot be told apart, each is the slower one of its pair in half of the pairs. The test fails if the
    share differs from a half at the level of 0.001. The times of single calls may have any distribution.
    """
    async with Process(tmp_path / "runs.db") as process, client_of(process.address) as client:
        theirs, mine = of(client, "theirs"), of(client, "mine")
        spec = RunSpec(thread_id="t", kwargs={"input": "x" * 10_000})
        foreign = [(await theirs.Create(CreateRequest(spec=spec))).run.run_id for _ in range(100)]
        slower, differences = 0, []
        for _ in range(PAIRS):
            pair = [(random.choice(foreign), True), (str(uuid4()), False)]
            random.shuffle(pair)
            took = {
                is_foreign: await seconds_of(mine.Get(GetRequest(run_id=run_id)))
                for run_id, is_foreign in pair
            }
            slower += took[True] > took[False]
            differences.append(took[True] - took[False])
    deviation = (slower - PAIRS / 2) / (sqrt(PAIRS) / 2)
    median = statistics.median(differences) * 1e6
    show(
        f"foreign slower in {slower} of {PAIRS} pairs, z = {deviation:.2f}, median {median:.2f} us"
    )
    assert abs(deviation) < LIMIT


async def times_of(client: AsyncRunClient, run_id: str, seconds: float) -> list[float]:
    """The times of calls of an owner that makes one after the other, with pauses. The client may repeat them."""
    calls, times, end = client.for_owner("calm"), [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        await calls.get(run_id)
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.02)
    return sorted(times)


async def test_the_load_of_one_owner_does_not_slow_another_down(
    tmp_path: Path, show: Callable[[str], None]
) -> None:
    """One owner keeps 250 calls under way, all that a connection takes, for a minute. Each is repeated at once."""
    async with (
        Process(tmp_path / "runs.db", "--max-rate-per-owner", str(RATE)) as process,
        AsyncRunClient(process.address) as client,
    ):
        run_id = (await client.for_owner("calm").create(RunSpec(thread_id="t"))).run.run_id
        before = await times_of(client, run_id, 5)
        flood = await asyncio.create_subprocess_exec(
            sys.executable, str(FLOOD), process.address, "wild", str(SECONDS),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        during = await times_of(client, run_id, SECONDS)
        output, _ = await flood.communicate()
        after = await times_of(client, run_id, 5)
    found = []
    for share in (0.5, 0.95):
        one, two, three = (each[int(len(each) * share)] * 1e3 for each in (before, during, after))
        found.append((one, two, three))
        show(f"{share:.0%}: {one:.1f} ms before, {two:.1f} during, {three:.1f} after the flood")
    show(f"flood: {output.decode().strip()}")
    for one, two, three in found:
        assert two <= 3 * one
        assert three <= 3 * one
