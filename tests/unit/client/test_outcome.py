"""The error text of a failure: no exception of the work can make it fail."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any, NoReturn

import pytest

from runsvc.client.outcome import fitted, merge, note, outcome
from runsvc.v1.run_pb2 import Progress, RunStatus


class Stubborn(str):
    """A text whose methods fail."""

    def encode(self, *_: Any, **_more: Any) -> NoReturn:
        raise RuntimeError

    def __getitem__(self, _: Any) -> NoReturn:
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError


def failing_with(text: Any) -> Exception:
    class WithoutTextError(Exception):
        def __str__(self) -> str:
            if isinstance(text, BaseException):
                raise text
            return text  # type: ignore[no-any-return]

    return WithoutTextError()


@pytest.mark.parametrize("raised", [RuntimeError("no"), SystemExit(1), RecursionError()])
def test_failure_without_a_text_is_named(raised: BaseException) -> None:
    status, text = outcome(failing_with(raised))
    assert status == RunStatus.RUN_STATUS_ERROR
    assert text == f"WithoutTextError (its text cannot be read: {type(raised).__name__})"


class NamelessType(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError


class NamelessError(Exception, metaclass=NamelessType):
    pass


def test_failure_whose_type_hides_its_name_is_named() -> None:
    assert outcome(NamelessError())[1] == "NamelessError"


@pytest.mark.parametrize("text", [None, 7, b"x"])
def test_text_of_another_type_is_no_text(text: Any) -> None:
    reported = outcome(failing_with(text))[1]
    assert reported == "WithoutTextError (its text cannot be read: TypeError)"


def test_text_that_overrides_its_methods_is_read() -> None:
    assert outcome(failing_with(Stubborn("stubborn")))[1] == "stubborn"


def test_huge_text_is_cut_before_it_is_encoded() -> None:
    # More than the server keeps, so that the server marks the cut.
    assert outcome(ValueError("☃" * 50_000_000))[1] == "☃" * 21_845


def test_preview_is_cut_as_the_server_cuts_it() -> None:
    assert fitted(Progress(last_ai_message="☃" * 2_001, total_tokens=1)) == Progress(
        last_ai_message="☃" * 2_000, total_tokens=1
    )


def test_usage_is_merged_by_model_and_by_figure() -> None:
    total = Progress(total_tokens=1)
    total.by_model["a"].calls = 1
    total.by_model["a"].input_tokens = 5
    total.by_model["b"].calls = 2
    more = Progress(last_ai_message="x")
    more.by_model["a"].calls = 0
    more.by_model["c"].SetInParent()
    merge(total, more)
    assert (total.total_tokens, total.last_ai_message) == (1, "x")
    assert {name: (each.calls, each.input_tokens) for name, each in total.by_model.items()} == {
        "a": (0, 5),
        "b": (2, 0),
        "c": (0, 0),
    }
    assert more.by_model["a"].input_tokens == 0


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    text: str = "frozen"


def test_exception_without_notes_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        note(FrozenError(), "the note")
    assert caplog.messages == ["the note"]
