"""Validation of status reports: SetStatus and Complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core.model import Report, RunStatus
from runsvc.wire import structs
from runsvc.wire.validation import Check

if TYPE_CHECKING:
    from runsvc.v1 import run_service_pb2

    AnyRequest = run_service_pb2.SetStatusRequest | run_service_pb2.CompleteRequest

RESULT_BYTES: Final = 1 << 20


class StatusReport(NamedTuple):
    """A checked report of a status."""

    run_id: str
    status: RunStatus
    report: Report


def set_status(request: run_service_pb2.SetStatusRequest) -> StatusReport:
    """The report of a status. Raise InvalidRequest."""
    with Check() as check:
        run_id = check.run_id(request.run_id)
        status = check.status(request.status)
        error = check.error(request, status)
        worker_id = check.optional_worker_id(request)
        lease_ttl = check.start_lease_ttl(request, worker_id, status)
        result = _result(check, request, status)
        stop_reason = check.stop_reason(request)
        retryable = check.retryable(request.retryable, status)
        if stop_reason and not status.terminal:
            check.fault("stop_reason", "needs a terminal status")
    report = Report(
        worker_id=worker_id,
        lease_ttl=lease_ttl,
        error=error,
        stop_reason=stop_reason,
        result=result,
        attempt=check.attempt(request),
        retryable=retryable,
    )
    return StatusReport(run_id, status, report)


def complete(request: run_service_pb2.CompleteRequest) -> StatusReport:
    """The report of an end. Raise InvalidRequest."""
    with Check() as check:
        run_id = check.run_id(request.run_id)
        status = check.terminal_status(request.status)
        error = check.error(request, status)
        progress = check.progress(request)
        worker_id = check.optional_worker_id(request)
        result = _result(check, request, status)
        stop_reason = check.stop_reason(request)
        retryable = check.retryable(request.retryable, status)
    report = Report(
        worker_id=worker_id,
        error=error,
        stop_reason=stop_reason,
        progress=progress,
        result=result,
        attempt=check.attempt(request),
        retryable=retryable,
    )
    return StatusReport(run_id, status, report)


def _result(check: Check, request: AnyRequest, status: RunStatus) -> bytes | None:
    if not request.HasField("result"):
        return None
    if status is not RunStatus.SUCCESS:
        check.fault("result", "needs the status SUCCESS")
    structs.checked(check, "result", request.result, RESULT_BYTES)
    return request.result.SerializeToString()
