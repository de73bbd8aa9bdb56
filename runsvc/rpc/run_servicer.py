"""RunService: each handler checks its request, makes one call and encodes the answer."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runsvc.commit.candidates import Wanted
from runsvc.core.lines import end_line
from runsvc.core.model import Progress
from runsvc.usecases.dispatch import Claim
from runsvc.v1 import run_service_pb2 as pb
from runsvc.wire import page_token
from runsvc.wire.answer import record_field, run_field, with_result
from runsvc.wire.claim_request import claim_fields
from runsvc.wire.convert import fitting, to_message
from runsvc.wire.creation import creation
from runsvc.wire.encoder import EventEncoder
from runsvc.wire.metadata import metadata_change
from runsvc.wire.report import complete, set_status
from runsvc.wire.validation import Check
from runsvc.wire.watch_request import watch_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from runsvc.auth.caller import Caller
    from runsvc.core.model import Report as RunReport
    from runsvc.core.model import Request, Run, RunSpec, RunStatus
    from runsvc.rpc.audit import Audit
    from runsvc.rpc.connections import Connections
    from runsvc.store.base import Codec
    from runsvc.usecases.dispatch import Answer, Dispatch
    from runsvc.usecases.manager import Reported, RunManager
    from runsvc.watch.stream import Watches
    from runsvc.wire.report import StatusReport

    Report = TypeVar("Report", pb.SetStatusRequest, pb.CompleteRequest)

#: Creations and results above this size in bytes are checked on a thread, so that they do not delay other calls.
LARGE: Final = 64 << 10


class RunServicer:
    """Serves RunService from the manager and the watches. It encodes answers that hold runs itself.

    The guard passes the caller of each call to its handler, after the request and the context.
    """

    def __init__(
        self,
        manager: RunManager,
        dispatch: Dispatch,
        watches: Watches,
        codec: Codec,
        connections: Connections,
        audit: Audit,
    ) -> None:
        self._manager = manager
        self._dispatch = dispatch
        self._watches = watches
        self._encode_run = codec.encode
        self._connections = connections
        self._audit = audit
        self._encode = EventEncoder().encode

    async def Create(self, request: pb.CreateRequest, context: Any, caller: Caller) -> bytes:
        spec, repeatable = await _creation(request, caller.owner, "Create")
        run, replayed, _, result = await self._manager.create(caller.owner, spec, repeatable)
        return self._answer(run, pb.CreateResponse(replayed=replayed), spec.kwargs, result)

    async def CreateOrReject(
        self, request: pb.CreateOrRejectRequest, context: Any, caller: Caller
    ) -> bytes:
        spec, repeatable = await _creation(request, caller.owner, "CreateOrReject")
        created = await self._manager.create_or_reject(
            caller.owner, spec, repeatable, requested_by=caller.name
        )
        run, replayed, displaced, result = created
        if displaced and not replayed:
            self._audit.record(context, caller, *map(end_line, displaced))
        superseded = fitting(map(to_message, displaced))
        rest = pb.CreateOrRejectResponse(replayed=replayed, superseded=superseded)
        return self._answer(run, rest, spec.kwargs, result)

    async def Get(self, request: pb.GetRequest, context: Any, caller: Caller) -> bytes:
        with Check() as check:
            run_id = check.run_id(request.run_id)
        record = await self._manager.get(caller.scope, run_id)
        queues = await self._manager.queues([record])
        return record_field(record, queues.get(run_id))

    async def ListByThread(
        self, request: pb.ListByThreadRequest, context: Any, caller: Caller
    ) -> bytes:
        with Check() as check:
            thread_id = check.thread_id(request.thread_id)
            statuses = check.statuses(request.statuses)
            page_size = check.page_size(request.page_size)
            after = check.page_token(
                request.page_token, owner=caller.owner, thread_id=thread_id, statuses=statuses
            )
        page = await self._manager.list_by_thread(
            caller.owner, thread_id, statuses=statuses, after=after, page_size=page_size
        )
        token = page.next and page_token.encode(
            page.next, owner=caller.owner, thread_id=thread_id, statuses=statuses
        )
        queues = await self._manager.queues(page.records)
        runs = (record_field(record, queues.get(record.run_id)) for record in page.records)
        rest = pb.ListByThreadResponse(next_page_token=token or "").SerializeToString()
        return b"".join((*runs, rest))

    async def HasInflight(
        self, request: pb.HasInflightRequest, context: Any, caller: Caller
    ) -> pb.HasInflightResponse:
        with Check() as check:
            thread_id = check.thread_id(request.thread_id)
        active, queued = await self._manager.has_inflight(caller.owner, thread_id)
        return pb.HasInflightResponse(
            has_inflight=bool(active), run_ids=active, queued_run_ids=queued
        )

    async def SetStatus(self, request: pb.SetStatusRequest, context: Any, caller: Caller) -> bytes:
        report = await _checked(set_status, request)
        run, changed = await self._reported(context, caller, *report)
        return self._answer(run, pb.SetStatusResponse(changed=changed))

    async def Complete(self, request: pb.CompleteRequest, context: Any, caller: Caller) -> bytes:
        report = await _checked(complete, request)
        run, changed = await self._reported(context, caller, *report)
        return self._answer(run, pb.CompleteResponse(changed=changed))

    async def UpdateProgress(
        self, request: pb.UpdateProgressRequest, context: Any, caller: Caller
    ) -> bytes:
        with Check() as check:
            run_id = check.run_id(request.run_id)
            progress = check.progress(request) or Progress()
            sequence = check.sequence(request)
            worker_id = check.optional_worker_id(request)
            attempt = check.attempt(request)
        run, applied = await self._manager.update_progress(
            caller.scope,
            run_id,
            progress,
            sequence=sequence,
            final=request.final,
            worker_id=worker_id,
            attempt=attempt,
        )
        return self._answer(run, pb.UpdateProgressResponse(applied=applied))

    async def UpdateModelName(
        self, request: pb.UpdateModelNameRequest, context: Any, caller: Caller
    ) -> bytes:
        with Check() as check:
            run_id = check.run_id(request.run_id)
            model_name = check.model_name(request)
        run = await self._manager.update_model_name(caller.scope, run_id, model_name)
        return self._answer(run, pb.UpdateModelNameResponse())

    async def UpdateMetadata(
        self, request: pb.UpdateMetadataRequest, context: Any, caller: Caller
    ) -> bytes:
        with Check() as check:
            run_id = check.run_id(request.run_id)
            change = metadata_change(check, request)
        run, changed = await self._manager.update_metadata(
            caller.scope, run_id, change.apply, change.size
        )
        return self._answer(run, pb.UpdateMetadataResponse(changed=changed))

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: Any, caller: Caller) -> bytes:
        with Check() as check:
            run_id = check.run_id(request.run_id)
            worker_id = check.worker_id(request.worker_id)
            attempt = check.attempt(request)
        run = await self._manager.heartbeat(caller.scope, run_id, worker_id, attempt=attempt)
        return self._answer(run, pb.HeartbeatResponse())

    async def Cancel(self, request: pb.CancelRequest, context: Any, caller: Caller) -> bytes:
        with Check() as check:
            run_id = check.run_id(request.run_id)
            action = check.action(request.action)
            note = check.note(request)
        subject = f"Cancel of run {run_id}"
        cancelled = self._manager.cancel(
            caller.scope, run_id, action, note, requested_by=caller.name
        )
        run, outcome = await self._audit.attempt(context, caller, subject, cancelled)
        self._audit.record(context, caller, f"{subject}: {outcome.name}, action {action.name}")
        return self._answer(run, pb.CancelResponse(outcome=f"CANCEL_OUTCOME_{outcome.name}"))

    async def AcknowledgeCancel(
        self, request: pb.AcknowledgeCancelRequest, context: Any, caller: Caller
    ) -> bytes:
        with Check() as check:
            run_id = check.run_id(request.run_id)
            worker_id = check.optional_worker_id(request)
            progress = check.progress(request)
            stop_reason = check.stop_reason(request)
            attempt = check.attempt(request)
        run, changed = await self._manager.acknowledge_cancel(
            caller.scope,
            run_id,
            worker_id=worker_id,
            progress=progress,
            stop_reason=stop_reason,
            attempt=attempt,
        )
        return self._answer(run, pb.AcknowledgeCancelResponse(changed=changed))

    async def Claim(self, request: pb.ClaimRequest, context: Any, caller: Caller) -> bytes:
        worker_id, assistant_ids, max_runs, ttl, wait, request_id = claim_fields(request)
        wanted = Wanted(worker_id, assistant_ids, caller.scope)
        answer = await self._dispatch.claim(
            Claim(wanted, max_runs, ttl, wait.total_seconds(), request_id)
        )
        if answer.runs:
            context.add_done_callback(partial(self._give_back_if_lost, answer))
        return b"".join(run_field(*self._encode_run(run), kwargs) for run, kwargs in answer.runs)

    async def Release(self, request: pb.ReleaseRequest, context: Any, caller: Caller) -> bytes:
        with Check() as check:
            run_id = check.run_id(request.run_id)
            worker_id = check.worker_id(request.worker_id)
            attempt = check.attempt(request)
        run = await self._dispatch.release(caller.scope, run_id, worker_id, attempt)
        return self._answer(run, pb.ReleaseResponse())

    # Writes instead of yielding: the cleanup of a generator may run late, in another task.
    async def StreamStatus(
        self, request: pb.StreamStatusRequest, context: Any, caller: Caller
    ) -> None:
        may_be_aged_out = partial(self._connections.may_be_aged_out, context.peer())
        asked = watch_request(request, caller.scope, caller.owner)
        with self._watches.open(asked, may_be_aged_out, caller.credential_left) as watch:
            # The watch may stay open for days.
            del request
            await watch.begin()
            while not watch.over:
                for event in await watch.proceed():
                    await context.write(self._encode(event))

    async def _reported(
        self, context: Any, caller: Caller, run_id: str, to: RunStatus, report: RunReport
    ) -> Reported:
        """Apply a report. With authentication, a report that ends a run has a line in the log.

        Without, the line would name no one, and cost the most frequent calls something.
        """
        reporting = self._manager.report_status(caller.scope, run_id, to, report)
        if not caller.name:
            return await reporting
        subject = f"Report on run {run_id}"
        reported = await self._audit.attempt(context, caller, subject, reporting)
        run = reported.run
        # A report that adds final usage to an ended run is later than its end.
        if reported.changed and run.ended_at is not None and run.ended_at == run.updated_at:
            self._audit.record(context, caller, f"{subject}: {run.status.name}")
        return reported

    def _give_back_if_lost(self, answer: Answer, context: Any) -> None:
        """Release runs whose answer could not be sent, because the call was cancelled meanwhile."""
        if context.cancelled():
            self._dispatch.give_back(answer)

    def _answer(
        self, run: Run, rest: Message, kwargs: bytes = b"", result: bytes | None = None
    ) -> bytes:
        """The answer: a run, with kwargs and result if given, followed by the other fields."""
        body, activity = self._encode_run(run)
        return run_field(body, with_result(activity, result), kwargs) + rest.SerializeToString()


async def _creation(
    request: pb.CreateRequest | pb.CreateOrRejectRequest, owner: str, method: str
) -> tuple[RunSpec, Request | None]:
    if request.ByteSize() > LARGE:
        return await asyncio.to_thread(creation, request, owner=owner, method=method)
    return creation(request, owner=owner, method=method)


async def _checked(check: Callable[[Report], StatusReport], request: Report) -> StatusReport:
    if request.HasField("result") and request.result.ByteSize() > LARGE:
        return await asyncio.to_thread(check, request)
    return check(request)
