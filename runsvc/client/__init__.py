"""The client: for asyncio and for threads, with deadlines, safe retries, and errors that programs can branch on.

with RunClient() as client:
    try:
        client.create_or_reject(RunSpec(thread_id="chat-1"))
    except ThreadBusy as busy:
        print(busy.metadata["run_id"])
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
from runsvc.client.sync.client import RunClient
from runsvc.client.sync.execution import Execution
from runsvc.client.sync.watch import Watch
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
]
