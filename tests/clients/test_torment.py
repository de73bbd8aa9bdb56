"""Executors of every language, whose work fails in every way, over a server that is disturbed all the time.

Afterwards no run is RUNNING without an executor beyond its lease, and at no time is one RUNNING without a lease.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import grpc
import pytest

from runsvc.v1 import run_pb2
from runsvc.v1 import run_service_pb2 as pb
from tests.clients.conftest import languages
from tests.clients.driver import Driver
from tests.support.calls import RUNNING, SNAPSHOT, SNAPSHOT_END
from tests.support.server import client_of
from tests.support.torment import Torment
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.server import Client

# Clients try to reconnect at least every 2.4 seconds: a shorter lease may run out after an outage.
LEASE_MS = 6_000
#: Runs that a driver executes at the same time.
RUNS = 12
#: Seconds in which a round ends: reports are repeated for a minute.
LIMIT = 150


class Torture:
    """Executors, one driver a language, that share a tormented server."""

    def __init__(self, folder: Path, seconds: float, *, restores: bool = False) -> None:
        self.folder = folder
        self.torment = Torment(folder)
        self.chance = Random("torment")
        self.end = time.monotonic() + seconds
        self._restores = restores
        #: The language of each run.
        self.runs: dict[str, str] = {}
        self.disturbances: Counter[str] = Counter()

    async def run(self, tested: list[str]) -> None:
        """Execute runs and disturb the server until the time is over."""
        async with asyncio.TaskGroup() as tasks:
            executors = [tasks.create_task(self._executor(language)) for language in tested]
            disturbing = tasks.create_task(self._disturb())
            observing = tasks.create_task(self._observe())
            await asyncio.wait(executors)
            await disturbing
            observing.cancel()

    async def _executor(self, language: str) -> None:
        env = {"RUNSVC_TARGET": self.torment.server.address}
        async with (
            client_of(self.torment.server.address) as client,
            Driver(language, env, self.folder / f"{language}.log") as driver,
        ):
            first = 0
            while time.monotonic() < self.end:
                await self._round(client, driver, first)
                first += RUNS

    async def _round(self, client: Client, driver: Driver, first: int) -> None:
        run_ids = [await self._created(client, driver.language) for _ in range(RUNS)]
        work_ms = self.chance.choice((10, 500, LEASE_MS // 2))
        await driver.send(
            {
                "cmd": "execute_all",
                "run_ids": run_ids,
                "first": first,
                "lease_ttl_ms": LEASE_MS,
                "work_ms": work_ms,
            }
        )
        await asyncio.sleep(work_ms / 2_000)
        with suppress(grpc.aio.AioRpcError):
            await client.runs.Cancel(pb.CancelRequest(run_id=run_ids[first % RUNS]), timeout=1)
        assert await driver.answer(LIMIT) == {"ok": {}}

    async def _created(self, client: Client, language: str) -> str:
        spec = run_pb2.RunSpec(thread_id=f"{language}-{len(self.runs)}")
        while True:
            with suppress(grpc.aio.AioRpcError):
                answer = await client.runs.Create(pb.CreateRequest(spec=spec), timeout=2)
                self.runs[answer.run.run_id] = language
                return answer.run.run_id
            await asyncio.sleep(0.1)

    async def _disturb(self) -> None:
        torment = self.torment
        restores = (torment.restore, torment.restore) if self._restores else ()
        disturbances = (*torment.disturbances, *restores)
        while time.monotonic() < self.end:
            await asyncio.sleep(self.chance.uniform(0.2, 2))
            disturb = self.chance.choice(disturbances)
            self.disturbances[getattr(disturb, "func", disturb).__name__] += 1
            await disturb()

    async def _observe(self) -> None:
        """Check that no run is RUNNING without a lease."""
        async with client_of(self.torment.server.address) as client:
            while True:
                with suppress(grpc.aio.AioRpcError):
                    await running(client)
                await asyncio.sleep(0.3)

    async def ends(self, client: Client) -> Counter[str]:
        """How many runs have which end, by language."""
        found: Counter[str] = Counter()
        for run_id, language in self.runs.items():
            found[f"{language} {await end_of(client, run_id)}"] += 1
        return found


async def end_of(client: Client, run_id: str) -> str:
    """The status of a run and its reason."""
    try:
        run = (await client.runs.Get(pb.GetRequest(run_id=run_id))).run
    except grpc.aio.AioRpcError as failure:
        if failure.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        # Lost with the state that a restored backup replaced.
        return "gone"
    status = run_pb2.RunStatus.Name(run.status).removeprefix("RUN_STATUS_")
    if not run.status_reason:
        return status
    return f"{status} {run_pb2.StatusReason.Name(run.status_reason)}"


async def running(client: Client) -> list[str]:
    """The ids of the runs that are RUNNING, each of which has a lease."""
    found = []
    stream = client.runs.StreamStatus(pb.StreamStatusRequest(all={}), timeout=5)
    async for event in stream:
        if event.event == SNAPSHOT_END:
            break
        if event.event == SNAPSHOT and event.run.status == RUNNING:
            assert event.run.HasField("lease"), event.run
            found.append(event.run.run_id)
    stream.cancel()
    return found


@pytest.mark.parametrize("restores", [False, True], ids=["kept", "restored"])
@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(15, id="short", marks=[pytest.mark.clients, pytest.mark.timeout(900)]),
        pytest.param(240, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1_200)]),
    ],
)
async def test_no_run_is_left_behind(
    request: pytest.FixtureRequest, tmp_path: Path, seconds: int, restores: bool
) -> None:
    torture = Torture(tmp_path, seconds, restores=restores)
    async with torture.torment.server as server:
        await torture.run(languages(request.config))
        async with client_of(server.address) as client:
            await until_none_runs(client)
            ends = await torture.ends(client)
    print(dict(torture.disturbances), *sorted(ends.items()), sep="\n")
    # A restored backup has runs RUNNING whose executors have reported their ends. Otherwise no lease of a living
    # executor expires, however its work fails.
    assert restores or not [end for end in ends if end.endswith(("LEASE_EXPIRED", "gone"))], ends


async def until_none_runs(client: Client) -> None:
    """Wait until no run is RUNNING."""

    async def none_is_running() -> bool:
        return not await running(client)

    await until(none_is_running, 10 * LEASE_MS / 1_000)


@pytest.mark.clients
async def test_the_runs_of_an_executor_that_is_killed_end_with_their_leases(
    language: str, tmp_path: Path
) -> None:
    torture = Torture(tmp_path, 0)
    async with torture.torment.server as server, client_of(server.address) as client:
        env = {"RUNSVC_TARGET": server.address}
        async with Driver(language, env, tmp_path / "log") as driver:
            run_ids = [await torture._created(client, language) for _ in range(3)]
            work = {"first": 0, "lease_ttl_ms": LEASE_MS, "work_ms": 60_000}
            await driver.send({"cmd": "execute_all", "run_ids": run_ids, **work})

            async def all_running() -> bool:
                return sorted(await running(client)) == sorted(run_ids)

            await until(all_running)
            await driver.kill()
            await until_none_runs(client)
        assert await torture.ends(client) == {f"{language} ERROR STATUS_REASON_LEASE_EXPIRED": 3}
