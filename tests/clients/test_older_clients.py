"""Clients of 0.1.0 get the same answers: their transcript is part of the present one, except for lines named here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.clients.transcript import GOLDEN

#: The transcript of the last state with version 0.1.0. It never changes.
RELEASED = Path(__file__).parent / "transcript_0_1_0.jsonl"

Line = dict[str, Any]


class Late(NamedTuple):
    """Answers in which a run has a higher revision: final usage that arrives after the end is a change since 0.2.0.

    Before, it was stored without a revision, and a watcher that had resumed did not see it.
    """

    scenario: str
    #: Numbers of the lines in their scenario, from 0.
    lines: tuple[int, ...]
    before: int


LATE_USAGE = (
    # Complete with usage after the end, the same again, and a read.
    Late("calls/an_executor_reports", (10, 11, 12), 3),
    # Usage of a run that ended before its cancel.
    Late("calls/a_cancel_says_what_it_found", (12,), 8),
    # Usage of a run whose lease was over.
    Late("leases/a_lease_that_runs_out_ends_the_run", (10,), 3),
)


def by_scenario(file: Path) -> dict[str, list[Line]]:
    lines: dict[str, list[Line]] = {}
    for text in file.read_text("utf-8").splitlines():
        line = json.loads(text)
        lines.setdefault(line["scenario"], []).append(line)
    return lines


OLD, NEW = by_scenario(RELEASED), by_scenario(GOLDEN)


@pytest.mark.parametrize("name", OLD)
def test_answers_to_clients_of_0_1_0_are_the_same(name: str) -> None:
    expected = [*OLD[name]]
    for late in LATE_USAGE:
        if late.scenario == name:
            for number in late.lines:
                expected[number] = with_next_revision(expected[number], late.before)
    assert NEW.get(name) == expected


def with_next_revision(line: Line, before: int) -> Line:
    """An answer whose run has changed once more."""
    run = line["ok"]["run"]
    assert run["revision"] == before
    assert run["progress"]["final"]
    return line | {"ok": line["ok"] | {"run": run | {"revision": before + 1}}}


def test_every_exception_is_one() -> None:
    different = {
        (scenario, number)
        for scenario, lines in OLD.items()
        for number, (old, new) in enumerate(zip(lines, NEW[scenario], strict=True))
        if old != new
    }
    named = {(late.scenario, number) for late in LATE_USAGE for number in late.lines}
    assert different == named
