"""The suite that all clients pass. `make test-clients` builds the drivers and runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients import transcript
from tests.clients.driver import DRIVERS
from tests.clients.scenarios import SCENARIOS
from tests.clients.supported import Supported

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


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """With --rewrite, run the scenarios in one process: the other languages are compared with the first one's lines."""
    if config.getoption("--rewrite"):
        config.option.numprocesses = 0


def pytest_configure(config: pytest.Config) -> None:
    # A worker's results are reported to the process that started it.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Supported(bool(config.getoption("--rewrite"))))


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


class Expected:
    """The expected lines of the scenarios."""

    def __init__(self, rewrite: bool) -> None:
        self.rewrite = rewrite
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
def expected(request: pytest.FixtureRequest) -> Iterator[Expected]:
    """The expected lines of the scenarios. With --rewrite, the transcript is written at the end."""
    found = Expected(bool(request.config.getoption("--rewrite", None)))
    yield found
    if found.rewrite:
        found.write()
