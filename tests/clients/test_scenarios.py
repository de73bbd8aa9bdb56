"""Every scenario, in every language, against the transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients import table
from tests.clients.environment import Environment, Unsupported
from tests.clients.scenarios import SCENARIOS
from tests.clients.transcript import difference

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.conftest import Outcomes

ROUNDS = 10


async def run_scenario(scenario: str, languages: list[str], folder: Path) -> list[str]:
    """Run a scenario with the first of the languages and return its lines."""
    async with Environment(scenario, languages, folder) as env:
        await SCENARIOS[scenario](env)
    return env.lines


@pytest.mark.clients
@pytest.mark.timeout(900)
async def test_answers_match_the_transcript(
    language: str,
    scenario: str,
    language_order: list[str],
    outcomes: Outcomes,
    tmp_path: Path,
) -> None:
    try:
        lines = await run_scenario(scenario, language_order, tmp_path)
    except Unsupported as missing:
        outcomes.passed[language][scenario] = False
        pytest.skip(f"the {language} client does not support {missing}")
    different = difference(outcomes.golden(scenario, lines), lines)
    assert not different, f"{language} differs in {scenario}:\n{different}"
    outcomes.passed[language][scenario] = True


@pytest.mark.clients
def test_the_readme_lists_the_supported_topics(language: str, outcomes: Outcomes) -> None:
    passed = outcomes.passed[language]
    if len(passed) < len(SCENARIOS):
        pytest.skip("only part of the suite ran, or a scenario failed")
    row = table.row(language, passed)
    if outcomes.rewrite:
        table.replace_row(language, row)
    assert row in table.rows(), "the README's table is out of date: update it with --rewrite"


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_answers_match_the_transcript_ten_times_in_a_row(
    language: str, language_order: list[str], outcomes: Outcomes, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        for scenario in SCENARIOS:
            folder = tmp_path / f"{number}-{scenario.replace('/', '-')}"
            folder.mkdir()
            try:
                lines = await run_scenario(scenario, language_order, folder)
            except Unsupported:
                continue
            different = difference(outcomes.golden(scenario, lines), lines)
            assert not different, f"{language} differs in {scenario}, round {number}:\n{different}"
