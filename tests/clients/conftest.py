"""The suite that all clients pass, for the languages whose drivers are built: `make test-clients` builds and runs."""

from __future__ import annotations

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
        "--rewrite-transcript",
        action="store_true",
        help="Make the first language's answers the golden ones. Read the difference.",
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


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Iterator[dict[str, list[str]]]:
    """The transcript by scenario. What a test puts into it is written back with --rewrite-transcript."""
    lines = transcript.golden()
    if not request.config.getoption("--rewrite-transcript"):
        yield lines
        return
    new: dict[str, list[str]] = {}
    yield new
    lines |= new
    transcript.write({name: lines[name] for name in SCENARIOS if name in lines})
