"""Exit codes, sentences and hints."""

from __future__ import annotations

import pytest
from grpc import StatusCode

from runsvc.cli.errors import exit_code_of, hints_of, sentence_of
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
        (RunError(StatusCode.UNAVAILABLE, "SERVER_DRAINING", "Going."), "Going."),
        (RunError(StatusCode.DEADLINE_EXCEEDED, message="x"), "here:1 did not answer in time"),
        (
            RunError(StatusCode.UNAVAILABLE),
            "No runsvc server answers at here:1.",
        ),
        (RunError(StatusCode.UNIMPLEMENTED, message="Not so."), "Not so."),
        (RunError(StatusCode.INTERNAL), "INTERNAL"),
    ],
)
def test_sentences(error: RunError, expected: str) -> None:
    assert sentence_of(error, "here:1").startswith(expected)


def test_a_hint_that_lacks_its_fact_is_left_out() -> None:
    error = RunError(StatusCode.ABORTED, "THREAD_BUSY", retry_after=2.0)
    assert hints_of(error) == (
        "Or take its place: the same command with --strategy interrupt",
        "Try again in 2 s",
    )


def test_a_fact_cannot_become_another_command() -> None:
    error = RunError(StatusCode.ABORTED, "INVALID_TRANSITION", metadata={"run_id": "r1; rm x"})
    assert hints_of(error) == ("See where it stands: runsvc get 'r1; rm x'",)
