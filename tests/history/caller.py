"""A program that makes random calls with random deadlines, and records them: ADDRESS FILE SEED CALLS."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

import grpc

from runsvc.client import error_of
from runsvc.v1 import run_pb2, run_service_pb2
from runsvc.v1.run_service_pb2_grpc import RunServiceStub
from tests.history.recording import Operation, Seen, line_of

if TYPE_CHECKING:
    from typing import TextIO

    from tests.history.recording import End, Method

THREADS: Final = 5
#: Calls of a caller on the same threads. A thread with all calls of a long recording would take long to check.
EPOCH: Final = 200
CALLERS: Final = 4
_METHODS: Final[tuple[Method, ...]] = ("create", "set_status", "cancel", "get", "page", "inflight")
_WEIGHTS: Final = (6, 4, 2, 4, 6, 3)


class Caller:
    """Makes one call after another, on a few threads that all callers share."""

    def __init__(self, stub: Any, file: TextIO, name: str) -> None:
        self._stub = stub
        self._file = file
        self._name = name
        self._chance = Random(name)
        self._known: list[str] = []
        self._calls = 0

    async def make(self, calls: int) -> None:
        """Make some calls. A server that is down is waited for."""
        for number in range(calls):
            (method,) = self._chance.choices(_METHODS, _WEIGHTS)
            if not self._known and method in ("set_status", "cancel", "get"):
                method = "create"
            if await self._call(method, f"{self._name}-{number}") == "unknown":
                await asyncio.sleep(0.05)

    async def _call(self, method: Method, name: str) -> End:
        thread_id = f"t{self._calls // EPOCH}-{self._chance.randrange(THREADS)}"
        self._calls += 1
        size = self._chance.choice((2, 20, 200))
        request = self._request(method, name, thread_id, size)
        deadline = 10 * self._chance.random() ** 4
        runs, changed = tuple[Seen, ...](), False
        begin = time.monotonic_ns()
        try:
            answer = await getattr(self._stub, _RPC[method])(request, timeout=deadline)
        except grpc.aio.AioRpcError as failure:
            error = error_of(failure)
            outcome: End = "refused" if error.reason not in ("", "OUTCOME_UNKNOWN") else "unknown"
            if error.reason == "THREAD_BUSY":
                status = run_pb2.RunStatus.Value(f"RUN_STATUS_{error.metadata['status']}")
                outcome, runs = "busy", (Seen(error.metadata["run_id"], int(status), 0),)
        else:
            outcome, runs, changed = "answered", _runs(method, answer), _has_changed(method, answer)
            self._known = [*self._known[-20:], *(seen.run_id for seen in runs[:2])]
        end = time.monotonic_ns()
        operation = Operation(name, method, begin, end, outcome, thread_id, size, runs, changed)
        self._file.write(line_of(operation))
        return outcome

    def _request(self, method: Method, name: str, thread_id: str, size: int) -> Any:
        if method == "create":
            spec = run_pb2.RunSpec(
                thread_id=thread_id,
                assistant_id=name,
                multitask_strategy=self._chance.choice((1, 2, 2)),  # type: ignore[arg-type]
            )
            return run_service_pb2.CreateOrRejectRequest(spec=spec)
        if method == "page":
            return run_service_pb2.ListByThreadRequest(thread_id=thread_id, page_size=size)
        if method == "inflight":
            return run_service_pb2.HasInflightRequest(thread_id=thread_id)
        run_id = self._chance.choice(self._known)
        if method == "get":
            return run_service_pb2.GetRequest(run_id=run_id)
        if method == "cancel":
            return run_service_pb2.CancelRequest(run_id=run_id)
        status = self._chance.choice((2, 2, 3))
        return run_service_pb2.SetStatusRequest(run_id=run_id, status=status)  # type: ignore[arg-type]


_RPC: Final[dict[Method, str]] = {
    "create": "CreateOrReject",
    "set_status": "SetStatus",
    "cancel": "Cancel",
    "get": "Get",
    "page": "ListByThread",
    "inflight": "HasInflight",
}


def _has_changed(method: Method, answer: Any) -> bool:
    if method == "cancel":
        return bool(answer.outcome == run_pb2.CANCEL_OUTCOME_CANCELLED)
    return method == "set_status" and bool(answer.changed)


def _runs(method: Method, answer: Any) -> tuple[Seen, ...]:
    if method == "inflight":
        return tuple(Seen(run_id, 0, 0) for run_id in answer.run_ids)
    runs = answer.runs if method == "page" else [answer.run]
    runs = [*runs, *(answer.superseded if method == "create" else ())]
    return tuple(Seen(run.run_id, int(run.status), run.revision) for run in runs)


async def main(address: str, file: Path, seed: str, calls: int) -> None:
    """Make this many calls from each caller of this process."""
    options = (("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50))
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        stub = RunServiceStub(channel)
        # Every line is written at once, so that the test sees the progress.
        with file.open("w", buffering=1) as recording:
            callers = [Caller(stub, recording, f"{seed}-{number}") for number in range(CALLERS)]
            await asyncio.gather(*(caller.make(calls) for caller in callers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
