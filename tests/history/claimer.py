"""A program of claimers that record the runs they get, and end them in many ways: ADDRESS FILE NAME CLAIMERS."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import grpc

from runsvc.client import error_of
from runsvc.v1 import run_pb2
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_service_pb2_grpc import RunServiceStub
from tests.history.hand_outs import Took, line_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from tests.history.hand_outs import Kind

ASSISTANTS: Final = ("a", "b", "c")
#: Seconds. A silent claimer is late by some of it.
LEASE: Final = 2
#: Of 100 runs: given back, failed, and kept beyond their lease. The others succeed.
_RELEASED, _FAILED, _SILENT = 8, 16, 18
#: Of 100 claims: those whose caller leaves early and does not call again.
_ABANDONED = 4


class Claimer:
    """Claims runs and ends them, one call after another."""

    def __init__(self, stub: Any, file: TextIO, worker_id: str) -> None:
        self._stub = stub
        self._file = file
        self._worker_id = worker_id
        self._chance = Random(worker_id)

    async def work(self) -> None:
        """Claim and end runs for ever."""
        for number in count():
            for run in await self._claim(f"{self._worker_id}-{number}"):
                await self._end(run)

    async def _claim(self, request_id: str) -> Sequence[run_pb2.Run]:
        assistants = self._chance.sample(ASSISTANTS, self._chance.randint(1, len(ASSISTANTS)))
        request = pb.ClaimRequest(
            worker_id=self._worker_id,
            assistant_ids=assistants,
            max_runs=self._chance.choice((1, 1, 3, 8)),
            lease_ttl={"seconds": LEASE},
            wait={"seconds": 1},
            request_id=request_id,
        )
        begin = time.monotonic_ns()
        if self._chance.randrange(100) < _ABANDONED:
            with suppress(grpc.aio.AioRpcError):
                await self._stub.Claim(request, timeout=self._chance.random() ** 3)
            return ()
        answer = await self._answer("Claim", request)
        runs: Sequence[run_pb2.Run] = answer.runs if answer else ()
        for run in runs:
            self._record("claim", begin, run, request_id)
        return runs

    async def _end(self, run: run_pb2.Run) -> None:
        chance = self._chance.randrange(100)
        report: Any = {"run_id": run.run_id, "worker_id": self._worker_id, "attempt": run.attempt}
        begin = time.monotonic_ns()
        if chance < _RELEASED:
            kind: Kind = "release"
            answer = await self._answer("Release", pb.ReleaseRequest(**report))
        elif chance < _FAILED:
            kind = "fail"
            request = pb.CompleteRequest(**report, status=4, error="e", retryable=True)  # type: ignore[arg-type]
            answer = await self._answer("Complete", request)
        else:
            kind = "end"
            if chance < _SILENT:
                await asyncio.sleep(LEASE * self._chance.uniform(0.9, 1.6))
            answer = await self._answer("Complete", pb.CompleteRequest(**report, status=3))  # type: ignore[arg-type]
        if answer is not None:
            self._record(kind, begin, answer.run)

    async def _answer(self, method: str, request: Any) -> Any:
        """The answer of a call, which is repeated while the server is away; None if the server refuses it."""
        while True:
            try:
                return await getattr(self._stub, method)(request, timeout=5)
            except grpc.aio.AioRpcError as failure:
                if error_of(failure).reason in ("NOT_HOLDER", "INVALID_TRANSITION"):
                    return None
                await asyncio.sleep(0.05)

    def _record(self, kind: Kind, begin: int, run: run_pb2.Run, request_id: str = "") -> None:
        took = Took(
            kind,
            begin,
            time.monotonic_ns(),
            self._worker_id,
            run.run_id,
            run.attempt,
            run.revision,
            run.fencing_token,
            int(run.status),
            request_id,
        )
        self._file.write(line_of(took))


async def main(address: str, file: Path, name: str, claimers: int) -> None:
    """Work until the process is killed."""
    options = (("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50))
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        stub = RunServiceStub(channel)
        # A line that was written survives the process.
        with file.open("w", buffering=1) as recording:
            every = [Claimer(stub, recording, f"{name}-{number}") for number in range(claimers)]
            await asyncio.gather(*(each.work() for each in every))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
