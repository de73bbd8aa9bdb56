"""AsyncRunClient: one method per RPC."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runsvc.client.aio.admin import AsyncAdminCalls
from runsvc.client.aio.execution import AsyncExecution
from runsvc.client.aio.watch import AsyncWatch
from runsvc.client.execution import LEASE_TTL
from runsvc.client.resume import OUTAGE, Resumption, watch_request
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
    UpdateModelNameRequest,
    UpdateProgressRequest,
    UpdateProgressResponse,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from runsvc.client.error import RunError
    from runsvc.v1.run_pb2 import CancelAction, Progress, Run, RunSpec, RunStatus


class AsyncRunClient(AsyncAdminCalls):
    """A client of runsvc for asyncio.

    A method returns what the answer holds: the one thing that is in it, or the answer where there are several. It
    raises RunError, or a subclass, with the server's reason. Each takes `timeout`, its deadline in seconds, retries
    included; math.inf is none. Reads, and creations with a request_id, are made up to four times while the server is
    unavailable.

    async with AsyncRunClient() as client:
        created = await client.create_or_reject(RunSpec(thread_id="chat-1", kwargs={"input": "hello"}))
        print(created.run.run_id)
    """

    async def create(
        self, spec: RunSpec, *, request_id: str = "", timeout: float | None = None
    ) -> CreateResponse:
        """Admit a run beside any that its thread has. `request_id` makes a repeated call return the first one's run.

        RunError with THREAD_FULL, REQUEST_ID_REUSED or UNSUPPORTED_STRATEGY.
        """
        request = CreateRequest(request_id=request_id, spec=spec)
        return await self._call(self.stub.Create, request, timeout)

    async def create_or_reject(
        self, spec: RunSpec, *, request_id: str = "", timeout: float | None = None
    ) -> CreateOrRejectResponse:
        """Admit a run as its multitask_strategy says; `superseded` of the answer are the runs that it displaced.

        ThreadBusy while the thread has an active run and the strategy is REJECT; RunError with REQUEST_ID_REUSED or
        UNSUPPORTED_STRATEGY.
        """
        request = CreateOrRejectRequest(request_id=request_id, spec=spec)
        return await self._call(self.stub.CreateOrReject, request, timeout)

    async def get(self, run_id: str, *, timeout: float | None = None) -> Run:
        """The run, with its kwargs. NotFound."""
        return (await self._call(self.stub.Get, GetRequest(run_id=run_id), timeout)).run

    async def list_by_thread(
        self,
        thread_id: str,
        *,
        statuses: Sequence[RunStatus] = (),
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[ListByThreadResponse]:
        """The thread's runs in pages, newest first, each page fetched when it is asked for.

        `page_size` 0 is the server's 100, more than 500 is 500; `page_token` is the next_page_token of the page before
        the first one wanted. `timeout` is that of each page.
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
        """Ids of the thread's active runs, newest first; empty when it is idle."""
        request = HasInflightRequest(thread_id=thread_id)
        return tuple((await self._call(self.stub.HasInflight, request, timeout)).run_ids)

    async def set_status(
        self,
        run_id: str,
        status: RunStatus,
        *,
        error: str | None = None,
        worker_id: str | None = None,
        lease_ttl: float | None = None,
        timeout: float | None = None,
    ) -> SetStatusResponse:
        """Report a status; RUNNING is the start, and makes the worker the run's holder.

        `lease_ttl` promises a heartbeat at least that often, in seconds. NotFound; FailedPrecondition with
        INVALID_TRANSITION or NOT_HOLDER.
        """
        request = SetStatusRequest(
            run_id=run_id,
            status=status,
            error=error,
            worker_id=worker_id,
            lease_ttl=None if lease_ttl is None else timedelta(seconds=lease_ttl),
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
        timeout: float | None = None,
    ) -> CompleteResponse:
        """Report the end: a terminal status, what went wrong, and the final usage, in one write.

        NotFound; FailedPrecondition with INVALID_TRANSITION or NOT_HOLDER.
        """
        request = CompleteRequest(
            run_id=run_id, status=status, error=error, progress=progress, worker_id=worker_id
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
        """Merge the fields that are set into the run's usage; the answer's run tells of a cancel.

        One with a `sequence` that is not above the last is not applied. `final` figures are taken once, also after the
        run has ended. NotFound; FailedPrecondition with NOT_HOLDER.
        """
        request = UpdateProgressRequest(
            run_id=run_id, progress=progress, sequence=sequence, final=final, worker_id=worker_id
        )
        return await self._call(self.stub.UpdateProgress, request, timeout)

    async def update_model_name(
        self, run_id: str, model_name: str | None, *, timeout: float | None = None
    ) -> Run:
        """Set the model of an active run; None clears it. NotFound; FailedPrecondition with INVALID_TRANSITION."""
        request = UpdateModelNameRequest(run_id=run_id, model_name=model_name)
        return (await self._call(self.stub.UpdateModelName, request, timeout)).run

    async def heartbeat(self, run_id: str, worker_id: str, *, timeout: float | None = None) -> Run:
        """Renew the holder's lease; the run tells of a cancel.

        NotFound; FailedPrecondition with NOT_HOLDER, or with INVALID_TRANSITION when the run ended otherwise.
        """
        request = HeartbeatRequest(run_id=run_id, worker_id=worker_id)
        return (await self._call(self.stub.Heartbeat, request, timeout)).run

    async def cancel(
        self,
        run_id: str,
        *,
        action: CancelAction | None = None,
        note: str | None = None,
        timeout: float | None = None,
    ) -> CancelResponse:
        """Cancel a run; `outcome` of the answer says whether this call did it. `action` None is INTERRUPT. NotFound."""
        request = CancelRequest(run_id=run_id, action=action, note=note)
        return await self._call(self.stub.Cancel, request, timeout)

    async def acknowledge_cancel(
        self,
        run_id: str,
        *,
        worker_id: str | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> AcknowledgeCancelResponse:
        """Report that the executor of a cancelled run has stopped, with its final usage.

        NotFound; FailedPrecondition with INVALID_TRANSITION (it was not cancelled) or NOT_HOLDER.
        """
        request = AcknowledgeCancelRequest(run_id=run_id, worker_id=worker_id, progress=progress)
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
        """Watch a run, a thread's runs, or all runs (of an assistant), from a snapshot or from a revision on.

        Every event comes once and in order, heartbeats too. A lost connection is made up for: the watch goes on from
        its position as soon as there is a server, and fails with the last error when there was none for `outage`
        seconds. `on_reconnect` is told each such failure; what it raises ends the watch. A snapshot that was cut off
        comes again from its beginning. The watch of one run ends after its terminal change; `until_acknowledged` waits
        for its executor, too.

        `after_revision` starts behind that revision, of the store `store_id` if that is given. Where the log does not
        reach back to it any more, or the store was restored or is another one, `resnapshot` starts over with a
        snapshot, which replaces what was known of active runs; without it that is a RunError with REVISION_COMPACTED
        or REVISION_UNKNOWN. `attach` counts the watch as the run's client: see
        DisconnectMode. `heartbeat_interval` is the longest silence, in seconds: 1 to 300, 15 unless told.

        NotFound, and InvalidArgument without a target, when the first event is asked for; ValueError for two targets.
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
        watch = AsyncWatch(self._open_stream, resumption, on_reconnect)
        self._watches.add(watch)
        return watch

    def executing(
        self,
        run: Run | str,
        *,
        worker_id: str | None,
        lease_ttl: float | None = LEASE_TTL,
        outage: float | None = None,
    ) -> AsyncExecution:
        """Execute a run in an `async with` block: start it, give signs of life, stop on a cancel, report the end.

        `run` is a run as an answer told it, with kwargs, or its id. `lease_ttl` is how long the server waits for a sign
        of life before it takes the worker for dead, in seconds, 1 to 3,600; None, or a `worker_id` of None: for ever,
        or as the run's creation says. While there is no server the work goes on, however long, for time in which
        none serves counts for no lease: only an answer stops it. Reports of the end are repeated for `outage` seconds;
        None: for as long as the lease, but at least a minute.

        NotFound; FailedPrecondition when the run has ended, perhaps by a cancel (INVALID_TRANSITION), or another worker
        has it (NOT_HOLDER).

        async with client.executing(run_id, worker_id="w1") as execution:
            answer = await work(execution.run.kwargs)
            await execution.update_progress(Progress(total_tokens=answer.tokens))
        """
        return AsyncExecution(self, run, worker_id, lease_ttl, outage)
