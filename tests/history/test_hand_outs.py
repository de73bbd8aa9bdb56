"""Recorded hand-outs: claimers in processes that are killed, over a server that is killed, stopped and disturbed."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import suppress
from itertools import cycle, islice
from random import Random
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from runsvc.v1 import run_pb2
from runsvc.v1 import run_service_pb2 as pb
from tests.history.claimer import ASSISTANTS
from tests.history.hand_out_checker import violations
from tests.history.hand_outs import Step, Took, steps_in, taken_in
from tests.support.server import Client, client_of
from tests.support.torment import Torment
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

PROCESSES = 4
#: Creations at a time.
PARALLEL = 16
#: Runs that wait for each other on one thread.
PER_THREAD = 25
SNAPSHOT_END = 2


class Claimers:
    """Processes of claimers. One that is killed is replaced."""

    def __init__(self, folder: Path, address: str, claimers: int) -> None:
        self._folder = folder
        self._address = address
        self._each = claimers // PROCESSES
        self._programs: list[asyncio.subprocess.Process] = []
        self.files: list[Path] = []

    async def start(self) -> None:
        for _ in range(PROCESSES):
            self._programs.append(await self._started())

    async def kill_one(self) -> None:
        """Kill the oldest process. Nothing ends the runs that it has but their leases."""
        oldest = self._programs.pop(0)
        oldest.kill()
        await oldest.wait()
        self._programs.append(await self._started())

    async def stop(self) -> None:
        for program in self._programs:
            assert program.returncode is None, "claimers have failed"
            program.kill()
        await asyncio.gather(*(program.wait() for program in self._programs))

    async def _started(self) -> asyncio.subprocess.Process:
        name = f"w{len(self.files)}"
        self.files.append(self._folder / f"{name}.jsonl")
        arguments = [self._address, str(self.files[-1]), name, str(self._each)]
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.history.claimer", *arguments
        )


class Creator:
    """Creates the runs, over all disturbances. One of four owners has 90 % of them."""

    def __init__(self, client: Client, runs: int) -> None:
        self._client = client
        self._numbers: Iterator[int] = iter(range(runs))
        self._chance = Random(runs)
        self.created: set[str] = set()

    async def create(self) -> None:
        await asyncio.gather(*(self._create_some() for _ in range(PARALLEL)))

    async def _create_some(self) -> None:
        for number in self._numbers:
            spec = run_pb2.RunSpec(
                thread_id=f"t{number}",
                assistant_id=self._chance.choice(ASSISTANTS),
                priority=self._chance.choice((1, 3, 3, 5)),
                retry=run_pb2.Retry(max_attempts=self._chance.choice((3, 10))),
            )
            owner = self._chance.choices(("much", "x", "y", "z"), (27, 1, 1, 1))[0]
            if number % 2:
                await self._until_created("Create", number, spec, owner)
                continue
            spec.thread_id = f"in-order-{number // (2 * PER_THREAD)}"
            spec.multitask_strategy = run_pb2.MULTITASK_STRATEGY_ENQUEUE
            await self._until_created("CreateOrReject", number, spec, "much")

    async def _until_created(
        self, method: str, number: int, spec: run_pb2.RunSpec, owner: str
    ) -> None:
        request = getattr(pb, f"{method}Request")(spec=spec, request_id=f"q{number}")
        metadata = (("runsvc-owner", owner),)
        while True:
            try:
                stub: Any = getattr(self._client.runs, method)
                answer = await stub(request, timeout=5, metadata=metadata)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)
            else:
                self.created.add(answer.run.run_id)
                return


async def all_ended(client: Client) -> bool:
    """Return True if no run is active or queued. While the server is away, return False."""
    with suppress(grpc.aio.AioRpcError):
        stream = client.runs.StreamStatus(pb.StreamStatusRequest(all={}), timeout=5)
        first: Any = await stream.read()
        stream.cancel()
        return bool(first.event == SNAPSHOT_END)
    return False


async def record(
    folder: Path, claimers: int, runs: int, disturbances: int
) -> tuple[list[Step], list[Took]]:
    """Have claimers perform the runs, and disturb the server and the claimers meanwhile."""
    torment = Torment(folder, "--log-keep", "100000000", "--max-queued-per-thread", "1000")
    async with torment.server as server, client_of(server.address) as client:
        processes = Claimers(folder, server.address, claimers)
        await processes.start()
        creator = Creator(client, runs)
        creating = asyncio.create_task(creator.create())
        every = [each for other in torment.disturbances for each in (other, processes.kill_one)]
        for number, disturb in enumerate(islice(cycle(every), disturbances), 1):
            due = runs * number // (disturbances + 1)
            await until(lambda due=due: len(creator.created) >= due, 300)  # type: ignore[misc]
            await disturb()
        await creating
        await until(lambda: all_ended(client), 300)
        await processes.stop()
        assert await server.stop() == 0
    assert len(creator.created) == runs
    lines = [
        line for file in processes.files for line in file.read_text().splitlines(keepends=True)
    ]
    return steps_in(folder / "runs.db"), taken_in(lines)


@pytest.mark.parametrize(
    ("claimers", "runs", "disturbances"),
    [
        pytest.param(16, 300, 8, id="short", marks=pytest.mark.timeout(900)),
        pytest.param(
            64, 10_000, 80, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3_600)]
        ),
    ],
)
async def test_each_attempt_goes_to_one_claimer_and_no_run_is_lost(
    tmp_path: Path, claimers: int, runs: int, disturbances: int
) -> None:
    steps, taken = await record(tmp_path, claimers, runs, disturbances)
    print(f"{len(steps):,} changes, {Counter(took.kind for took in taken)}")
    print(Counter(run_pb2.StatusReason.Name(step.reason) for step in steps))
    print(f"attempts {Counter(took.attempt for took in taken)}")
    assert violations(steps, taken, runs) == []
    assert {"claim", "end", "release", "fail"} == {took.kind for took in taken}


# The checker finds histories that were altered: one run in two attempts, and the next run of its thread.

IN_ORDER: dict[str, Any] = {
    "owner": "",
    "thread_id": "t",
    "max_attempts": 2,
    "in_thread_order": True,
}


def step(revision: int, run_id: str, move: tuple[int | None, int], **facts: Any) -> Step:
    fields = {"reason": 0, "worker_id": "", "attempt": 0, "fencing_token": 0, "released": 0}
    previous, status = move
    return Step(
        revision,
        run_id,
        status=status,
        previous_status=previous,
        **IN_ORDER | fields | facts,
    )


STEPS = [
    step(1, "a", (None, 1)),
    step(2, "b", (None, 7)),
    step(3, "a", (1, 2), worker_id="v", attempt=1, fencing_token=3),
    step(4, "a", (2, 1), reason=1, attempt=1, fencing_token=3),
    step(5, "a", (1, 2), worker_id="w", attempt=2, fencing_token=5),
    step(6, "a", (2, 3), worker_id="w", attempt=2, fencing_token=5),
    step(7, "b", (7, 1)),
    step(8, "b", (1, 2), worker_id="v", attempt=1, fencing_token=8),
    step(9, "b", (2, 3), worker_id="v", attempt=1, fencing_token=8),
]
TAKEN = [
    Took("claim", 0, 10, "v", "a", 1, 3, 3, 2, "v-0"),
    Took("fail", 11, 20, "v", "a", 1, 4, 3, 1),
    Took("claim", 15, 30, "w", "a", 2, 5, 5, 2, "w-0"),
    Took("claim", 15, 32, "w", "a", 2, 5, 5, 2, "w-0"),
    Took("end", 33, 40, "w", "a", 2, 6, 5, 3),
    Took("claim", 35, 50, "v", "b", 1, 8, 8, 2, "v-1"),
    Took("end", 51, 60, "v", "b", 1, 9, 8, 3),
]


def test_a_true_history_of_hand_outs_has_no_violation() -> None:
    assert violations(STEPS, TAKEN, 2) == []


@pytest.mark.parametrize(
    ("revision", "change", "finding"),
    [
        pytest.param(5, {"attempt": 1}, "attempt 1 came after 1", id="an attempt twice"),
        pytest.param(5, {"attempt": 3}, "attempt 3 came after 1", id="an attempt left out"),
        pytest.param(5, {"fencing_token": 3}, "token 3 came after 3", id="a token twice"),
        pytest.param(8, {"fencing_token": 4}, "token 4 came after 5", id="a token that falls"),
        pytest.param(4, {"reason": 0}, "without a reason", id="back for no reason"),
        pytest.param(5, {"previous_status": 2}, "moved from 1 to 2", id="started while it runs"),
        pytest.param(6, {"status": 2}, "moved from 2 to 2", id="a run that never ends"),
        pytest.param(6, {"status": 4, "released": 1}, "failed after 1", id="ended too early"),
        pytest.param(6, {"max_attempts": 1}, "too many attempts", id="too many attempts"),
        pytest.param(2, {"status": 1}, "active together", id="two active runs of a thread"),
        pytest.param(1, {"run_id": "c"}, "never ended", id="a run that nobody gets"),
    ],
)
def test_an_altered_log_is_found(revision: int, change: dict[str, Any], finding: str) -> None:
    altered = [each._replace(**change) if each.revision == revision else each for each in STEPS]
    assert finding in "\n".join(violations(altered, TAKEN, 2))


@pytest.mark.parametrize(
    ("index", "change", "finding"),
    [
        pytest.param(2, {"worker_id": "x"}, "handed out twice", id="handed to two workers"),
        pytest.param(2, {"request_id": "w-1"}, "handed out twice", id="handed to two calls"),
        pytest.param(2, {"attempt": 1}, "not in the log", id="another attempt"),
        pytest.param(5, {"fencing_token": 5}, "not in the log", id="an old token"),
        pytest.param(4, {"revision": 99}, "not in the log", id="an end that is lost"),
        pytest.param(4, {"worker_id": "v"}, "another worker", id="an end by an earlier worker"),
        pytest.param(4, {"attempt": 1}, "two outcomes", id="an end by an earlier attempt"),
        pytest.param(1, {"kind": "claim"}, "had another effect", id="a claim that started nothing"),
        pytest.param(0, {"begin": 21, "end": 22}, "is older than", id="a change before its call"),
    ],
)
def test_an_altered_hand_out_is_found(index: int, change: dict[str, Any], finding: str) -> None:
    altered = [*TAKEN]
    altered[index] = TAKEN[index]._replace(**change)
    assert finding in "\n".join(violations(STEPS, altered, 2))


def test_a_lost_run_and_a_lost_change_are_found() -> None:
    assert violations(STEPS, TAKEN, 3) == ["3 runs were created, the log has 2"]
    for missing in range(len(STEPS)):
        assert violations(STEPS[:missing] + STEPS[missing + 1 :], TAKEN, 2) != []


async def test_alterations_of_real_hand_outs_are_found(tmp_path: Path) -> None:
    steps, taken = await record(tmp_path, 8, 60, 0)
    assert violations(steps, taken, 60) == []
    claims = [took for took in taken if took.kind == "claim"]

    def altered(alter: Callable[[Took], Took]) -> None:
        for claim in claims[:: max(1, len(claims) // 10)]:
            history: Sequence[Took] = [*taken, alter(claim)]
            assert violations(steps, history, 60) != [], claim

    altered(lambda claim: claim._replace(worker_id="another"))
    altered(lambda claim: claim._replace(request_id="another"))
    altered(lambda claim: claim._replace(attempt=claim.attempt + 1))
    altered(lambda claim: claim._replace(fencing_token=claim.fencing_token - 1))
    altered(lambda claim: claim._replace(revision=claim.revision + 1))
