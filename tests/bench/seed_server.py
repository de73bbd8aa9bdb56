"""The seed's design behind the same transport: a dict of runs, one lock around it, and a row in SQLite for each run.

The predecessor that runsvc is compared with. Admission holds the lock during its scan of every run and during the
write, reads wait for the lock, and each write is a commit of its own, at synchronous FULL as in runsvc. The port keeps
the faults of the design, and has no log, watches, request ids or limits.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import aiosqlite
import grpc
from google.protobuf import json_format

from runsvc.core.model import ACTIVE, MultitaskStrategy, RunStatus
from runsvc.rpc.server import OPTIONS
from runsvc.service import new_loop
from runsvc.v1 import run_pb2
from runsvc.v1 import run_service_pb2 as pb
from runsvc.v1.run_service_pb2_grpc import RunServiceServicer, add_RunServiceServicer_to_server

_COUNTERS: Final = ("total_input_tokens", "total_output_tokens", "total_tokens")
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS runs (
      run_id TEXT PRIMARY KEY, thread_id TEXT NOT NULL, assistant_id TEXT, status INTEGER NOT NULL,
      metadata TEXT NOT NULL, kwargs TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
      total_input_tokens INTEGER, total_output_tokens INTEGER, total_tokens INTEGER
    )
"""
_INSERT: Final = "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)"


@dataclass
class Record:
    """A run in memory."""

    run_id: str
    thread_id: str
    assistant_id: str | None
    status: RunStatus
    metadata: dict[str, Any]
    kwargs: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    usage: dict[str, int] = field(default_factory=dict)


