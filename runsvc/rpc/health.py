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

#: All of them serve, or none does; the empty name is the server as a whole.
SERVICES: Final = ("", "runsvc.v1.RunService", "runsvc.v1.AdminService")


class Health(health_pb2_grpc.HealthServicer):
    """Tells whether this server serves. Nobody waits for a watcher: it reads the state when it comes to it."""

    def __init__(self) -> None:
        self._status: int = _NOT_SERVING
        self._ended = False
        #: Set, and replaced by a new one, at each change.
        self._changed = asyncio.Event()

    def serving(self, serving: bool) -> None:
        """Tell that the server serves, or that it does not."""
        self._status = _SERVING if serving else _NOT_SERVING
        self._wake()

    def end(self) -> None:
        """Let every watch end, now and later, once it has told that the server no longer serves."""
        self._ended = True
        self.serving(False)

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:
        """The state of a service; NOT_FOUND for one that is not here."""
        if request.service not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no such service here.")
        return health_pb2.HealthCheckResponse(status=self._status)

    async def List(self, request: Any, context: Any) -> Any:
        """The state of every service."""
        state = health_pb2.HealthCheckResponse(status=self._status)
        return _messages.HealthListResponse(statuses=dict.fromkeys(SERVICES, state))

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """The state of a service, now and whenever it has changed; SERVICE_UNKNOWN for one that is not here."""
        sent = None
        while True:
            changed = self._changed
            status = self._status if request.service in SERVICES else _UNKNOWN
            if status != sent:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                sent = status
            elif self._ended:
                return
            else:
                await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
