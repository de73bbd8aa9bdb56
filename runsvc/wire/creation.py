"""Validation of creations: the spec of a run, and the request that makes its creation repeatable."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runsvc.core.model import DisconnectMode, MultitaskStrategy, Request, RequestKey, RunSpec
from runsvc.wire import structs
from runsvc.wire.fields import MOMENT, Lengths
from runsvc.wire.spec_hash import spec_hash
from runsvc.wire.validation import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runsvc.v1 import run_service_pb2
    from runsvc.wire.spec_hash import Json

    CreationRequest = run_service_pb2.CreateRequest | run_service_pb2.CreateOrRejectRequest

# Sizes in bytes, lengths in characters.
METADATA_BYTES: Final = 64 << 10
KWARGS_BYTES: Final = 1 << 20
REQUEST_ID_LENGTH: Final = 255

_TIMEOUTS: Final = Lengths(MOMENT, timedelta(days=30), "must be positive and at most 30 days")


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
            metadata=spec.metadata.SerializeToString(),
            kwargs=spec.kwargs.SerializeToString(),
        ),
        structs.checked(check, "spec.metadata", spec.metadata, METADATA_BYTES),
        structs.checked(check, "spec.kwargs", spec.kwargs, KWARGS_BYTES),
    )
