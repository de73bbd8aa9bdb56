"""Every scenario, in every language, against the one transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients import table
from tests.clients.environment import Stage, Unsupported
from tests.clients.scenarios import SCENARIOS
from tests.clients.transcript import difference

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.conftest import Outcomes

ROUNDS = 10


async def played(scenario: str, languages: list[str], folder: Path) -> list[str]:
    """The lines of a scenario, in the first of the languages."""
    async with Stage(scenario, languages, folder) as stage:
        await SCENARIOS[scenario](stage)
    return stage.lines


@pytest.mark.clients
@pytest.mark.timeout(180)
async def test_answers_are_those_of_the_transcript(
    language: str,
    scenario: str,
    others: list[str],
    outcomes: Outcomes,
    tmp_path: Path,
) -> None:
    try:
        lines = await played(scenario, others, tmp_path)
    except Unsupported as lack:
        outcomes.passed[language][scenario] = False
        pytest.skip(f"the {language} client has no {lack}")
    different = difference(outcomes.golden(scenario, lines), lines)
    assert not different, f"{language} differs in {scenario}:\n{different}"
    outcomes.passed[language][scenario] = True


@pytest.mark.clients
def test_the_readme_says_what_works(language: str, outcomes: Outcomes) -> None:
    passed = outcomes.passed[language]
    if len(passed) < len(SCENARIOS):
        pytest.skip("only part of the suite was run, or it failed")
    row = table.row(language, passed)
    if outcomes.rewrite:
        table.put(language, row)
    assert row in table.rows(), "not as the suite found it; renew it with --rewrite"


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_ten_times_in_a_row(
    language: str, others: list[str], outcomes: Outcomes, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        for scenario in SCENARIOS:
            folder = tmp_path / f"{number}-{scenario.replace('/', '-')}"
            folder.mkdir()
            try:
                lines = await played(scenario, others, folder)
            except Unsupported:
                continue
            different = difference(outcomes.golden(scenario, lines), lines)
            assert not different, f"{language} differs in {scenario}, round {number}:\n{different}"
