"""The suite that all clients pass. `make test-clients` builds the drivers and runs it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.clients import transcript
from tests.clients.driver import DRIVERS
from tests.clients.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--languages",
        help="Clients to test, by language, separated by blanks; all with a driver by default.",
    )
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="Write the first language's answers to the transcript, and update the README's table.",
    )


def languages(config: pytest.Config) -> list[str]:
    """The languages to test: those of the option, or all with a driver."""
    asked = config.getoption("--languages", None)
    return asked.split() if asked else sorted(path.name for path in DRIVERS.glob("*"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "language" in metafunc.fixturenames:
        metafunc.parametrize("language", languages(metafunc.config))
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", list(SCENARIOS))


@pytest.fixture
def language_order(request: pytest.FixtureRequest, language: str) -> list[str]:
    """All languages under test, rotated so that this one comes first."""
    tested = languages(request.config)
    at = tested.index(language)
    return tested[at:] + tested[:at]


class Outcomes:
    """The results of the suite."""

    def __init__(self, rewrite: bool) -> None:
        self.rewrite = rewrite
        #: By language and scenario; False means that the client does not support it.
        self.passed: dict[str, dict[str, bool]] = defaultdict(dict)
        self._golden = transcript.golden()
        self._new: dict[str, list[str]] = {}

    def golden(self, scenario: str, lines: list[str]) -> list[str]:
        """The expected lines of a scenario. With --rewrite, the lines of the first language."""
        if self.rewrite:
            return self._new.setdefault(scenario, lines)
        return self._golden.get(scenario, [])

    def write(self) -> None:
        """Write the new lines to the transcript."""
        lines = self._golden | self._new
        transcript.write({name: lines[name] for name in SCENARIOS if name in lines})


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """The results of the suite. With --rewrite, the transcript is written at its end."""
    found = Outcomes(bool(request.config.getoption("--rewrite", None)))
    yield found
    if found.rewrite:
        found.write()
