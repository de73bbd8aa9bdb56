"""Python clients of the run service: one for threads, one for asyncio.

`RunClient` blocks and may be shared between threads. `AsyncRunClient` has the same methods for asyncio. Both add call
deadlines, safe retries, typed errors, watches that survive lost connections, and the executor's side of a run.

    from runsvc.client import RunClient, ThreadBusy
    from runsvc.v1.run_pb2 import RunSpec

    with RunClient() as client:
        try:
            created = client.create_or_reject(RunSpec(thread_id="chat-1"))
        except ThreadBusy as busy:
            print("active run:", busy.metadata["run_id"])

Times are in seconds. Messages and enums are the generated ones of `runsvc.v1`.

- `DEFAULT_TARGET` is the default address of the server.
- `ENVIRONMENT` is the default of an argument that is read from its environment variable.
- `JsonObject` is the type of a result and of changed metadata: a mapping of JSON values, or a Struct.
- `LEASE_TTL` is the default lease of an execution, `OUTAGE` the default time for which a watch waits for a server.
"""

from __future__ import annotations

from runsvc.client.aio.client import AsyncRunClient
from runsvc.client.aio.execution import AsyncExecution
from runsvc.client.aio.watch import AsyncWatch
from runsvc.client.channel import aconnect, connect
from runsvc.client.error import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    RunError,
    ThreadBusy,
    Unavailable,
    Violation,
    error_of,
)
from runsvc.client.execution import LEASE_TTL, RunStopped
from runsvc.client.resume import OUTAGE
from runsvc.client.settings import DEFAULT_TARGET, ENVIRONMENT
from runsvc.client.structs import JsonObject
from runsvc.client.sync.client import RunClient
from runsvc.client.sync.execution import Execution
from runsvc.client.sync.watch import Watch
from runsvc.client.worker_id import new_worker_id
from runsvc.v1.admin_service_pb2_grpc import AdminServiceStub
from runsvc.v1.run_service_pb2_grpc import RunServiceStub

__all__ = [
    "DEFAULT_TARGET",
    "ENVIRONMENT",
    "LEASE_TTL",
    "OUTAGE",
    "AdminServiceStub",
    "AsyncExecution",
    "AsyncRunClient",
    "AsyncWatch",
    "Execution",
    "FailedPrecondition",
    "InvalidArgument",
    "JsonObject",
    "NotFound",
    "RunClient",
    "RunError",
    "RunServiceStub",
    "RunStopped",
    "ThreadBusy",
    "Unavailable",
    "Violation",
    "Watch",
    "aconnect",
    "connect",
    "error_of",
    "new_worker_id",
]
