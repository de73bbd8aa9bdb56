"""The standard health protocol, grpc.health.v1."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

# The stubs do not know List and its messages.
_messages: Any = health_pb2

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN: Final = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

_ADMIN: Final = "runsvc.v1.AdminService"
#: Services with a health status. The empty name is the server as a whole.
SERVICES: Final = ("", "runsvc.v1.RunService", _ADMIN)


class Health(health_pb2_grpc.HealthServicer):
    """Reports the health of this server. A slow watcher delays no one: it reads the state when it is ready.

    AdminService serves as long as the process does, the others only while the store takes writes.
    """

    def __init__(self) -> None:
        self._serving = False
        self._store_works = True
        self._ended = False
        #: Set and replaced at each change.
        self._changed = asyncio.Event()

    def set_serving(self, serving: bool) -> None:
        """Set the status to SERVING or NOT_SERVING."""
        self._serving = serving
        self._wake()

    def set_store_works(self, works: bool) -> None:
        """Set whether the store takes writes."""
        self._store_works = works
        self._wake()

    def end(self) -> None:
        """Set NOT_SERVING, and end every watch, present and future, once it has sent that."""
        self._ended = True
        self.set_serving(False)

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:
        """The status of a service. NOT_FOUND for an unknown one."""
        if request.service not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "This server has no such service.")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    async def List(self, request: Any, context: Any) -> Any:
        """The status of every service."""
        statuses = {
            each: health_pb2.HealthCheckResponse(status=self._status(each)) for each in SERVICES
        }
        return _messages.HealthListResponse(statuses=statuses)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """The status of a service, now and after each change. SERVICE_UNKNOWN for an unknown one."""
        sent = None
        while True:
            changed = self._changed
            status = self._status(request.service) if request.service in SERVICES else _UNKNOWN
            if status != sent:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                sent = status
            elif self._ended:
                return
            else:
                await changed.wait()

    def _status(self, service: str) -> int:
        works = self._store_works or service == _ADMIN
        return _SERVING if self._serving and works else _NOT_SERVING

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
