"""The calls of AdminService, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.client.aio.calls import AsyncCalls
from runsvc.v1.admin_service_pb2 import (
    DeleteRequest,
    GetServerInfoRequest,
    GetServerInfoResponse,
    ReconcileOrphansRequest,
    ReconcileOrphansResponse,
)

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp


class AsyncAdminCalls(AsyncCalls):
    """Care of the service itself."""

    async def reconcile_orphans(
        self,
        *,
        error: str = "",
        before: datetime | Timestamp | None = None,
        limit: int = 0,
        timeout: float | None = None,
    ) -> ReconcileOrphansResponse:
        """End active runs that no living executor holds, for operators; call again while `more` is true.

        `error` becomes theirs (empty: a sentence), `before` spares runs created later (None: now), `limit` 0 is 1,000.
        """
        request = ReconcileOrphansRequest(error=error, before=before, limit=limit)
        return await self._call(self.admin_stub.ReconcileOrphans, request, timeout)

    async def delete(self, run_id: str, *, timeout: float | None = None) -> None:
        """Remove a run that has ended, for good. NotFound; FailedPrecondition with INVALID_TRANSITION while active."""
        await self._call(self.admin_stub.Delete, DeleteRequest(run_id=run_id), timeout)

    async def get_server_info(self, *, timeout: float | None = None) -> GetServerInfoResponse:
        """What the server is and what it holds."""
        return await self._call(self.admin_stub.GetServerInfo, GetServerInfoRequest(), timeout)
