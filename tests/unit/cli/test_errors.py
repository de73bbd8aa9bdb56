"""Exit codes, messages and hints of errors."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from runsvc.cli.errors import exit_code_of, hints_of, message_of
from runsvc.client import RunError


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (StatusCode.INVALID_ARGUMENT, "", 2),
        (StatusCode.NOT_FOUND, "", 3),
        (StatusCode.ABORTED, "", 4),
        (StatusCode.FAILED_PRECONDITION, "", 4),
        (StatusCode.ALREADY_EXISTS, "", 4),
        (StatusCode.OUT_OF_RANGE, "", 4),
        (StatusCode.RESOURCE_EXHAUSTED, "THREAD_FULL", 4),
        (StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 5),
        (StatusCode.UNAVAILABLE, "", 5),
        (StatusCode.DEADLINE_EXCEEDED, "", 5),
        (StatusCode.INTERNAL, "", 1),
    ],
)
def test_exit_codes(code: StatusCode, reason: str, expected: int) -> None:
    assert exit_code_of(RunError(code, reason)) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RunError(StatusCode.UNAVAILABLE, "SERVER_DRAINING", "Stopping."), "Stopping."),
        (
            RunError(StatusCode.DEADLINE_EXCEEDED, message="x"),
            "here:1 did not answer in time. Allow more",
        ),
        (
            RunError(StatusCode.UNAVAILABLE),
            "No runsvc server answers at here:1.",
        ),
        (RunError(StatusCode.UNIMPLEMENTED, message="Not supported."), "Not supported."),
        (RunError(StatusCode.INTERNAL), "INTERNAL"),
    ],
)
def test_messages(error: RunError, expected: str) -> None:
    assert message_of(error, "here:1").startswith(expected)


def test_hint_without_its_value_is_omitted() -> None:
    error = RunError(StatusCode.ABORTED, "THREAD_BUSY", retry_after=2.0)
    assert hints_of(error) == (
        "Or displace it: the same command with --strategy interrupt",
        "Try again in 2 s",
    )


def test_values_in_hints_are_quoted() -> None:
    error = RunError(StatusCode.ABORTED, "INVALID_TRANSITION", metadata={"run_id": "r1; rm x"})
    assert hints_of(error) == ("Show its status: runsvc get 'r1; rm x'",)
