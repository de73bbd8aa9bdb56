"""The calls of RunService, and watches, over asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runsvc.client.aio.admin import AsyncAdminCalls
from runsvc.client.lengths import duration
from runsvc.client.resume import OUTAGE, Resumption, watch_request
from runsvc.client.structs import struct
from runsvc.v1.run_service_pb2 import (
    AcknowledgeCancelRequest,
    AcknowledgeCancelResponse,
    CancelRequest,
    CancelResponse,
    CompleteRequest,
    CompleteResponse,
    CreateOrRejectRequest,
    CreateOrRejectResponse,
    CreateRequest,
    CreateResponse,
    GetRequest,
    HasInflightRequest,
    HeartbeatRequest,
    ListByThreadRequest,
    ListByThreadResponse,
    SetStatusRequest,
    SetStatusResponse,
    UpdateMetadataRequest,
    UpdateMetadataResponse,
    UpdateModelNameRequest,
    UpdateProgressRequest,
    UpdateProgressResponse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from runsvc.client.aio.watch import AsyncWatch
    from runsvc.client.error import RunError
    from runsvc.client.structs import JsonObject
    from runsvc.v1.run_pb2 import CancelAction, Progress, Run, RunSpec, RunStatus


class AsyncRunCalls(AsyncAdminCalls):
    """One method per RPC of RunService, and `watch`."""

    async def create(
        self, spec: RunSpec, *, request_id: str = "", timeout: float | None = None
    ) -> CreateResponse:
        """Create a run, regardless of other active runs on its thread.

        With a `request_id` the call is safe to repeat: a repeated call returns the run that the first one created.

        Raises `RunError` with THREAD_FULL, REQUEST_ID_REUSED or UNSUPPORTED_STRATEGY.
        """
        request = CreateRequest(request_id=request_id, spec=spec)
        return await self._call(self.stub.Create, request, timeout)

    async def create_or_reject(
        self, spec: RunSpec, *, request_id: str = "", timeout: float | None = None
    ) -> CreateOrRejectResponse:
        """Create a run if its multitask_strategy admits it. The answer's `superseded` lists the runs it displaced.

        `request_id` works as in `create`.

        Raises `ThreadBusy` if the strategy is REJECT and the thread has an active run, and `RunError` with
        REQUEST_ID_REUSED or UNSUPPORTED_STRATEGY.
        """
        request = CreateOrRejectRequest(request_id=request_id, spec=spec)
        return await self._call(self.stub.CreateOrReject, request, timeout)

    async def get(self, run_id: str, *, timeout: float | None = None) -> Run:
        """Return a run with its kwargs and its result. Raises `NotFound`."""
        answer = await self._call(self.stub.Get, GetRequest(run_id=run_id), timeout)
        return answer.run

    async def list_by_thread(
        self,
        thread_id: str,
        *,
        statuses: Sequence[RunStatus] = (),
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[ListByThreadResponse]:
        """Yield the runs of a thread in pages, newest first. Each page is fetched on demand.

        `statuses` filters the runs. `page_size` 0 selects the server's default, 100; the maximum is 500. `page_token`
        is the `next_page_token` of an earlier page and starts behind it. `timeout` applies to each page.
        """
        request = ListByThreadRequest(
            thread_id=thread_id, page_size=page_size, page_token=page_token, statuses=statuses
        )
        while True:
            page = await self._call(self.stub.ListByThread, request, timeout)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def has_inflight(
        self, thread_id: str, *, timeout: float | None = None
    ) -> tuple[str, ...]:
        """Return the ids of the thread's active runs, newest first. Empty if the thread is idle."""
        request = HasInflightRequest(thread_id=thread_id)
        answer = await self._call(self.stub.HasInflight, request, timeout)
        return tuple(answer.run_ids)

    async def set_status(
        self,
        run_id: str,
        status: RunStatus,
        *,
        error: str | None = None,
        worker_id: str | None = None,
        lease_ttl: float | None = None,
        result: JsonObject | None = None,
        stop_reason: str | None = None,
        timeout: float | None = None,
    ) -> SetStatusResponse:
        """Report a status. RUNNING starts the run and makes the worker its holder.

        `lease_ttl`, in seconds, gives the run a lease: the run ends as ERROR unless a report or a heartbeat arrives
        within each such period. `error` is the error text of a terminal status; `result` and `stop_reason` are as in
        `complete`. INTERRUPTED acknowledges the cancel of a run.

        Raises `NotFound`, and `FailedPrecondition` with INVALID_TRANSITION or NOT_HOLDER.
        """
        request = SetStatusRequest(
            run_id=run_id,
            status=status,
            error=error,
            worker_id=worker_id,
            lease_ttl=duration(lease_ttl, "lease_ttl"),
            result=struct(result, "result"),
            stop_reason=stop_reason,
        )
        return await self._call(self.stub.SetStatus, request, timeout)

    async def complete(
        self,
        run_id: str,
        status: RunStatus,
        *,
        error: str | None = None,
        progress: Progress | None = None,
        worker_id: str | None = None,
        result: JsonObject | None = None,
        stop_reason: str | None = None,
        timeout: float | None = None,
    ) -> CompleteResponse:
        """Report the end of a run: a terminal status, an error text and the final usage, in one write.

        `result` is what the run produced, with SUCCESS: a JSON object of at most 1 MiB. `stop_reason` is the
        executor's word for the end, such as token_capped. The server cuts an error of more than 16 KiB.

        Raises `NotFound`, and `FailedPrecondition` with INVALID_TRANSITION or NOT_HOLDER.
        """
        request = CompleteRequest(
            run_id=run_id,
            status=status,
            error=error,
            progress=progress,
            worker_id=worker_id,
            result=struct(result, "result"),
            stop_reason=stop_reason,
        )
        return await self._call(self.stub.Complete, request, timeout)

    async def update_progress(
        self,
        run_id: str,
        progress: Progress | None = None,
        *,
        sequence: int | None = None,
        final: bool = False,
        worker_id: str | None = None,
        timeout: float | None = None,
    ) -> UpdateProgressResponse:
        """Merge the fields that are set into the run's usage. The answer's run shows whether it was cancelled.

        A report whose `sequence` is not greater than the previous one is not applied. A `final` report is accepted
        once, even after the run has ended.

        Raises `NotFound`, and `FailedPrecondition` with NOT_HOLDER.
        """
        request = UpdateProgressRequest(
            run_id=run_id, progress=progress, sequence=sequence, final=final, worker_id=worker_id
        )
        return await self._call(self.stub.UpdateProgress, request, timeout)

    async def update_model_name(
        self, run_id: str, model_name: str | None, *, timeout: float | None = None
    ) -> Run:
        """Set the model name of an active run. None clears it.

        Raises `NotFound`, and `FailedPrecondition` with INVALID_TRANSITION.
        """
        request = UpdateModelNameRequest(run_id=run_id, model_name=model_name)
        answer = await self._call(self.stub.UpdateModelName, request, timeout)
        return answer.run

    async def update_metadata(
        self,
        run_id: str,
        changes: JsonObject | None = None,
        *,
        remove: Sequence[str] = (),
        timeout: float | None = None,
    ) -> UpdateMetadataResponse:
        """Set the top-level keys of `changes` in a run's metadata, and remove the keys in `remove`.

        It works in every status, also after the end. A value replaces the present one whole.

        Raises `NotFound`, and `InvalidArgument` if the metadata would have more than 64 KiB.
        """
        request = UpdateMetadataRequest(
            run_id=run_id, set=struct(changes, "changes"), remove=remove
        )
        return await self._call(self.stub.UpdateMetadata, request, timeout)

    async def heartbeat(self, run_id: str, worker_id: str, *, timeout: float | None = None) -> Run:
        """Renew the holder's lease. The returned run shows whether it was cancelled.

        Raises `NotFound`, and `FailedPrecondition` with NOT_HOLDER, or with INVALID_TRANSITION if the run ended
        without being cancelled.
        """
        request = HeartbeatRequest(run_id=run_id, worker_id=worker_id)
        answer = await self._call(self.stub.Heartbeat, request, timeout)
        return answer.run

    async def cancel(
        self,
        run_id: str,
        *,
        action: CancelAction | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> CancelResponse:
        """Cancel a run. The answer's `outcome` shows whether this call cancelled it.

        `action` selects how the executor treats the run's state; None is INTERRUPT. `note` is a reason for people.

        Raises `NotFound`.
        """
        request = CancelRequest(run_id=run_id, action=action, note=note)
        return await self._call(self.stub.Cancel, request, timeout)

    async def acknowledge_cancel(
        self,
        run_id: str,
        *,
        worker_id: str | None = None,
        progress: Progress | None = None,
        stop_reason: str | None = None,
        timeout: float | None = None,
    ) -> AcknowledgeCancelResponse:
        """Report that the executor of a cancelled run has stopped, with the final usage and its word for the end.

        Raises `NotFound`, and `FailedPrecondition` with INVALID_TRANSITION if the run was not cancelled, or NOT_HOLDER.
        """
        request = AcknowledgeCancelRequest(
            run_id=run_id, worker_id=worker_id, progress=progress, stop_reason=stop_reason
        )
        return await self._call(self.stub.AcknowledgeCancel, request, timeout)

    def watch(
        self,
        run_id: str | None = None,
        *,
        thread_id: str | None = None,
        all_runs: bool = False,
        assistant_id: str | None = None,
        after_revision: int | None = None,
        store_id: str = "",
        include_progress: bool = False,
        attach: bool = False,
        until_acknowledged: bool = False,
        heartbeat_interval: float | None = None,
        outage: float = OUTAGE,
        resnapshot: bool = False,
        on_reconnect: Callable[[RunError], object] | None = None,
    ) -> AsyncWatch:
        """Watch one run, the runs of a thread, or all runs (of one assistant). Name exactly one target.

        Yields every event once and in order, heartbeats included: a snapshot first, then changes. After a lost
        connection the watch resumes behind the last event. An interrupted snapshot is sent again from its beginning. A
        watch of one run ends after its terminal change; with `until_acknowledged`, after the executor has acknowledged
        a cancel.

        - `after_revision` starts with the first change after that revision instead of a snapshot. `store_id` is the
          store that the revision belongs to; empty skips the check.
        - `resnapshot` starts over with a snapshot if the log does not reach back to the revision, or the store was
          restored or replaced. The new snapshot replaces all earlier knowledge of active runs. Without `resnapshot`
          such a watch fails with REVISION_COMPACTED or REVISION_UNKNOWN.
        - `include_progress` adds usage reports and changed metadata.
        - `attach` counts the watch as a client of the run; see DisconnectMode in the protos.
        - `heartbeat_interval` is the longest silence of the server, in seconds: 1 to 300, default 15.
        - `outage` is the time in seconds without a server after which the watch fails with the last error.
        - `on_reconnect` is called with each error before the watch reconnects. An exception it raises ends the watch.

        Raises ValueError for two targets. The first event raises `NotFound`, or `InvalidArgument` without a target.
        """
        request = watch_request(
            run_id=run_id,
            thread_id=thread_id,
            all_runs=all_runs,
            assistant_id=assistant_id,
            heartbeat_interval=heartbeat_interval,
            after_revision=after_revision,
            store_id=store_id,
            include_progress=include_progress,
            attach=attach,
            until_acknowledged=until_acknowledged,
        )
        resumption = Resumption(request, outage=outage, resnapshot=resnapshot)
        return self._open_watch(resumption, on_reconnect)