class SeedManager:
    """The seed's RunManager: memory first, then the row."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._runs: dict[str, Record] = {}

    async def create(self, spec: run_pb2.RunSpec) -> Record:
        record = _record(spec)
        async with self._lock:
            await self._insert(record)
        return record

    async def create_or_reject(self, spec: run_pb2.RunSpec) -> Record:
        record = _record(spec)
        async with self._lock:
            inflight = [
                run
                for run in self._runs.values()
                if run.thread_id == record.thread_id and run.status in ACTIVE
            ]
            if inflight and int(spec.multitask_strategy) != MultitaskStrategy.INTERRUPT:
                raise BlockingIOError(record.thread_id)
            await self._insert(record)
        for run in inflight:
            await self.set_status(run.run_id, RunStatus.INTERRUPTED)
        return record

    async def get(self, run_id: str) -> Record:
        async with self._lock:
            return self._runs[run_id]

    async def list_by_thread(self, thread_id: str, limit: int) -> list[Record]:
        async with self._lock:
            found = [run for run in self._runs.values() if run.thread_id == thread_id]
            return sorted(found, key=lambda run: run.created_at, reverse=True)[:limit]

    async def set_status(self, run_id: str, status: RunStatus) -> Record:
        async with self._lock:
            record = self._runs[run_id]
            record.status, record.updated_at = status, datetime.now(UTC)
        statement = "UPDATE runs SET status = ?, updated_at = ? WHERE run_id = ?"
        await self._write(statement, int(status), record.updated_at.isoformat(), run_id)
        return record

    async def update_usage(self, run_id: str, usage: dict[str, int]) -> Record:
        async with self._lock:
            record = self._runs[run_id]
            record.usage.update(usage)
            record.updated_at = datetime.now(UTC)
        columns = ", ".join(f"{name} = ?" for name in usage)
        await self._write(f"UPDATE runs SET {columns} WHERE run_id = ?", *usage.values(), run_id)
        return record

    def add_finished(self, count: int) -> None:
        """Add finished runs in memory, as if this process had created them."""
        for number in range(count):
            record = _record(run_pb2.RunSpec(thread_id=f"present-{number}"))
            record.status = RunStatus.SUCCESS
            self._runs[record.run_id] = record

    async def _insert(self, record: Record) -> None:
        self._runs[record.run_id] = record
        await self._write(_INSERT, *_row(record))

    async def _write(self, statement: str, *parameters: object) -> None:
        await self._database.execute(statement, parameters)
        await self._database.commit()


class SeedServicer(RunServiceServicer):
    """The methods of RunService that the operations call."""

    def __init__(self, manager: SeedManager) -> None:
        self._manager = manager

    async def Create(self, request: pb.CreateRequest, context: Any) -> pb.CreateResponse:
        return pb.CreateResponse(run=_message(await self._manager.create(request.spec)))

    async def CreateOrReject(
        self, request: pb.CreateOrRejectRequest, context: Any
    ) -> pb.CreateOrRejectResponse:
        try:
            record = await self._manager.create_or_reject(request.spec)
        except BlockingIOError as busy:
            await context.abort(grpc.StatusCode.ABORTED, f"Thread {busy} is busy.")
        return pb.CreateOrRejectResponse(run=_message(record))

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:
        return pb.GetResponse(run=_message(await self._manager.get(request.run_id)))

    async def ListByThread(
        self, request: pb.ListByThreadRequest, context: Any
    ) -> pb.ListByThreadResponse:
        found = await self._manager.list_by_thread(request.thread_id, request.page_size)
        return pb.ListByThreadResponse(runs=map(_message, found))

    async def SetStatus(self, request: pb.SetStatusRequest, context: Any) -> pb.SetStatusResponse:
        record = await self._manager.set_status(request.run_id, RunStatus(request.status))
        return pb.SetStatusResponse(run=_message(record), changed=True)

    async def UpdateProgress(
        self, request: pb.UpdateProgressRequest, context: Any
    ) -> pb.UpdateProgressResponse:
        record = await self._manager.update_usage(request.run_id, _usage(request.progress))
        return pb.UpdateProgressResponse(run=_message(record), applied=True)

    async def Complete(self, request: pb.CompleteRequest, context: Any) -> pb.CompleteResponse:
        await self._manager.update_usage(request.run_id, _usage(request.progress))
        record = await self._manager.set_status(request.run_id, RunStatus(request.status))
        return pb.CompleteResponse(run=_message(record), changed=True)

    async def Cancel(self, request: pb.CancelRequest, context: Any) -> pb.CancelResponse:
        record = await self._manager.set_status(request.run_id, RunStatus.INTERRUPTED)
        return pb.CancelResponse(run=_message(record))


def _record(spec: run_pb2.RunSpec) -> Record:
    now = datetime.now(UTC)
    return Record(
        run_id=str(uuid4()),
        thread_id=spec.thread_id,
        assistant_id=spec.assistant_id or None,
        status=RunStatus.PENDING,
        metadata=json_format.MessageToDict(spec.metadata),
        kwargs=json_format.MessageToDict(spec.kwargs),
        created_at=now,
        updated_at=now,
    )


def _row(record: Record) -> tuple[object, ...]:
    return (
        record.run_id,
        record.thread_id,
        record.assistant_id,
        int(record.status),
        json.dumps(record.metadata),
        json.dumps(record.kwargs),
        record.created_at.isoformat(),
        record.updated_at.isoformat(),
    )


def _message(record: Record) -> run_pb2.Run:
    run: Any = run_pb2.Run(
        run_id=record.run_id,
        thread_id=record.thread_id,
        assistant_id=record.assistant_id,
        progress=run_pb2.Progress(**record.usage),  # type: ignore[arg-type]
    )
    run.status = record.status
    run.metadata.update(record.metadata)
    run.kwargs.update(record.kwargs)
    run.created_at.FromDatetime(record.created_at)
    run.updated_at.FromDatetime(record.updated_at)
    return run  # type: ignore[no-any-return]


def _usage(progress: run_pb2.Progress) -> dict[str, int]:
    return {name: getattr(progress, name) for name in _COUNTERS if progress.HasField(name)}


async def main(db: str, present: int) -> None:
    """Serve until the process ends."""
    async with aiosqlite.connect(db) as database:
        await database.execute("PRAGMA journal_mode = WAL")
        await database.execute("PRAGMA synchronous = FULL")
        await database.execute(_TABLE)
        manager = SeedManager(database)
        manager.add_finished(present)
        server = grpc.aio.server(options=OPTIONS)
        # The benchmark never calls the missing methods.
        add_RunServiceServicer_to_server(SeedServicer(manager), server)  # type: ignore[abstract]
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(f"The seed's design serves on 127.0.0.1:{port}", flush=True)
        await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else 0))
