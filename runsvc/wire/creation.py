"""Validation of creations: the spec of a run, and the request that makes its creation repeatable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core.attempts import LONGEST_BACKOFF
from runsvc.core.model import (
    DEFAULT_PRIORITY,
    DisconnectMode,
    Handover,
    MultitaskStrategy,
    Request,
    RequestKey,
    Retry,
    RunSpec,
)
from runsvc.wire import structs
from runsvc.wire.fields import MOMENT, Lengths
from runsvc.wire.spec_hash import spec_hash
from runsvc.wire.validation import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runsvc.v1 import run_pb2, run_service_pb2
    from runsvc.wire.spec_hash import Json

    CreationRequest = run_service_pb2.CreateRequest | run_service_pb2.CreateOrRejectRequest

# Sizes in bytes, lengths in characters.
METADATA_BYTES: Final = 64 << 10
KWARGS_BYTES: Final = 1 << 20
REQUEST_ID_LENGTH: Final = 255
KEY_LENGTH: Final = 128

#: The farthest not_before, counted from now.
LONGEST_DELAY: Final = timedelta(days=30)
HIGHEST_PRIORITY: Final = 5
MAX_ATTEMPTS: Final = 10

_TIMEOUTS: Final = Lengths(MOMENT, timedelta(days=30), "must be positive and at most 30 days")
_BACKOFFS: Final = Lengths(timedelta(0), LONGEST_BACKOFF, "must be 0 to 1 hour")


class Draft(NamedTuple):
    """A checked spec, with the plain form of its Structs, which the check has computed."""

    spec: RunSpec
    metadata: Mapping[str, Json]
    kwargs: Mapping[str, Json]


def creation(
    request: CreationRequest, *, owner: str, method: str
) -> tuple[RunSpec, Request | None]:
    """The spec of a creation, and its identity when it is repeatable. Raise InvalidRequest.

    The duration grows with the size of metadata and kwargs. Call it on a thread for more than 64 KiB.
    """
    with Check() as check:
        request_id = check.line("request_id", request.request_id, REQUEST_ID_LENGTH)
        draft = draft_of(check, request)
    if not request_id:
        return draft.spec, None
    return draft.spec, Request(RequestKey(owner, method, request_id), spec_hash(*draft))


def draft_of(check: Check, request: CreationRequest) -> Draft:
    """The run to create, after defaults and trimming."""
    if not request.HasField("spec"):
        check.fault("spec", "is required")
        return Draft(RunSpec(thread_id=""), {}, {})
    spec = request.spec
    worker_id = check.optional_identifier(spec, "worker_id", "spec.")
    return Draft(
        RunSpec(
            thread_id=check.identifier("spec.thread_id", spec.thread_id),
            assistant_id=check.optional_identifier(spec, "assistant_id", "spec."),
            on_disconnect=check.member(
                "spec.on_disconnect", spec.on_disconnect, DisconnectMode.CANCEL
            ),
            multitask_strategy=check.member(
                "spec.multitask_strategy", spec.multitask_strategy, MultitaskStrategy.REJECT
            ),
            model_name=check.model_name(spec, "spec."),
            worker_id=worker_id,
            lease_ttl=check.lease_ttl(spec, worker_id, "spec."),
            start_timeout=check.duration(spec, "start_timeout", _TIMEOUTS, "spec."),
            timeout=check.duration(spec, "timeout", _TIMEOUTS, "spec."),
            handover=check.member("spec.handover", spec.handover, Handover.IMMEDIATE),
            not_before=_not_before(check, spec),
            concurrency_key=concurrency_key(check, "spec.concurrency_key", spec.concurrency_key),
            queue_timeout=check.duration(spec, "queue_timeout", _TIMEOUTS, "spec."),
            priority=_priority(check, spec.priority),
            retry=_retry(check, spec.retry) if spec.HasField("retry") else None,
            metadata=spec.metadata.SerializeToString(),
            kwargs=spec.kwargs.SerializeToString(),
        ),
        structs.checked(check, "spec.metadata", spec.metadata, METADATA_BYTES),
        structs.checked(check, "spec.kwargs", spec.kwargs, KWARGS_BYTES),
    )


def concurrency_key(check: Check, field: str, value: str) -> str | None:
    """A concurrency key, or the prefix of keys; None if empty."""
    return check.line(field, value, KEY_LENGTH) or None


def _not_before(check: Check, spec: run_pb2.RunSpec) -> datetime | None:
    time = check.time(spec, "not_before", "spec.")
    if time is not None and time - datetime.now(UTC) > LONGEST_DELAY:
        check.fault("spec.not_before", f"is more than {LONGEST_DELAY.days} days ahead")
        return None
    return time


def _priority(check: Check, value: int) -> int:
    if value and not 1 <= value <= HIGHEST_PRIORITY:
        check.fault("spec.priority", f"must be 1 to {HIGHEST_PRIORITY}")
    return value or DEFAULT_PRIORITY


def _retry(check: Check, retry: run_pb2.Retry) -> Retry:
    if not 0 <= retry.max_attempts <= MAX_ATTEMPTS:
        check.fault("spec.retry.max_attempts", f"must be 1 to {MAX_ATTEMPTS}")
    backoff = check.duration(retry, "backoff", _BACKOFFS, "spec.retry.")
    return Retry(retry.max_attempts or 1, backoff)
