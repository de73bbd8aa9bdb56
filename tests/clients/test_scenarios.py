"""Every scenario, in every language, against the transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients.environment import Environment, Unsupported
from tests.clients.scenarios import SCENARIOS
from tests.clients.supported import name_scenario
from tests.clients.transcript import difference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.clients.conftest import Expected

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
    expected: Expected,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    name_scenario(record_property, language, scenario)
    try:
        lines = await run_scenario(scenario, language_order, tmp_path)
    except Unsupported as missing:
        pytest.skip(f"the {language} client does not support {missing}")
    different = difference(expected.golden(scenario, lines), lines)
    assert not different, f"{language} differs in {scenario}:\n{different}"


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_answers_match_the_transcript_ten_times_in_a_row(
    language: str, language_order: list[str], expected: Expected, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        for scenario in SCENARIOS:
            folder = tmp_path / f"{number}-{scenario.replace('/', '-')}"
            folder.mkdir()
            try:
                lines = await run_scenario(scenario, language_order, folder)
            except Unsupported:
                continue
            different = difference(expected.golden(scenario, lines), lines)
            assert not different, f"{language} differs in {scenario}, round {number}:\n{different}"
