"""The suite that all clients pass, for the languages whose drivers are built: `make test-clients` builds and runs."""

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
    parser.addoption("--languages", help="Which languages' clients to test, separated by blanks.")
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="Make the first language's answers the golden transcript, and renew the README's table.",
    )


def languages(config: pytest.Config) -> list[str]:
    """The languages to test: those asked for, or all that have a driver."""
    asked = config.getoption("--languages", None)
    return asked.split() if asked else sorted(path.name for path in DRIVERS.glob("*"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "language" in metafunc.fixturenames:
        metafunc.parametrize("language", languages(metafunc.config))
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", list(SCENARIOS))


@pytest.fixture
def others(request: pytest.FixtureRequest, language: str) -> list[str]:
    """All languages under test, in a circle from this one on."""
    tested = languages(request.config)
    at = tested.index(language)
    return tested[at:] + tested[:at]


class Outcomes:
    """What was found so far."""

    def __init__(self, rewrite: bool) -> None:
        self.rewrite = rewrite
        #: By language and scenario; False where the client does not have what it is about.
        self.passed: dict[str, dict[str, bool]] = defaultdict(dict)
        self._golden = transcript.golden()
        self._new: dict[str, list[str]] = {}

    def golden(self, scenario: str, lines: list[str]) -> list[str]:
        """What the scenario's lines must be; when it is rewritten, those of the first who asks."""
        if self.rewrite:
            return self._new.setdefault(scenario, lines)
        return self._golden.get(scenario, [])

    def write(self) -> None:
        """Make the new lines the golden ones."""
        lines = self._golden | self._new
        transcript.write({name: lines[name] for name in SCENARIOS if name in lines})


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """What the suite finds; it is written down at its end with --rewrite."""
    found = Outcomes(bool(request.config.getoption("--rewrite", None)))
    yield found
    if found.rewrite:
        found.write()
