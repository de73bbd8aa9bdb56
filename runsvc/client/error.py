"""Errors of calls, built from the status, the reason and the details in the trailers."""

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
#: Present on every failure that a runsvc server reports.
_REQUEST_ID_KEY: Final = "x-request-id"


class Violation(NamedTuple):
    """An invalid field of a request, and the reason."""

    field: str
    description: str


class RunError(Exception):
    """A failed call. Frequent cases have a subclass; `code` and `reason` distinguish the others.

    `__cause__` is grpc's own error.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str = "",
        message: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
        from_transport: bool = False,
        request_id: str = "",
    ) -> None:
        super().__init__(
            code, reason, message, metadata, violations, retry_after, from_transport, request_id
        )
        self.code: grpc.StatusCode = code
        """The status code."""
        self.reason: str = reason
        """Name of an ErrorReason without its prefix, such as THREAD_BUSY. Empty if the server gave none."""
        self.message: str = message
        """The server's message, for people."""
        self.metadata: Mapping[str, str] = metadata or {}
        """Facts that belong to the reason, such as run_id."""
        self.violations: tuple[Violation, ...] = violations
        """The invalid fields of the request, for INVALID_REQUEST."""
        self.retry_after: float | None = retry_after
        """Seconds to wait before the next attempt. None if the server gave none."""
        self.from_transport: bool = from_transport
        """Whether the failure comes from the transport: the connection failed, or the deadline passed."""
        self.request_id: str = request_id
        """The server's id of the call, which its log names too. Empty if the server gave none."""

    def __str__(self) -> str:
        kind = " ".join(filter(None, (self.code.name, self.reason)))
        return f"{kind}: {self.message}" if self.message else kind


class NotFound(RunError):
    """The run does not exist, or belongs to another owner."""


class ThreadBusy(RunError):
    """The thread has an active run. `metadata["run_id"]` is its id."""


class FailedPrecondition(RunError):
    """The run's state does not allow the call: INVALID_TRANSITION (it has ended) or NOT_HOLDER."""


class InvalidArgument(RunError):
    """The request is invalid. `violations` lists the invalid fields."""


class Unavailable(RunError):
    """There is no server, it is stopping or overloaded, or it cannot reach its store.

    With a `reason` the call had no effect. Without one the connection was lost, and the call may have taken effect.
    """


_BY_REASON: Final[Mapping[str, type[RunError]]] = {"THREAD_BUSY": ThreadBusy}
_BY_CODE: Final[Mapping[grpc.StatusCode, type[RunError]]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}


def unasked(error: RunError) -> RunError:
    """Return `Unavailable` for a CANCELLED of the transport, and any other error as it is.

    If the caller did not cancel, the server's transport could not take the call: it is overloaded or stopping.
    """
    if error.code is not grpc.StatusCode.CANCELLED or not error.from_transport:
        return error
    message = "The server ended the call: it is overloaded or stopping."
    return Unavailable(grpc.StatusCode.UNAVAILABLE, message=message, from_transport=True)


def error_of(rpc_error: grpc.RpcError) -> RunError:
    """Return the `RunError` of a grpc error, from a channel for threads or for asyncio."""
    if not isinstance(rpc_error, (grpc.Call, grpc.aio.AioRpcError)):
        return RunError(grpc.StatusCode.UNKNOWN, message=str(rpc_error))
    code = rpc_error.code()
    details = _attributes(rpc_error.trailing_metadata() or ())
    kind = _BY_REASON.get(details.get("reason", "")) or _BY_CODE.get(code, RunError)
    return kind(code, message=rpc_error.details() or "", **details)


def _attributes(trailers: Any) -> dict[str, Any]:
    """Return the attributes of a RunError that the trailers hold."""
    attributes: dict[str, Any] = {}
    for detail in _details(trailers):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            attributes |= _error_info(_unpacked(detail, error_details_pb2.ErrorInfo()))
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            attributes |= _bad_request(_unpacked(detail, error_details_pb2.BadRequest()))
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            attributes |= _retry_info(_unpacked(detail, error_details_pb2.RetryInfo()))
    request_id = next((value for key, value in trailers if key == _REQUEST_ID_KEY), "")
    is_ours = "reason" in attributes or bool(request_id)
    return attributes | {"from_transport": not is_ours, "request_id": request_id}


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
    """Return the detail as `message`, which stays empty if the bytes do not parse."""
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
    violations = request.field_violations
    return {"violations": tuple(Violation(each.field, each.description) for each in violations)}


def _retry_info(info: Any) -> dict[str, Any]:
    return {"retry_after": info.retry_delay.ToNanoseconds() / 1e9}
