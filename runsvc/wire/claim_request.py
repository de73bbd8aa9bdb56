"""Validation of Claim requests."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.wire.fields import Lengths
from runsvc.wire.validation import Check

if TYPE_CHECKING:
    from runsvc.v1.run_service_pb2 import ClaimRequest

MAX_ASSISTANTS: Final = 16
MAX_RUNS: Final = 32
REQUEST_ID_LENGTH: Final = 255
#: The longest wait for a run if the request names none.
WAIT: Final = timedelta(seconds=20)

_WAITS: Final = Lengths(timedelta(0), timedelta(seconds=60), "must be 0 to 60 seconds")


class ClaimFields(NamedTuple):
    """The checked fields of a claim."""

    worker_id: str
    #: None: every assistant.
    assistant_ids: tuple[str, ...] | None
    max_runs: int
    lease_ttl: timedelta
    wait: timedelta
    request_id: str | None


def claim_fields(request: ClaimRequest) -> ClaimFields:
    """The runs that an executor asks for. Raise InvalidRequest."""
    with Check() as check:
        worker_id = check.worker_id(request.worker_id)
        ttl = check.lease_ttl(request, worker_id)
        if ttl is None and not request.HasField("lease_ttl"):
            check.fault("lease_ttl", "is required")
        if request.max_runs > MAX_RUNS:
            check.fault("max_runs", f"must be 1 to {MAX_RUNS}")
        return ClaimFields(
            worker_id,
            _assistant_ids(check, request),
            check.count("max_runs", request.max_runs, 1, MAX_RUNS),
            ttl or timedelta(0),
            _wait(check, request),
            check.line("request_id", request.request_id, REQUEST_ID_LENGTH) or None,
        )


def _wait(check: Check, request: ClaimRequest) -> timedelta:
    wait = check.duration(request, "wait", _WAITS)
    return WAIT if wait is None else wait


def _assistant_ids(check: Check, request: ClaimRequest) -> tuple[str, ...] | None:
    named = tuple(dict.fromkeys(request.assistant_ids))
    if request.any_assistant:
        if named:
            check.fault("assistant_ids", "must be empty with any_assistant")
        return None
    if not 1 <= len(named) <= MAX_ASSISTANTS:
        fault = f"must name 1 to {MAX_ASSISTANTS} assistants, unless any_assistant is set"
        check.fault("assistant_ids", fault)
    for assistant_id in named[:MAX_ASSISTANTS]:
        check.identifier("assistant_ids", assistant_id)
    return named
