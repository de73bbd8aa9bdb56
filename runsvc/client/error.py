"""A failed call as the server told it: the code, the reason and the details from the trailers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError

# The package has generated stubs but does not declare them.
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOMAIN: Final = "runsvc"
_DETAILS_KEY: Final = "grpc-status-details-bin"


class Violation(NamedTuple):
    """One field of a request that is at fault, and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a call failed."""

    code: grpc.StatusCode
    #: Name of an ErrorReason without its prefix, such as THREAD_BUSY. Empty: the server did not say, or did not answer.
    reason: str = ""
    message: str = ""
    #: The facts of the reason, such as run_id.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: The fields at fault, of an INVALID_REQUEST.
    violations: tuple[Violation, ...] = ()
    #: Seconds after which trying again is worth it. None: not told.
    retry_after: float | None = None


def error_of(rpc_error: grpc.RpcError) -> RunError:
    """What is known of a failed call, of either kind of channel."""
    if not isinstance(rpc_error, (grpc.Call, grpc.aio.AioRpcError)):
        return RunError(grpc.StatusCode.UNKNOWN, message=str(rpc_error))
    return RunError(
        code=rpc_error.code(),
        message=rpc_error.details() or "",
        **_told(rpc_error.trailing_metadata() or ()),
    )


def _told(trailers: Any) -> dict[str, Any]:
    """The attributes of a RunError that the details hold."""
    told: dict[str, Any] = {}
    for detail in _details(trailers):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            told |= _error_info(_unpacked(detail, error_details_pb2.ErrorInfo()))
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            told |= _bad_request(_unpacked(detail, error_details_pb2.BadRequest()))
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            told |= _retry_info(_unpacked(detail, error_details_pb2.RetryInfo()))
    return told


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
