"""Failures as statuses: one table from exceptions to codes, reasons and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc

# The package has generated stubs but does not declare them.
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from runsvc.core.errors import (
    CorruptRow,
    FileRefused,
    InvalidRequest,
    InvalidTransition,
    ListenRefused,
    NotHolder,
    OutcomeUnknown,
    Overloaded,
    PermissionDenied,
    RequestIdReused,
    RevisionCompacted,
    RevisionUnknown,
    RunNotFound,
    RunsvcError,
    ServerDraining,
    StoreRefused,
    StoreUnavailable,
    ThreadBusy,
    ThreadFull,
    Unauthenticated,
    UnsupportedStrategy,
)
from runsvc.rpc import request_ids
from runsvc.v1.error_reason_pb2 import ErrorReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.message import Message

    from runsvc.core.errors import Violation

DOMAIN: Final = "runsvc"
DETAILS_KEY: Final = "grpc-status-details-bin"

#: Raised only before a server serves, so that no client receives them.
UNSENT: Final = frozenset({StoreRefused, ListenRefused, FileRefused})

#: Seconds after which clients may retry.
_RETRY_AFTER: Final = 1

# The transport replaces a status whose trailers exceed some 8 kB. These two limits keep the whole below 4 kB: details
# are sent as base64, and the message once more by itself, percent-encoded at three bytes for each.
_MESSAGE_BYTES: Final = 300
_STATUS_BYTES: Final = 2_200
_FACT_BYTES: Final = 200


class Status(NamedTuple):
    """The status of a failed call."""

    code: grpc.StatusCode
    message: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


class Mapped(NamedTuple):
    """The code, reason and metadata of a class of failures."""

    code: grpc.StatusCode
    reason: ErrorReason
    #: The metadata: attributes of the error, by their names on the wire.
    facts: Callable[[Any], Mapping[str, object]] = lambda error: {}
    retry: bool = False


#: The nearest class in the exception's MRO applies.
TABLE: Final[Mapping[type, Mapped]] = {
    RunNotFound: Mapped(
        grpc.StatusCode.NOT_FOUND,
        ErrorReason.ERROR_REASON_RUN_NOT_FOUND,
        lambda error: {"run_id": error.run_id},
    ),
    ThreadBusy: Mapped(
        grpc.StatusCode.ABORTED,
        ErrorReason.ERROR_REASON_THREAD_BUSY,
        lambda error: {
            "thread_id": error.thread_id,
            "run_id": error.run_id,
            "status": error.status.name,
        },
    ),
    ThreadFull: Mapped(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_THREAD_FULL,
        lambda error: {"thread_id": error.thread_id},
    ),
    UnsupportedStrategy: Mapped(
        grpc.StatusCode.UNIMPLEMENTED,
        ErrorReason.ERROR_REASON_UNSUPPORTED_STRATEGY,
        lambda error: {"strategy": error.strategy, "supported": error.supported},
    ),
    InvalidTransition: Mapped(
        grpc.StatusCode.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_INVALID_TRANSITION,
        lambda error: {
            "run_id": error.run_id,
            "from": error.from_status.name,
            "to": error.to_status.name,
        },
    ),
    NotHolder: Mapped(
        grpc.StatusCode.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_NOT_HOLDER,
        lambda error: {"run_id": error.run_id},
    ),
    RequestIdReused: Mapped(
        grpc.StatusCode.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
        lambda error: {"run_id": error.run_id},
    ),
    InvalidRequest: Mapped(
        grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST
    ),
    RevisionCompacted: Mapped(
        grpc.StatusCode.OUT_OF_RANGE,
        ErrorReason.ERROR_REASON_REVISION_COMPACTED,
        lambda error: {
            "oldest_revision": error.oldest_revision,
            "current_revision": error.current_revision,
        },
    ),
    RevisionUnknown: Mapped(
        grpc.StatusCode.OUT_OF_RANGE,
        ErrorReason.ERROR_REASON_REVISION_UNKNOWN,
        lambda error: {"current_revision": error.current_revision, "store_id": error.store_id},
    ),
    StoreUnavailable: Mapped(
        grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_STORE_UNAVAILABLE, retry=True
    ),
    OutcomeUnknown: Mapped(grpc.StatusCode.UNKNOWN, ErrorReason.ERROR_REASON_OUTCOME_UNKNOWN),
    ServerDraining: Mapped(
        grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_SERVER_DRAINING, retry=True
    ),
    Overloaded: Mapped(
        grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED, retry=True
    ),
    CorruptRow: Mapped(
        grpc.StatusCode.DATA_LOSS,
        ErrorReason.ERROR_REASON_CORRUPT_ROW,
        lambda error: {"run_id": error.run_id},
    ),
    Unauthenticated: Mapped(
        grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_UNAUTHENTICATED
    ),
    PermissionDenied: Mapped(
        grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_PERMISSION_DENIED
    ),
}


def to_status(error: BaseException, request_id: str) -> Status:
    """The status of a failed call. An unexpected failure discloses nothing but the request id."""
    mapped = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), None)
    if mapped is None or not isinstance(error, RunsvcError):
        message = f"The server failed; see request {request_id} in its log."
        return Status(grpc.StatusCode.INTERNAL, message, ((request_ids.KEY, request_id),))
    message = _cut(str(error), _MESSAGE_BYTES)
    details = _details(error, mapped, message)
    trailers = ((request_ids.KEY, request_id), (DETAILS_KEY, details))
    return Status(mapped.code, message, trailers)


def _details(error: RunsvcError, mapped: Mapped, message: str) -> bytes:
    status = status_pb2.Status(code=mapped.code.value[0], message=message)
    _add(status, _error_info(error, mapped))
    if mapped.retry:
        _add(status, _retry_info())
    if isinstance(error, InvalidRequest):
        room = _STATUS_BYTES - status.ByteSize()
        _add(status, _bad_request(error.violations, room))
    return bytes(status.SerializeToString())


def _add(status: Any, detail: Message) -> None:
    status.details.add().Pack(detail)


def _error_info(error: RunsvcError, mapped: Mapped) -> Any:
    facts = {name: _cut(str(fact), _FACT_BYTES) for name, fact in mapped.facts(error).items()}
    reason = ErrorReason.Name(mapped.reason).removeprefix("ERROR_REASON_")
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=facts)


def _retry_info() -> Any:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.seconds = _RETRY_AFTER
    return info


def _bad_request(violations: Sequence[Violation], room: int) -> Any:
    """The violations that fit into the room, and the number of the others."""
    request = error_details_pb2.BadRequest()
    # Reserved for the note about the others, and for the wrapping.
    room -= 150
    for count, violation in enumerate(violations):
        field, description = _cut(violation.field, 100), _cut(violation.description, _FACT_BYTES)
        request.field_violations.add(field=field, description=description)
        if request.ByteSize() > room:
            request.field_violations.pop()
            more = f"and {len(violations) - count} more"
            request.field_violations.add(field="", description=more)
            break
    return request


def _cut(text: str, limit: int) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return text
    return encoded[: limit - 3].decode(errors="ignore") + "…"
