"""Every scenario, in every language, against the one transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients.scenarios import SCENARIOS
from tests.clients.stage import Stage, Unsupported
from tests.clients.transcript import difference

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.clients


async def test_answers_are_those_of_the_transcript(
    language: str,
    scenario: str,
    others: list[str],
    golden: dict[str, list[str]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    async with Stage(scenario, others, tmp_path) as stage:
        try:
            await SCENARIOS[scenario](stage)
        except Unsupported as lack:
            pytest.skip(f"the {language} client has no {lack}")
    if request.config.getoption("--rewrite-transcript"):
        golden.setdefault(scenario, stage.lines)
    different = difference(golden.get(scenario, []), stage.lines)
    assert not different, f"{language} differs in {scenario}:\n{different}"
