"""The message of every error contains its facts."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from string import Formatter
from typing import Any

import pytest

from runsvc.core import errors
from runsvc.core.errors import InvalidRequest, RunsvcError, Violation
from runsvc.core.model import RunStatus

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, RunsvcError)
]
#: A value for each type of attribute. The braces prove that a value is never used as a template.
SAMPLES: dict[str, Any] = {
    "str": "some {fact}",
    "int": 4711,
    "RunStatus": RunStatus.RUNNING,
    "tuple[Violation, ...]": (Violation("{field}", "is at fault"),),
}

every_class = pytest.mark.parametrize("kind", CLASSES)


def facts(kind: Any) -> dict[str, str]:
    """Names and types of the attributes of an error."""
    return {fact.name: str(fact.type) for fact in fields(kind)} if is_dataclass(kind) else {}


def sample(kind: type[RunsvcError]) -> RunsvcError:
    return kind(*(SAMPLES[fact_type] for fact_type in facts(kind).values()))


def template(kind: type[RunsvcError]) -> str:
    return (kind.__doc__ or "").split("\n", maxsplit=1)[0]


@every_class
def test_the_first_line_of_the_docstring_is_the_message(kind: type[RunsvcError]) -> None:
    parts = Formatter().parse(template(kind))
    pattern = "".join(re.escape(text) + (".+" if name else "") for text, name, *_ in parts)
    assert re.fullmatch(pattern, str(sample(kind)))
    assert pattern.endswith(r"\.")


@every_class
def test_the_message_contains_each_attribute_that_it_names(kind: type[RunsvcError]) -> None:
    error = sample(kind)
    for _, name, *_ in Formatter().parse(template(kind)):
        if name:
            value: Any = error
            for attribute in name.split("."):
                value = getattr(value, attribute)
            assert str(value) in str(error)


@every_class
def test_facts_are_attributes_and_an_error_can_be_raised_and_chained(
    kind: type[RunsvcError],
) -> None:
    error = sample(kind)
    assert len({error, sample(kind)}) == 2
    with pytest.raises(RunsvcError) as raised:
        raise error from ValueError("cause")
    assert raised.value is error
    assert vars(error).keys() >= facts(kind).keys()


def test_the_tree_in_the_module_docstring_shows_every_class() -> None:
    tree = (errors.__doc__ or "").partition("\n\nRunsvcError")
    assert set(re.findall(r"\b[A-Z]\w+", tree[1] + tree[2])) == {kind.__name__ for kind in CLASSES}


@pytest.mark.parametrize(
    ("count", "summary"),
    [
        (0, ""),
        (1, "f0 is wrong"),
        (3, "f0 is wrong; f1 is wrong; f2 is wrong"),
        (4, "f0 is wrong; f1 is wrong; f2 is wrong; …"),
        (10_000, "f0 is wrong; f1 is wrong; f2 is wrong; …"),
    ],
)
def test_the_summary_of_an_invalid_request_is_bounded(count: int, summary: str) -> None:
    error = InvalidRequest(tuple(Violation(f"f{n}", "is wrong") for n in range(count)))
    assert error.summary == summary
    assert str(error) == f"The request is invalid: {summary}."
