"""The cost of large runs: heartbeats and progress reports on runs with 60 kB of metadata and with a few bytes."""

from __future__ import annotations

import itertools
import sqlite3
import struct
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from google.protobuf.duration_pb2 import Duration

from runsvc.v1 import run_pb2, run_service_pb2
from tests.bench.figures import Figure, Spread
from tests.bench.load import closed_loop
from tests.bench.systems import GrpcCaller, Limit, Runsvc, spec_of
from tests.bench.unary import MANY, failures_of
from tests.bench.work import Operation, new_thread, repeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.bench.load import Sample
    from tests.bench.plan import Plan
    from tests.bench.session import Session
    from tests.bench.unary import Comparison
    from tests.bench.work import Call, PreparedRuns

    #: Makes the request of the call with this number on a run.
    MakeRequest = Callable[[str, int], bytes]

_WORKER: Final = "worker"
_LEASE: Final = Duration(seconds=3_600)
_SMALL: Final = "small metadata"
_LARGE: Final = "60 kB of metadata"
_METADATA: Final[dict[str, Mapping[str, Any]]] = {
    _SMALL: dict(spec_of("").metadata),
    _LARGE: {f"key-{number}": "x" * 1_000 for number in range(59)},
}
#: Bytes of a frame's header in the write-ahead log, and the offset of page size and frame count in its index.
_FRAME_HEADER: Final = 24
_PAGE_AND_FRAMES: Final = 14


def steps(plan: Plan) -> int:
    """The number of progress steps of `payload`."""
    return plan.rounds * 2 * len(_METADATA) * 3


async def payload(session: Session) -> list[Figure]:
    """Heartbeat and UpdateProgress with both sizes of metadata: calls against the limit, and bytes of the WAL."""
    db = session.file()
    figures: list[Figure] = []
    runs = StartedRuns(session.plan.payload_runs)
    async with session.comparison(Limit(), Runsvc(db)) as comparison:
        for method, make_request in (("Heartbeat", _heartbeat), ("UpdateProgress", _progress)):
            small: list[Sample] = []
            for size in _METADATA:
                operation = _operation(method, make_request, size, runs)
                samples = await _measure(comparison, operation)
                small = small or samples[1]
                figures += comparison.figures(operation.name, MANY, samples)
                figures.append(await _other_costs(comparison, operation, db, samples[1], small))
    return figures


class StartedRuns:
    """Started runs with a lease, the same for both methods."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._run_ids: dict[tuple[GrpcCaller, str], list[str]] = {}

    async def of(self, caller: GrpcCaller, size: str) -> list[str]:
        """The runs of a caller with this size of metadata, created by the first call."""
        if (run_ids := self._run_ids.get((caller, size))) is None:
            run_ids = self._run_ids[caller, size] = []

            async def one() -> None:
                run_ids.append(await _start_run(caller, size))

            await repeat(one, self._count)
        return run_ids


def _operation(
    method: str, make_request: MakeRequest, size: str, started: StartedRuns
) -> Operation:
    async def prepare(runs: PreparedRuns, _count: int) -> Call:
        caller = runs.caller
        assert isinstance(caller, GrpcCaller)
        numbers, cycled = itertools.count(1), itertools.cycle(await started.of(caller, size))
        return lambda: caller.call(method, make_request(next(cycled), next(numbers)))

    return Operation(f"{method}, {size}", prepare)


async def _start_run(caller: GrpcCaller, size: str) -> str:
    spec = spec_of(new_thread())
    spec.metadata.Clear()
    spec.metadata.update(_METADATA[size])
    request = run_service_pb2.CreateRequest(spec=spec)
    created = run_service_pb2.CreateResponse.FromString(
        await caller.call("Create", request.SerializeToString())
    )
    start = run_service_pb2.SetStatusRequest(
        run_id=created.run.run_id,
        status=run_pb2.RunStatus.RUN_STATUS_RUNNING,
        worker_id=_WORKER,
        lease_ttl=_LEASE,
    )
    await caller.call("SetStatus", start.SerializeToString())
    return created.run.run_id


def _heartbeat(run_id: str, _number: int) -> bytes:
    request = run_service_pb2.HeartbeatRequest(run_id=run_id, worker_id=_WORKER)
    return request.SerializeToString()


def _progress(run_id: str, number: int) -> bytes:
    progress = run_pb2.Progress(total_tokens=number)
    request = run_service_pb2.UpdateProgressRequest(
        run_id=run_id, progress=progress, worker_id=_WORKER
    )
    return request.SerializeToString()


async def _measure(comparison: Comparison, operation: Operation) -> list[list[Sample]]:
    await comparison.copy_answers(operation)
    calls = {
        participant: await operation.prepare(participant.runs, 1)
        for participant in comparison.participants
    }
    return await comparison.take_turns(
        operation.name,
        lambda participant: closed_loop(
            participant.system.server, calls[participant], MANY, comparison.seconds
        ),
    )


async def _other_costs(
    comparison: Comparison,
    operation: Operation,
    db: Path,
    samples: list[Sample],
    small: list[Sample],
) -> Figure:
    """Bytes that a call appends to the WAL, and its processor time relative to small metadata."""
    ours = comparison.candidates[0]
    call = await operation.prepare(ours.runs, 1)
    sizes, written = [], []
    for _ in range(comparison.rounds):
        comparison.step(f"{operation.name}: bytes of the WAL")
        with _growing_wal(db) as index:
            # The first write may still restart the WAL.
            await call()
            before = _wal_size(index)
            sample = await closed_loop(ours.system.server, call, MANY, comparison.seconds)
            sizes.append((_wal_size(index) - before) / max(1, len(sample.latencies)))
            written.append(sample)
    ratios = [
        mine.cpu_per_call / other.cpu_per_call if other.cpu_per_call else 0.0
        for mine, other in zip(samples, small, strict=True)
    ]
    values = {
        "WAL bytes per call": Spread.of(sizes),
        "CPU relative to small metadata": Spread.of(ratios),
    }
    failures = failures_of(written)
    return Figure(comparison.section, operation.name, "runsvc", MANY, values, failures)


@contextmanager
def _growing_wal(db: Path) -> Iterator[BinaryIO]:
    """Hold a read transaction, which keeps the WAL from being restarted. The value is the WAL's index."""
    # Closing the index drops this process's locks on it, so it stays open for longer than the reader.
    with (
        Path(f"{db}-shm").open("rb", buffering=0) as index,
        closing(sqlite3.connect(db, isolation_level=None)) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchall()
        yield index


def _wal_size(index: BinaryIO) -> int:
    """Bytes of all frames in the WAL, from the header of its index."""
    index.seek(_PAGE_AND_FRAMES)
    page_size, frames = struct.unpack("=HI", index.read(6))
    size: int = frames * (page_size + _FRAME_HEADER)
    return size
