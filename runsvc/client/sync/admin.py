# Generated from runsvc/client/aio/admin.py by `make gen`; do not edit.
"""The calls of AdminService, for operators, over threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.client.lengths import moment
from runsvc.client.sync.calls import Calls
from runsvc.v1.admin_service_pb2 import (
    DeleteRequest,
    GetServerInfoRequest,
    GetServerInfoResponse,
    ListConcurrencyLimitsRequest,
    ListConcurrencyLimitsResponse,
    ReconcileOrphansRequest,
    ReconcileOrphansResponse,
    SetConcurrencyLimitRequest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from runsvc.v1.run_pb2 import RunStatus


class AdminCalls(Calls):
    """One method per RPC of AdminService."""

    def reconcile_orphans(
        self,
        *,
        error: str = "",
        before: datetime | Timestamp | None = None,
        limit: int = 0,
        dry_run: bool = False,
        statuses: Sequence[RunStatus] = (),
        assistant_id: str | None = None,
        timeout: float | None = None,
    ) -> ReconcileOrphansResponse:
        """End every active run without a live lease, PENDING runs included. Call again while `more` is true.

        The runs end as ERROR. `error` is their error text; empty selects the server's default. `before` limits the
        call to runs created no later; None is now; a datetime needs a time zone. `limit` is the maximum number of
        runs to end; 0 is 1,000. `statuses`, PENDING or RUNNING, and `assistant_id` limit it further. With `dry_run` it
        returns the runs that it would end, and ends none. Servers of version 0.1 ignore these three: they end every
        run that the others select.
        """
        request = ReconcileOrphansRequest(
            error=error,
            before=moment(before),
            limit=limit,
            dry_run=dry_run,
            statuses=statuses,
            assistant_id=assistant_id,
        )
        return self._call(self.admin_stub.ReconcileOrphans, request, timeout)

    def delete(self, run_id: str, *, timeout: float | None = None) -> None:
        """Remove a terminal run permanently.

        Raises NotFound, and FailedPrecondition with INVALID_TRANSITION while the run is active.
        """
        self._call(self.admin_stub.Delete, DeleteRequest(run_id=run_id), timeout)

    def set_concurrency_limit(
        self, prefix: str, width: int | None, *, timeout: float | None = None
    ) -> None:
        """Set how many runs may be active for each concurrency key with this prefix. None removes the limit.

        A wider limit makes waiting runs PENDING; a narrower one ends no run.
        """
        request = SetConcurrencyLimitRequest(prefix=prefix, width=width)
        self._call(self.admin_stub.SetConcurrencyLimit, request, timeout)

    def list_concurrency_limits(
        self, *, timeout: float | None = None
    ) -> ListConcurrencyLimitsResponse:
        """Return all concurrency limits, in the order of their prefixes."""
        request = ListConcurrencyLimitsRequest()
        return self._call(self.admin_stub.ListConcurrencyLimits, request, timeout)

    def get_server_info(self, *, timeout: float | None = None) -> GetServerInfoResponse:
        """Return the server's version, its store and revisions, and its numbers of active runs and watchers."""
        return self._call(self.admin_stub.GetServerInfo, GetServerInfoRequest(), timeout)
