"""Every failure has a code and a reason, and fits into the trailers."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core import errors
from runsvc.core.errors import InvalidRequest, RunsvcError, Violation
from runsvc.core.model import RunStatus
from runsvc.rpc.request_ids import KEY
from runsvc.rpc.status import DETAILS_KEY, TABLE, UNSENT, Status, to_status
from runsvc.v1.error_reason_pb2 import ErrorReason

#: Not sent.
UNREACHABLE = {"UNSPECIFIED"}

texts = st.text(st.characters(codec="utf-8"), max_size=3_000)


def every_class() -> list[type[RunsvcError]]:
    return [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, RunsvcError) and value is not RunsvcError
    ]


def details_of(status: Status) -> Any:
    return status_pb2.Status.FromString(dict(status.trailing_metadata)[DETAILS_KEY])


def info_of(status: Status) -> Any:
    info = error_details_pb2.ErrorInfo()
    assert details_of(status).details[0].Unpack(info)
    return info


def violations_of(status: Status) -> list[tuple[str, str]]:
    request = error_details_pb2.BadRequest()
    assert details_of(status).details[1].Unpack(request)
    return [(fault.field, fault.description) for fault in request.field_violations]


def wire_size(status: Status) -> int:
    """The worst-case size of the trailers: base64 for the details, three bytes for each byte of the message."""
    details = dict(status.trailing_metadata)[DETAILS_KEY]
    return -(-len(details) // 3) * 4 + 3 * len(status.message.encode())


@pytest.mark.parametrize("kind", every_class())
def test_every_failure_has_a_code(kind: type[RunsvcError]) -> None:
    assert any(base in TABLE for base in kind.__mro__) != (kind in UNSENT)


def test_every_reason_is_reachable() -> None:
    reasons = {ErrorReason.Name(mapped.reason) for mapped in TABLE.values()}
    expected = {f"ERROR_REASON_{name}" for name in UNREACHABLE}
    assert reasons == set(ErrorReason.keys()) - expected
    assert len(reasons) == len(TABLE)


@pytest.mark.parametrize(
    ("error", "code", "reason", "metadata"),
    [
        (errors.RunNotFound("r"), "NOT_FOUND", "RUN_NOT_FOUND", {"run_id": "r"}),
        (
            errors.ThreadBusy("t", "r", RunStatus.RUNNING),
            "ABORTED",
            "THREAD_BUSY",
            {"thread_id": "t", "run_id": "r", "status": "RUNNING"},
        ),
        (errors.ThreadFull("t"), "RESOURCE_EXHAUSTED", "THREAD_FULL", {"thread_id": "t"}),
        (
            errors.UnsupportedStrategy("ENQUEUE", "REJECT"),
            "UNIMPLEMENTED",
            "UNSUPPORTED_STRATEGY",
            {"strategy": "ENQUEUE", "supported": "REJECT"},
        ),
        (
            errors.RunEnded("r", RunStatus.ERROR, RunStatus.SUCCESS, "ERROR"),
            "FAILED_PRECONDITION",
            "INVALID_TRANSITION",
            {"run_id": "r", "from": "ERROR", "to": "SUCCESS"},
        ),
        (errors.NotHolder("r"), "FAILED_PRECONDITION", "NOT_HOLDER", {"run_id": "r"}),
        (errors.RequestIdReused("r"), "ALREADY_EXISTS", "REQUEST_ID_REUSED", {"run_id": "r"}),
        (InvalidRequest(()), "INVALID_ARGUMENT", "INVALID_REQUEST", {}),
        (
            errors.RevisionCompacted(5, 9),
            "OUT_OF_RANGE",
            "REVISION_COMPACTED",
            {"oldest_revision": "5", "current_revision": "9"},
        ),
        (
            errors.RevisionUnknown(9, "s"),
            "OUT_OF_RANGE",
            "REVISION_UNKNOWN",
            {"current_revision": "9", "store_id": "s"},
        ),
        (errors.StoreBusy("locked"), "UNAVAILABLE", "STORE_UNAVAILABLE", {}),
        (errors.OutcomeUnknown(), "UNKNOWN", "OUTCOME_UNKNOWN", {}),
        (errors.ServerDraining(), "UNAVAILABLE", "SERVER_DRAINING", {}),
        (errors.Overloaded(), "RESOURCE_EXHAUSTED", "OVERLOADED", {}),
        (errors.CorruptRow("r"), "DATA_LOSS", "CORRUPT_ROW", {"run_id": "r"}),
        (errors.Unauthenticated("send a token"), "UNAUTHENTICATED", "UNAUTHENTICATED", {}),
    ],
)
def test_a_failure_has_its_code_reason_and_metadata(
    error: RunsvcError, code: str, reason: str, metadata: dict[str, str]
) -> None:
    status = to_status(error, "q-1")
    assert status.code is grpc.StatusCode[code]
    assert status.message == str(error)
    assert dict(status.trailing_metadata)[KEY] == "q-1"
    details = details_of(status)
    assert (details.code, details.message) == (status.code.value[0], status.message)
    info = info_of(status)
    assert (info.domain, info.reason, dict(info.metadata)) == ("runsvc", reason, metadata)


@pytest.mark.parametrize(
    "error", [errors.StoreUnavailable("gone"), errors.Overloaded(), errors.ServerDraining()]
)
def test_a_transient_failure_has_retry_info(error: RunsvcError) -> None:
    info = error_details_pb2.RetryInfo()
    assert details_of(to_status(error, "q")).details[1].Unpack(info)
    assert info.retry_delay.seconds == 1


@pytest.mark.parametrize("error", [RuntimeError("secret"), errors.StoreRefused("secret", "secret")])
def test_an_unexpected_failure_discloses_only_the_request_id(error: Exception) -> None:
    status = to_status(error, "q-1")
    assert status.code is grpc.StatusCode.INTERNAL
    assert "q-1" in status.message
    assert "secret" not in status.message
    assert status.trailing_metadata == ((KEY, "q-1"),)


def test_every_violation_is_reported() -> None:
    faults = (Violation("spec.thread_id", "is required"), Violation("spec.metadata", "is too deep"))
    assert violations_of(to_status(InvalidRequest(faults), "q")) == [
        ("spec.thread_id", "is required"),
        ("spec.metadata", "is too deep"),
    ]


def test_violations_that_do_not_fit_are_counted() -> None:
    faults = tuple(Violation(f"field_{n}", "x" * 60) for n in range(500))
    told = violations_of(to_status(InvalidRequest(faults), "q"))
    assert 10 < len(told) < 500
    assert told[-1] == ("", f"and {500 - len(told) + 1} more")


@given(st.lists(st.builds(Violation, texts, texts), max_size=40))
def test_a_status_fits_into_the_trailers_for_any_violations(faults: list[Violation]) -> None:
    assert wire_size(to_status(InvalidRequest(tuple(faults)), "q")) < 4_000


@given(texts)
def test_a_status_fits_into_the_trailers_for_any_metadata(text: str) -> None:
    assert wire_size(to_status(errors.ThreadBusy(text, text, RunStatus.PENDING), "q")) < 4_000
    assert wire_size(to_status(errors.StoreUnavailable(text), "q")) < 4_000
