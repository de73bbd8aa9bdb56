"""AdminService: each handler checks its request, makes one call and encodes the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runsvc.core.lines import end_line
from runsvc.settings import ORPHAN_ERROR
from runsvc.usecases.admin import Selection
from runsvc.v1 import admin_service_pb2 as pb
from runsvc.wire.convert import fitting, to_message
from runsvc.wire.creation import KEY_LENGTH
from runsvc.wire.validation import Check

if TYPE_CHECKING:
    from runsvc.auth.caller import Caller
    from runsvc.rpc.audit import Audit
    from runsvc.usecases.admin import Admin


class AdminServicer:
    """Serves AdminService. The guard passes the caller of each call to its handler."""

    def __init__(self, admin: Admin, audit: Audit) -> None:
        self._admin = admin
        self._audit = audit

    async def ReconcileOrphans(
        self, request: pb.ReconcileOrphansRequest, context: Any, caller: Caller
    ) -> pb.ReconcileOrphansResponse:
        with Check() as check:
            error = check.orphan_error(request.error, ORPHAN_ERROR)
            selection = Selection(
                before=check.before(request),
                statuses=check.active_statuses(request.statuses),
                assistant_id=check.optional_identifier(request, "assistant_id"),
                scope=caller.scope,
            )
            limit = check.limit(request.limit)
        dry_run = request.dry_run
        reconciled = self._admin.reconcile_orphans(
            selection, error=error, limit=limit, dry_run=dry_run
        )
        if dry_run:
            runs, more = await reconciled
        else:
            runs, more = await self._audit.attempt(context, caller, "Reconciliation", reconciled)
            self._audit.record(context, caller, *map(end_line, runs))
        return pb.ReconcileOrphansResponse(runs=fitting(map(to_message, runs)), more=more)

    async def Delete(
        self, request: pb.DeleteRequest, context: Any, caller: Caller
    ) -> pb.DeleteResponse:
        with Check() as check:
            run_id = check.run_id(request.run_id)
        deletion = self._admin.delete(run_id, caller.scope)
        await self._audit.attempt(context, caller, f"Deletion of run {run_id}", deletion)
        self._audit.record(context, caller, f"Run {run_id} deleted")
        return pb.DeleteResponse()

    async def GetServerInfo(
        self, request: pb.GetServerInfoRequest, context: Any, caller: Caller
    ) -> pb.GetServerInfoResponse:
        info = await self._admin.server_info()
        return pb.GetServerInfoResponse(
            version=info.version,
            store_kind=info.store_kind,
            store_id=info.clock.store_id,
            current_revision=info.clock.revision,
            oldest_revision=info.clock.oldest_revision,
            active_runs=info.active_runs,
            watchers=info.watchers,
            attachments=info.attachments,
            write_ahead_log_bytes=info.write_ahead_log_bytes,
            queued_runs=info.queued_runs,
        )

    async def SetConcurrencyLimit(
        self, request: pb.SetConcurrencyLimitRequest, context: Any, caller: Caller
    ) -> pb.SetConcurrencyLimitResponse:
        with Check() as check:
            prefix = check.line("prefix", request.prefix, KEY_LENGTH)
            width = check.width(request)
        subject = f"Concurrency limit of {prefix!r}"
        change = self._admin.set_limit(prefix, width)
        await self._audit.attempt(context, caller, subject, change)
        self._audit.record(context, caller, f"{subject}: {'removed' if width is None else width}")
        return pb.SetConcurrencyLimitResponse()

    async def ListConcurrencyLimits(
        self, request: pb.ListConcurrencyLimitsRequest, context: Any, caller: Caller
    ) -> pb.ListConcurrencyLimitsResponse:
        limits = [
            pb.ConcurrencyLimit(prefix=limit.prefix, width=limit.width)
            for limit in await self._admin.limits()
        ]
        return pb.ListConcurrencyLimitsResponse(limits=limits)
