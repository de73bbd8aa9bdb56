"""A failed call as the server told it: the code, the reason and the details from the trailers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError

# The package has generated stubs but does not declare them.
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOMAIN: Final = "runsvc"
_DETAILS_KEY: Final = "grpc-status-details-bin"
#: On every failure that a server of ours tells.
_REQUEST_ID_KEY: Final = "x-request-id"


class Violation(NamedTuple):
    """One field of a request that is at fault, and what is wrong with it."""

    field: str
    description: str


class RunError(Exception):
    """Why a call failed. A subclass where callers often go on from there; `code` and `reason` tell all others apart."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str = "",
        message: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
        from_transport: bool = False,
    ) -> None:
        super().__init__(code, reason, message, metadata, violations, retry_after, from_transport)
        self.code = code
        #: Name of an ErrorReason without its prefix, such as THREAD_BUSY. Empty: the server did not say or not answer.
        self.reason = reason
        self.message = message
        #: The facts of the reason, such as run_id.
        self.metadata: Mapping[str, str] = metadata or {}
        #: The fields at fault, of an INVALID_REQUEST.
        self.violations = violations
        #: Seconds after which trying again is worth it. None: not told.
        self.retry_after = retry_after
        #: No server said so: the connection was lost or never made, or the time was over.
        self.from_transport = from_transport

    def __str__(self) -> str:
        what = " ".join(filter(None, (self.code.name, self.reason)))
        return f"{what}: {self.message}" if self.message else what


class NotFound(RunError):
    """No such run, or not the caller's."""


class ThreadBusy(RunError):
    """The thread has an active run; metadata names it as run_id."""


class FailedPrecondition(RunError):
    """Refused as things stand: INVALID_TRANSITION (the run has ended), or NOT_HOLDER (another worker has it)."""


class InvalidArgument(RunError):
    """The request is at fault; `violations` lists every field."""


class Unavailable(RunError):
    """No server, one that stops, or one that cannot reach its store.

    With a `reason` what was asked for did not happen; without one the connection was lost, and it may have.
    """


_BY_REASON: Final[Mapping[str, type[RunError]]] = {"THREAD_BUSY": ThreadBusy}
_BY_CODE: Final[Mapping[grpc.StatusCode, type[RunError]]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}


def error_of(rpc_error: grpc.RpcError) -> RunError:
    """What is known of a failed call, of either kind of channel."""
    if not isinstance(rpc_error, (grpc.Call, grpc.aio.AioRpcError)):
        return RunError(grpc.StatusCode.UNKNOWN, message=str(rpc_error))
    code = rpc_error.code()
    told = _told(rpc_error.trailing_metadata() or ())
    kind = _BY_REASON.get(told.get("reason", "")) or _BY_CODE.get(code, RunError)
    return kind(code, message=rpc_error.details() or "", **told)


def _told(trailers: Any) -> dict[str, Any]:
    """The attributes of a RunError that the trailers hold."""
    told: dict[str, Any] = {}
    for detail in _details(trailers):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            told |= _error_info(_unpacked(detail, error_details_pb2.ErrorInfo()))
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            told |= _bad_request(_unpacked(detail, error_details_pb2.BadRequest()))
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            told |= _retry_info(_unpacked(detail, error_details_pb2.RetryInfo()))
    is_ours = "reason" in told or any(key == _REQUEST_ID_KEY for key, _ in trailers)
    return told | {"from_transport": not is_ours}


def _details(trailers: Any) -> Any:
    status = status_pb2.Status()
    for key, value in trailers:
        if key == _DETAILS_KEY:
            try:
                status.ParseFromString(value)
            except DecodeError:
                return ()
    return status.details


def _unpacked(detail: Any, message: Any) -> Any:
    """The detail as that message; an empty one when its bytes do not parse."""
    try:
        detail.Unpack(message)
    except DecodeError:
        message.Clear()
    return message


def _error_info(info: Any) -> dict[str, Any]:
    if info.domain != _DOMAIN:
        return {}
    return {"reason": info.reason, "metadata": dict(info.metadata)}


def _bad_request(request: Any) -> dict[str, Any]:
    faults = request.field_violations
    return {"violations": tuple(Violation(fault.field, fault.description) for fault in faults)}


def _retry_info(info: Any) -> dict[str, Any]:
    return {"retry_after": info.retry_delay.ToNanoseconds() / 1e9}
