"""Validation of requests: accepted values, refused values, and all violations in one error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from runsvc.core.model import (
    CancelAction,
    Progress,
    RunStatus,
)
from runsvc.store.queries import PageKey
from runsvc.v1.admin_service_pb2 import ReconcileOrphansRequest
from runsvc.v1.run_service_pb2 import (
    CancelRequest,
    CompleteRequest,
    SetStatusRequest,
    UpdateModelNameRequest,
    UpdateProgressRequest,
)
from runsvc.wire import page_token
from runsvc.wire.validation import MAX_INTEGER, Check
from tests.support.faults import Faults

ids = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._:@/-]{0,127}", fullmatch=True).filter(str.isascii)


@given(ids)
def test_an_id_of_the_right_form_passes(value: str) -> None:
    with Check() as check:
        assert check.run_id(value) == value
        assert check.thread_id(value) == value
        assert check.worker_id(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a\n",
        "\na",
        ".a",
        ":a",
        "@a",
        "/a",
        "a b",
        "é",
        "a" * 129,
        "\u0661",
        "a\x00",
        "\uff41",
        "a" * 1_000_000,
    ],
)
def test_an_id_of_another_form_is_refused(value: str) -> None:
    faults = Faults()
    with faults as check:
        check.run_id(value)
        check.thread_id(value)
        check.worker_id(value)
        check.optional_worker_id(SetStatusRequest(worker_id=value))
    assert faults.fields == ["run_id", "thread_id", "worker_id", "worker_id"]


def test_an_optional_worker_may_be_unset() -> None:
    with Check() as check:
        assert check.optional_worker_id(SetStatusRequest()) is None
        assert check.optional_worker_id(SetStatusRequest(worker_id="w")) == "w"


def test_an_exception_inside_the_block_passes_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), Check() as check:
        check.page_size(1 // len(check.run_id("")))


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_passes(status: RunStatus) -> None:
    with Check() as check:
        assert check.status(int(status)) is status
        assert check.statuses([int(status)] * 3) == {status}


@pytest.mark.parametrize("number", [0, 8, -1, 99])
def test_unknown_numbers_are_refused_as_statuses(number: int) -> None:
    faults = Faults()
    with faults as check:
        check.status(number)
        check.terminal_status(number)
        check.statuses([number, 1])
    assert faults.fields == ["status", "status", "statuses"]


def test_no_statuses_mean_all() -> None:
    with Check() as check:
        assert check.statuses([]) == frozenset()


def test_only_a_terminal_status_completes() -> None:
    faults = Faults()
    with faults as check:
        assert check.terminal_status(3) is RunStatus.SUCCESS
        check.terminal_status(2)
    assert faults.fields == ["status"]


def test_an_error_needs_a_terminal_status() -> None:
    faults = Faults()
    with faults as check:
        request = SetStatusRequest(error="boom")
        assert check.error(request, RunStatus.ERROR) == "boom"
        assert check.error(SetStatusRequest(), RunStatus.RUNNING) is None
        check.error(request, RunStatus.RUNNING)
    assert faults.fields == ["error"]


def test_texts_are_measured_in_bytes() -> None:
    faults = Faults()
    with faults as check:
        check.note(CancelRequest(note="n" * 1_024))
        check.orphan_error("o" * 16_384, "")
        check.note(CancelRequest(note="é" * 513))
        check.orphan_error("é" * 8_193, "")
    assert faults.fields == ["note", "error"]


@pytest.mark.parametrize("letter", ["e", "é", "€", "😀"])
def test_an_error_that_is_too_long_is_cut_at_a_character_and_says_so(letter: str) -> None:
    size = len(letter.encode())
    with Check() as check:
        whole = letter * (16_384 // size)
        assert check.error(CompleteRequest(error=whole), RunStatus.ERROR) == whole
        for more in (whole + letter, whole * 9):
            cut = check.error(CompleteRequest(error=more), RunStatus.ERROR) or ""
            assert cut.endswith(" … (cut)")
            assert 16_384 - size < len(cut.encode()) <= 16_384
            assert set(cut.removesuffix(" … (cut)")) == {letter}
            # A repeated report stores the same text.
            assert check.error(CompleteRequest(error=cut), RunStatus.ERROR) == cut


def test_empty_texts_give_the_defaults() -> None:
    with Check() as check:
        assert check.note(CancelRequest(note="")) is None
        assert check.orphan_error("", "lost") == "lost"
        assert check.orphan_error("mine", "lost") == "mine"


def test_an_action_defaults_to_interrupt() -> None:
    faults = Faults()
    with faults as check:
        assert check.action(0) is CancelAction.INTERRUPT
        assert check.action(2) is CancelAction.ROLLBACK
        check.action(3)
    assert faults.fields == ["action"]


def test_negative_progress_counters_are_refused() -> None:
    request = UpdateProgressRequest()
    faults = Faults()
    with faults as check:
        assert check.progress(request) is None
        request.progress.total_tokens = 0
        request.progress.last_ai_message = "x" * 5_000
        request.progress.final = True
        assert check.progress(request) == Progress(total_tokens=0, last_ai_message="x" * 5_000)
        request.progress.message_count = -1
        request.progress.total_tokens = -5
        check.progress(request)
    assert faults.fields == ["progress.total_tokens", "progress.message_count"]


def test_a_sequence_above_the_store_s_integers_is_refused() -> None:
    faults = Faults()
    with faults as check:
        assert check.sequence(UpdateProgressRequest()) is None
        assert check.sequence(UpdateProgressRequest(sequence=0)) == 0
        assert check.sequence(UpdateProgressRequest(sequence=MAX_INTEGER)) == MAX_INTEGER
        check.sequence(UpdateProgressRequest(sequence=MAX_INTEGER + 1))
    assert faults.fields == ["sequence"]


def test_counts_are_clamped() -> None:
    faults = Faults()
    with faults as check:
        assert [check.page_size(n) for n in (0, 1, 500, 501, 2**31 - 1)] == [100, 1, 500, 500, 500]
        assert [check.limit(n) for n in (0, 1, 1_001)] == [1_000, 1, 1_000]
        check.page_size(-1)
        check.limit(-1)
    assert faults.fields == ["page_size", "limit"]


def test_a_page_token_is_valid_for_its_list_only() -> None:
    key = PageKey(datetime(2026, 1, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000001")
    scope: dict[str, Any] = {"owner": "ann", "thread_id": "t", "statuses": frozenset()}
    token = page_token.encode(key, **scope)
    faults = Faults()
    with faults as check:
        assert check.page_token("", **scope) is None
        assert check.page_token(token, **scope) == key
        check.page_token(token, **scope | {"thread_id": "u"})
        check.page_token("x" * 1_000_000, **scope)
    assert faults.fields == ["page_token", "page_token"]


def test_before_is_a_time() -> None:
    faults = Faults()
    with faults as check:
        assert check.before(ReconcileOrphansRequest()) is None
        assert check.before(ReconcileOrphansRequest(before=Timestamp(seconds=1, nanos=2_000))) == (
            datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC)
        )
        for stamp in (Timestamp(seconds=2**62), Timestamp(nanos=-1), Timestamp(nanos=10**9)):
            check.before(ReconcileOrphansRequest(before=stamp))
    assert faults.fields == ["before"] * 3


def test_a_lease_lasts_a_second_to_an_hour_and_needs_a_worker_that_starts() -> None:
    faults = Faults()
    second = SetStatusRequest(lease_ttl=Duration(seconds=1))
    with faults as check:
        assert check.start_lease_ttl(SetStatusRequest(), None, RunStatus.SUCCESS) is None
        assert check.start_lease_ttl(second, "w", RunStatus.RUNNING) == timedelta(seconds=1)
        check.start_lease_ttl(second, None, RunStatus.RUNNING)
        check.start_lease_ttl(second, "w", RunStatus.SUCCESS)
        for length in (Duration(nanos=999_999_999), Duration(seconds=3_601)):
            check.start_lease_ttl(SetStatusRequest(lease_ttl=length), "w", RunStatus.RUNNING)
    assert faults.fields == ["lease_ttl"] * 4


@pytest.mark.parametrize(
    ("given_name", "name"),
    [(" gpt ", "gpt"), ("", None), (" \n", None), ("x" * 128 + " ", "x" * 128), ("é" * 128,) * 2],
)
def test_a_model_name_is_trimmed(given_name: str, name: str | None) -> None:
    with Check() as check:
        assert check.model_name(UpdateModelNameRequest(model_name=given_name)) == name


@pytest.mark.parametrize("name", ["x" * 129, "a\nb", "a\x00", "a\x85b"])
def test_a_model_name_has_limits(name: str) -> None:
    faults = Faults()
    with faults as check:
        check.model_name(UpdateModelNameRequest(model_name=name))
    assert faults.fields == ["model_name"]
